//! `ecosight storage url`: lets others read or write one object for a while.

use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{MAX_EXPIRY, Permission};
use serde::Serialize;

use super::target::{Target, root};
use crate::ExitStatus;
use crate::cli::args::UrlArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// The document.
#[derive(Serialize)]
struct Report {
    url: String,
    method: &'static str,
    /// When it is good no more; never where it is not signed.
    expires_at: Option<String>,
}

/// Runs the verb.
pub(crate) fn url(args: &UrlArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    if args.expires.is_zero() || args.expires > MAX_EXPIRY {
        return Err(CliError::usage(
            "a URL is good for at least a second and at most seven days",
            "try `--expires 1h`",
        ));
    }
    let target = Target::of(&args.name, globals)?;
    if target.name.is_empty() {
        return Err(CliError::usage("this is no object but a whole store", "name an object in it"));
    }
    if args.name.ends_with('/') {
        return Err(CliError::usage(format!("`{}` is a folder, not an object", args.name), "name an object in it"));
    }
    let Some(bucket) = target.store.place().bucket() else {
        let error = "only what lies in a bucket has a URL";
        return Err(CliError::usage(error, "`ecosight storage status` shows why no bucket is used"));
    };
    let expires = globals.started + args.expires;
    let served = globals.access()?.settings.cloudfront.as_ref().filter(|_| !args.put && !args.s3);
    // A distribution serves the configured bucket alone.
    let served =
        served.filter(|_| root(globals).is_ok_and(|root| root.bucket().is_some_and(|b| b.bucket == bucket.bucket)));
    let (url, expires) = if let Some(distribution) = served {
        let url = target.store.served(&target.name, distribution, expires.timestamp())?;
        (url, distribution.key_pair.is_some().then_some(expires))
    } else {
        let may = if args.put { Permission::Put } else { Permission::Get };
        (block_on(target.store.presigned(&target.name, may, args.expires))?, Some(expires))
    };
    let expires_at = expires.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    if printer.json {
        printer.document(&Report { url, method: if args.put { "PUT" } else { "GET" }, expires_at })?;
    } else {
        printer.line(&url)?;
        if let Some(time) = expires_at {
            printer.note(&format!("good until {time}"));
        }
    }
    Ok(ExitStatus::Ok)
}

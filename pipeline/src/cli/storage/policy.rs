//! `ecosight storage policy`: documents for those who apply them by other means. No server is asked.

use super::wishes::{warn_of_plain_http, wishes};
use crate::ExitStatus;
use crate::cli::args::PolicyArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Runs the verb. What it prints is JSON with and without `--json`.
pub(super) fn policy(args: &PolicyArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let wishes = wishes(&args.wishes, None, &globals.access()?.settings)?;
    let which = &args.which;
    if which.bucket_policy {
        if wishes.is_plain_http && wishes.distribution.is_none() {
            let why = "there is nothing that the policy of this bucket should say: the server is reached over http://, where one that demands TLS would lock everybody out";
            let hint = "name the server by https:// in `S3_ENDPOINT_URL`, or a distribution that may read: `--distribution ARN`";
            return Err(CliError::usage(why, hint));
        }
        warn_of_plain_http(&wishes, printer);
    }
    if which.cors && wishes.cors_origins.is_empty() {
        let hint = "name the web page: `--cors-origin https://…`, or S3_CORS_ORIGINS";
        return Err(CliError::usage("no web page is named", hint));
    }
    let document = match () {
        () if which.bucket_policy => wishes.bucket_policy(),
        () if which.lifecycle => wishes.lifecycle(),
        () if which.cors => wishes.cors(),
        () if which.encryption => wishes.encryption(),
        () if which.cloudfront => wishes.cloudfront(),
        () => wishes.policy(),
    };
    printer.document(&document)?;
    Ok(ExitStatus::Ok)
}

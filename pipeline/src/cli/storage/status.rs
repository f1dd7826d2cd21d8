//! `ecosight storage status`: which store is used, and why.

use std::collections::BTreeSet;

use ecosight_datasets::store::{Credentials, Encryption, Overruled, Settings};
use ecosight_datasets::tracks::{Backlog, Tracks};
use serde::Serialize;

use super::ls::time;
use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::escape::one_line;
use crate::cli::ingest::rules;
use crate::cli::printer::Printer;
use crate::cli::root::size;
use crate::cli::session::{Globals, absolute};

/// One line: what is used, and what says so.
#[derive(Serialize)]
struct Used {
    value: String,
    from: String,
}

/// The document.
#[derive(Serialize)]
struct Report {
    /// `s3` where uploads go to a bucket, else `local`.
    used: &'static str,
    why: String,
    extracted_audio: String,
    bucket: Option<Used>,
    credentials: Option<String>,
    region: Used,
    endpoint: Option<Used>,
    encryption: Option<String>,
    cloudfront: Option<String>,
    signed_urls: bool,
    cache: String,
    /// Whether recordings stay in the data root once they are in the bucket.
    keep_local: bool,
    /// Variables in `.env` that those of the shell go before.
    overruled: Vec<Overruled>,
    /// What is still to be uploaded; nothing where there is no index yet.
    outbox: Option<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    recordings: u64,
    bytes: u64,
    since: Option<String>,
    /// Recordings that do not wait, and that nobody knows to be in this bucket: they are in another one, or were taken in before there was one.
    not_in_bucket: u64,
}

/// Runs the verb.
pub(crate) fn status(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let access = globals.access()?;
    let settings = &access.settings;
    let local = absolute(&globals.layout.extracted_audio())?;
    let (used, why, extracted_audio) = match settings.configured() {
        Ok(place) => {
            let why = "a bucket and credentials are configured".to_owned();
            ("s3", why, place.join("extracted_audio").to_string())
        }
        Err(why) => ("local", why.to_owned(), local.display().to_string()),
    };
    let report = Report {
        used,
        why,
        extracted_audio,
        bucket: settings.bucket.as_ref().map(|(place, from)| Used { value: place.to_string(), from: from.clone() }),
        credentials: settings.credentials.as_ref().map(Credentials::origin),
        region: Used { value: settings.region.value.clone(), from: settings.region.origin.clone() },
        endpoint: settings
            .endpoint
            .as_ref()
            .map(|endpoint| Used { value: endpoint.value.clone(), from: endpoint.origin.clone() }),
        encryption: encryption(settings),
        cloudfront: settings.cloudfront.as_ref().map(|distribution| distribution.domain.clone()),
        signed_urls: settings.cloudfront.as_ref().is_some_and(|distribution| distribution.key_pair.is_some()),
        cache: access.cache.folder().display().to_string(),
        keep_local: rules(globals, access)?.keep_local,
        overruled: settings.environment.overruled(),
        outbox: waiting(globals)?,
    };
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    Ok(ExitStatus::Ok)
}

fn waiting(globals: &Globals) -> Result<Option<Waiting>, CliError> {
    let Some(tracks) = Tracks::find(&globals.layout)? else { return Ok(None) };
    let Backlog { count, bytes, oldest_ms } = tracks.backlog()?;
    let settings = &globals.access()?.settings;
    let not_in_bucket = match settings.configured() {
        Ok(place) => {
            let waiting: BTreeSet<_> = tracks.outbox()?.into_iter().map(|waiting| waiting.key).collect();
            let missing = tracks.missing(&settings.identity(place))?;
            missing.into_iter().filter(|key| !waiting.contains(key)).count() as u64
        }
        Err(_) => 0,
    };
    Ok(Some(Waiting { recordings: count, bytes, since: oldest_ms.map(time), not_in_bucket }))
}

fn encryption(settings: &Settings) -> Option<String> {
    settings.encryption.as_ref().map(|encryption| match encryption {
        Encryption::Aes256 => "AES256".to_owned(),
        Encryption::Kms(None) => "aws:kms".to_owned(),
        Encryption::Kms(Some(key)) => format!("aws:kms with key {key}"),
    })
}

fn backlog(waiting: &Waiting) -> String {
    let Waiting { recordings, bytes, since, not_in_bucket } = waiting;
    let since = since.as_ref().map(|since| format!(", the oldest since {since}")).unwrap_or_default();
    let others = match not_in_bucket {
        0 => String::new(),
        count => {
            format!("; {count} more are not known to be in this bucket: `ecosight storage sync` uploads what it lacks")
        }
    };
    format!("{recordings} recording(s) to upload, {}{since}{others}", size(*bytes))
}

fn text(report: &Report) -> String {
    let used = |used: &Used| format!("{} (from {})", used.value, used.from);
    let none = || "–".to_owned();
    let signed = if report.signed_urls { " (URLs are signed)" } else { "" };
    let lines = [
        ("used", format!("{}: {}", report.used, report.why)),
        ("uploads", report.extracted_audio.clone()),
        ("bucket", report.bucket.as_ref().map_or_else(none, used)),
        ("credentials", report.credentials.clone().unwrap_or_else(none)),
        ("region", used(&report.region)),
        ("endpoint", report.endpoint.as_ref().map_or_else(|| "Amazon's".to_owned(), used)),
        ("encryption", report.encryption.clone().unwrap_or_else(|| "as the bucket says".to_owned())),
        ("cloudfront", report.cloudfront.as_ref().map_or_else(none, |domain| format!("{domain}{signed}"))),
        ("cache", report.cache.clone()),
        ("local copy", if report.keep_local { "stays" } else { "is dropped once it is uploaded" }.to_owned()),
        ("outbox", report.outbox.as_ref().map_or_else(none, backlog)),
    ];
    let notes = report.overruled.iter().map(|overruled| ("note", overruled.to_string()));
    lines.into_iter().chain(notes).map(|(name, value)| format!("{name:<12} {}\n", one_line(&value))).collect()
}

//! `ecosight storage sync`: uploads everything that waits.

use std::collections::BTreeSet;

use ecosight_datasets::layout::{Area, AudioKey};
use ecosight_datasets::removals::Removals;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::Store;
use ecosight_datasets::tracks::Tracks;
use ecosight_stages::Event;
use ecosight_stages::ingest::{Sent, Which};
use serde::Serialize;

use super::outbox::hint;
use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::ingest::{Hurry, open};
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::cli::session::Globals;

/// The document.
#[derive(Serialize)]
struct Report {
    uploaded: u64,
    failed: u64,
    /// What other processes upload at this moment.
    busy: u64,
    waiting: u64,
    last_error: Option<String>,
    hint: Option<String>,
}

/// Runs the verb.
pub(crate) fn sync(dry_run: bool, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let settings = &globals.access()?.settings;
    let place = settings.configured().map_err(|why| {
        CliError::usage(
            format!("there is no bucket to upload to: {why}"),
            "`ecosight storage status` shows what is set",
        )
    })?;
    let bucket = settings.identity(place);
    if dry_run {
        return preview(&would_upload(&bucket, globals)?, printer);
    }
    let ingest = open(globals, Hurry::No)?;
    ingest.tracks().enqueue_missing(&bucket, globals.started.timestamp_millis())?;
    let progress = Progress::new(printer);
    let total = ingest.tracks().backlog()?.count;
    let mut done = 0;
    let drained = ingest.drain(Which::All, usize::MAX, &|| globals.is_cancelled(), &mut |waiting, sent| {
        done += 1;
        progress.show(&Event::Progress { stage: "sync", done, total, unit: "recordings" });
        if let Sent::Failed { error, .. } = sent {
            progress.show(&Event::Warning { stage: "sync", message: format!("`{}`: {error}", waiting.key) });
        }
    })?;
    progress.clear();
    let report = Report {
        uploaded: drained.uploaded,
        failed: drained.failed,
        busy: drained.busy,
        waiting: ingest.tracks().backlog()?.count,
        last_error: drained.last.as_ref().map(|(error, _)| error.clone()),
        hint: drained.last.as_ref().map(|(_, trouble)| hint(trouble)),
    };
    if printer.json {
        printer.document(&report)?;
    } else {
        let text = format!("{} uploaded, {} still waiting\n", report.uploaded, report.waiting);
        printer.outcome(report.uploaded + report.waiting > 0, &text)?;
        if let Some(hint) = &report.hint {
            printer.alert(&format!("hint: {hint}"));
        }
    }
    if globals.is_cancelled() {
        return Err(CliError::interrupted("run the same command again for the rest"));
    }
    Ok(if report.waiting == 0 { ExitStatus::Ok } else { ExitStatus::Store })
}

/// What waits, and what would be put in line; nothing is written to find it out.
fn would_upload(bucket: &str, globals: &Globals) -> Result<Vec<String>, CliError> {
    let Some(tracks) = Tracks::find(&globals.layout)? else {
        // The index that `sync` makes would know all recordings that are here.
        if !globals.layout.extracted_audio().is_dir() {
            return Ok(Vec::new());
        }
        let store = Store::folder(globals.layout.root())?;
        let objects = block_on(store.list_below(Area::ExtractedAudio.name()))?.objects;
        let mut keys: Vec<_> = objects.into_iter().map(|object| object.uri).collect();
        let removals = Removals::read(&globals.layout)?;
        let is_removed = |key: &String| removals.iter().any(|removal| removal.key == *key);
        keys.retain(|key| AudioKey::parse(key).is_some() && !is_removed(key));
        keys.sort();
        return Ok(keys);
    };
    let mut keys: Vec<_> = tracks.outbox()?.into_iter().map(|waiting| waiting.key).collect();
    let waiting: BTreeSet<_> = keys.iter().cloned().collect();
    keys.extend(tracks.missing(bucket)?.into_iter().filter(|key| !waiting.contains(key)));
    Ok(keys)
}

/// Shows what would be uploaded, in order.
fn preview(keys: &[String], printer: &Printer) -> Result<ExitStatus, CliError> {
    if printer.json {
        printer.document(&serde_json::json!({ "would_upload": keys }))?;
    } else {
        printer.list(keys)?;
        printer.note(&format!("{} to upload", keys.len()));
    }
    Ok(ExitStatus::Ok)
}

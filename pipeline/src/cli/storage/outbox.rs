//! `ecosight storage outbox`: what is still to be uploaded, and what keeps it.

use chrono::{DateTime, SecondsFormat};
use ecosight_datasets::store::Trouble;
use ecosight_datasets::tracks::{Backlog, Tracks, Waiting};
use serde::Serialize;

use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::ingest::warn_of_half_configuration;
use crate::cli::printer::Printer;
use crate::cli::report::{duration, table};
use crate::cli::root::size;
use crate::cli::session::Globals;

/// Rows that are shown to people; programs get all.
const SHOWN: usize = 20;

/// The document.
#[derive(Serialize)]
struct Report {
    count: u64,
    size_bytes: u64,
    oldest_s: Option<i64>,
    last_error: Option<Failure>,
    waiting: Vec<Entry>,
}

#[derive(Serialize)]
struct Failure {
    key: String,
    trouble: Option<String>,
    message: String,
    hint: String,
}

#[derive(Serialize)]
struct Entry {
    position: i64,
    key: String,
    queued_at: String,
    attempts: u32,
    next_try_at: Option<String>,
    trouble: Option<String>,
    last_error: Option<String>,
}

/// Runs the verb.
pub(crate) fn outbox(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    warn_of_half_configuration(globals, printer)?;
    let tracks = Tracks::find(&globals.layout)?;
    let (backlog, waiting) = match &tracks {
        Some(tracks) => (tracks.backlog()?, tracks.outbox()?),
        None => (Backlog::default(), Vec::new()),
    };
    // Whoever rests longest has failed most often or last.
    let worst = waiting.iter().filter(|waiting| waiting.last_error.is_some()).max_by_key(|waiting| waiting.next_try_ms);
    let report = Report {
        count: backlog.count,
        size_bytes: backlog.bytes,
        oldest_s: backlog.oldest_ms.map(|oldest| (globals.started.timestamp_millis() - oldest).max(0) / 1000),
        last_error: worst.map(failure),
        waiting: waiting.iter().map(entry).collect(),
    };
    if printer.json {
        printer.document(&report)?;
        return Ok(ExitStatus::Ok);
    }
    if report.count == 0 {
        printer.result("the outbox is empty\n")?;
        return Ok(ExitStatus::Ok);
    }
    let rows = report.waiting.iter().take(SHOWN).map(|entry| {
        let trouble = entry.trouble.clone().unwrap_or_else(|| "–".to_owned());
        vec![entry.key.clone(), entry.queued_at.clone(), entry.attempts.to_string(), trouble]
    });
    printer.result(&table(&["waits for its upload", "since", "tries", "last failure"], rows))?;
    let oldest = report.oldest_s.map_or_else(String::new, |s| format!("; the oldest waits for {}", duration(s as f64)));
    printer.note(&format!("{} waiting, {}{oldest}", report.count, size(report.size_bytes)));
    match &report.last_error {
        Some(last) => {
            printer.note(&format!("last error: {}", last.message));
            printer.note(&format!("hint: {}", last.hint));
        }
        None => printer.note("hint: `ecosight storage sync` uploads them now"),
    }
    Ok(ExitStatus::Ok)
}

fn failure(waiting: &Waiting) -> Failure {
    let trouble = waiting.trouble.as_deref();
    Failure {
        key: waiting.key.clone(),
        trouble: waiting.trouble.clone(),
        message: waiting.last_error.clone().unwrap_or_default(),
        hint: hint(trouble.unwrap_or_default()),
    }
}

/// What to do about the trouble with an upload.
pub(super) fn hint(trouble: &str) -> String {
    if let Some(known) = Trouble::of_code(trouble) {
        return known.hint("write object");
    }
    match trouble {
        "local_file" => "the recording is gone or damaged; `ecosight storage reindex` looks what there is",
        "conflict" => "the bucket has other bytes under this name; `ecosight storage verify` compares the two",
        _ => "`ecosight storage sync` tries again",
    }
    .to_owned()
}

fn entry(waiting: &Waiting) -> Entry {
    let time =
        |ms: i64| DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    Entry {
        position: waiting.position,
        key: waiting.key.clone(),
        queued_at: time(waiting.queued_ms).unwrap_or_default(),
        attempts: waiting.attempts,
        next_try_at: time(waiting.next_try_ms).filter(|_| waiting.attempts > 0),
        trouble: waiting.trouble.clone(),
        last_error: waiting.last_error.clone(),
    }
}

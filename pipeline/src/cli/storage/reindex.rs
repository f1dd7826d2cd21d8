//! `ecosight storage reindex`: the table of tracks and the outbox, made again from the recordings.

use ecosight_datasets::tracks::{ACTION, Tracks};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use ecosight_stages::ingest::{Reindexed, survey};

use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::ingest::{Hurry, open, store};
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Names of strange files that are shown to people; programs get all.
const SHOWN: usize = 10;

/// Runs the verb.
pub(crate) fn reindex(dry_run: bool, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    if dry_run {
        return preview(globals, printer);
    }
    match Tracks::find(&globals.layout).and_then(|tracks| tracks.map(|tracks| tracks.check()).transpose()) {
        Err(error) if error.action == ACTION && matches!(error.kind, DatasetErrorKind::Invalid(_)) => {
            let aside = Tracks::set_aside(&globals.layout, &globals.started.format("%Y%m%d-%H%M%S").to_string())?;
            printer.warning(&format!("{}; it lies in `{}` now", error.kind, aside.display()));
        }
        other => drop(other?),
    }
    let done = open(globals, Hurry::No)?.reindex()?;
    tell(&done, "", printer)
}

/// What the index would be. A damaged one counts as empty.
fn preview(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let known = |tracks: Tracks| Ok::<_, DatasetError>((tracks.all()?, tracks.withdrawn()?));
    let (known, withdrawn) = match Tracks::find(&globals.layout).and_then(|tracks| tracks.map(known).transpose()) {
        Err(error) if error.action == ACTION && matches!(error.kind, DatasetErrorKind::Invalid(_)) => {
            printer.warning(&format!("{}; it would be moved aside", error.kind));
            Default::default()
        }
        found => found?.unwrap_or_default(),
    };
    let store = store(globals.access()?, Hurry::No)?;
    let now_ms = globals.started.timestamp_millis();
    let found = survey(&globals.layout, store.as_ref(), now_ms, &known, &withdrawn)?;
    tell(&found, "would be ", printer)
}

fn tell(done: &Reindexed, would_be: &str, printer: &Printer) -> Result<ExitStatus, CliError> {
    if printer.json {
        printer.document(done)?;
        return Ok(ExitStatus::Ok);
    }
    let lines = [
        format!("{} recordings in the data root", done.local),
        format!("{} recordings in the bucket", done.bucket),
        format!("{} to be uploaded", done.waiting),
        format!("{} rows {would_be}added, {} {would_be}dropped", done.added, done.dropped),
    ];
    printer.list(lines)?;
    for name in done.strange.iter().take(SHOWN) {
        printer.warning(&format!("`{name}` is no recording of a class"));
    }
    if !done.strange.is_empty() {
        let count = done.strange.len();
        printer
            .note(&format!("{count} strange name(s) were left out; `ecosight storage fix-keys` proposes better ones"));
    }
    Ok(ExitStatus::Ok)
}

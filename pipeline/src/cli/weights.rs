//! `ecosight weights`: fetches, imports and lists the weights of YAMNet.

use std::ops::ControlFlow;
use std::path::Path;

use ecosight_datasets::download::{Progress, fetch};
use ecosight_models::ModelError;
use ecosight_models::weights::{OFFICIAL_SHA256, OFFICIAL_URL, WeightsRecord};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{WeightsArgs, WeightsVerb};
use super::error::CliError;
use super::printer::Printer;
use super::report;
use super::session::{Globals, absolute, now};
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn weights(args: &WeightsArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    match &args.verb {
        WeightsVerb::Fetch { url } => download(url.as_deref().unwrap_or(OFFICIAL_URL), globals, printer),
        WeightsVerb::Import { file } => import(file, &absolute(file)?.display().to_string(), globals, printer),
        WeightsVerb::List => list(globals, printer),
    }
}

fn download(url: &str, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    // What is damaged, record or weights, is fetched anew.
    let is_sound = |record: &WeightsRecord| record.official && globals.weights.load(&record.content_hash).is_ok();
    if let Some(record) = globals.weights.current().ok().flatten().filter(is_sound) {
        printer.note("the official weights are already there");
        return show(&record, printer);
    }
    let destination = globals.weights_folder().join("yamnet.h5");
    let bar = if printer.is_interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left") {
        bar.set_style(style);
    }
    printer.note(&format!("fetching {url}"));
    let done = fetch(url, OFFICIAL_SHA256, &destination, &mut |Progress { done, total }| {
        bar.set_length(total.unwrap_or(0));
        bar.set_position(done);
        if globals.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let done = done.map_err(|error| {
        let hint = "run it again to go on; on a machine without network, bring the file and use `ecosight weights import FILE`";
        CliError::from(error).with_hint(hint)
    })?;
    if !done {
        return Err(CliError::interrupted("run it again: it goes on where it stopped"));
    }
    let status = import(&destination, url, globals, printer)?;
    // The import keeps its own copy.
    std::fs::remove_file(&destination)?;
    Ok(status)
}

fn import(file: &Path, source: &str, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let imported_at = now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let record = globals.weights.import(file, source, &imported_at).map_err(ModelError::from)?;
    if !record.official {
        printer.warning(&format!(
            "this is not the published file: its SHA-256 is {}, the published one's {OFFICIAL_SHA256}; \
             it has all tensors of YAMNet and is used as it is",
            record.source_sha256
        ));
    }
    show(&record, printer)
}

fn show(record: &WeightsRecord, printer: &Printer) -> Result<ExitStatus, CliError> {
    if printer.json {
        printer.document(record)?;
    } else {
        let origin = if record.official { "official" } else { "not official" };
        printer.result(&format!(
            "yamnet {} from {} ({origin})\n",
            &record.content_hash.as_str()[..12],
            record.source
        ))?;
    }
    Ok(ExitStatus::Ok)
}

fn list(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let records = globals.weights.list().map_err(ModelError::from)?;
    let current = globals.weights.current().map_err(ModelError::from)?.map(|record| record.content_hash);
    if printer.json {
        printer.document(
            &serde_json::json!({ "folder": globals.weights_folder(), "current": current, "weights": records }),
        )?;
        return Ok(ExitStatus::Ok);
    }
    if records.is_empty() {
        printer.note("there are no weights yet");
        printer.note("hint: `ecosight weights fetch`, or `ecosight weights import FILE`");
        return Ok(ExitStatus::Ok);
    }
    let rows = records.iter().map(|record| {
        let is_current = current.as_ref() == Some(&record.content_hash);
        let state = if is_current { "current" } else { "" };
        let origin = if record.official { "yes" } else { "no" };
        [&record.content_hash.as_str()[..12], state, origin, &record.source, &record.source_sha256, &record.imported_at]
            .map(str::to_owned)
            .to_vec()
    });
    printer.result(&report::table(&["weights", "", "official", "from", "SHA-256", "imported"], rows))?;
    printer.note(&format!("in {}", globals.weights_folder().display()));
    Ok(ExitStatus::Ok)
}

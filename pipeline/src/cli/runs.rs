//! `ecosight runs`: what happened in this data root.

mod diff;
mod record;
mod show;

use super::args::{RunsArgs, RunsVerb};
use super::error::CliError;
use super::printer::Printer;
use super::report::listing;
use super::root::must_exist;
use super::run_report;
use super::session::Globals;
use crate::ExitStatus;
use record::RunFile;

/// Runs the verb.
pub(crate) fn runs(args: &RunsArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    match &args.verb {
        RunsVerb::List => list(globals, printer),
        RunsVerb::Show { run } => show::show(&RunFile::find(&globals.layout, run)?, printer),
        RunsVerb::Report { run } => report(&RunFile::find(&globals.layout, run)?, globals, printer),
        RunsVerb::Diff { before, after, format } => {
            let [before, after] = [before, after].map(|run| RunFile::find(&globals.layout, run));
            diff::diff(&before?, &after?, *format, printer)
        }
    }
}

/// Writes the report of a run.
fn report(run: &RunFile, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let none = || {
        CliError::failed(format!("run `{}` has evaluated no model", run.id), "`ecosight runs list` shows which run has")
    };
    let page = run_report::write(&run.record, globals)?.ok_or_else(none)?;
    if printer.json {
        let card = run.text("model").map(|model| globals.layout.model(model).join(run_report::CARD));
        printer.document(&serde_json::json!({ "run_id": run.id, "report": page, "model_card": card }))?;
    } else {
        printer.line(&page.display().to_string())?;
    }
    Ok(ExitStatus::Ok)
}

fn list(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let runs: Vec<RunFile> =
        RunFile::ids(&globals.layout)?.iter().map(|id| RunFile::read(&globals.layout, id)).collect();
    if printer.json {
        printer.document(&runs.iter().map(RunFile::summary).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Ok);
    }
    if runs.is_empty() {
        printer.note("there was no run yet; `ecosight retrain` makes one");
        return Ok(ExitStatus::Ok);
    }
    let rows = runs.iter().map(|run| {
        let seconds = run.seconds().map_or("–".to_owned(), |seconds| format!("{seconds:.1} s"));
        let leaky = if run.is_leaky() { ", leaky" } else { "" };
        let subset = run.test_subset_accuracy().map(|accuracy| (accuracy, ", subset accuracy"));
        let accuracy = run.test_accuracy().map(|accuracy| (accuracy, "")).or(subset);
        let accuracy =
            accuracy.map_or("–".to_owned(), |(accuracy, of)| format!("{:.1} %{of}{leaky}", 100.0 * accuracy));
        let model = run.text("model").unwrap_or("–").to_owned();
        vec![run.id.clone(), run.started(), seconds, run.exit_in_short(), run.computed().to_string(), accuracy, model]
    });
    printer.result(&listing(&["run", "started", "time", "exit", "rows computed", "test accuracy", "model"], rows))?;
    Ok(ExitStatus::Ok)
}

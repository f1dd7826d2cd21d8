//! `ecosight retrain`: runs the declared pipeline.

use std::sync::Mutex;
use std::time::Instant;

use ecosight_datasets::manifest::Source;
use ecosight_stages::Event;
use ecosight_stages::embed::Embed;

use super::args::RetrainArgs;
use super::error::CliError;
use super::last_run::LastRun;
use super::printer::Printer;
use super::progress::Progress;
use super::report;
use super::session::{Globals, parameters};
use crate::ExitStatus;
use crate::engine::{Lock, Pipeline, Record, RunError, RunOutcome, Selection, preflight, run};

/// Runs the verb.
pub(crate) fn retrain(args: &RetrainArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let seed: Vec<String> = args.seed.map(|seed| format!("train.seed={seed}")).into_iter().collect();
    let pipeline = globals.pipeline(&args.pipeline, &seed)?;
    let source = globals.source(&args.pipeline)?;
    let selection = Selection { to: args.to.clone(), only: args.only.clone() };
    if args.dry_run {
        return dry_run(&selection, &pipeline, &source, globals, printer);
    }
    if selection.only.as_deref() == Some("train") {
        // What a model was made from is what the pipeline says, or there is no model.
        parameters::<Embed>(&pipeline, "embed")?.check_table(&globals.layout)?;
    }
    let outcome = execute(&selection, &pipeline, &source, globals, printer)?;
    if printer.verbose {
        printer.note(&format!("\n{}", report::timings(&outcome.timings).trim_end()));
    }
    if printer.json {
        printer.document(&outcome)?;
    } else {
        printer.result(&report::summary(&outcome, globals.layout.root()))?;
    }
    Ok(ExitStatus::Ok)
}

/// Runs the selected stages with progress and a run record.
pub(crate) fn execute(
    selection: &Selection,
    pipeline: &Pipeline,
    source: &Source,
    globals: &Globals,
    printer: &Printer,
) -> Result<RunOutcome, CliError> {
    let clock = Instant::now();
    let name = globals.run_name();
    let stages = selection.of(pipeline)?;
    // What cannot run, or may not run now, leaves no record.
    if let Err(error) = preflight(&stages, &globals.context(source, &name, pipeline.max_failed, &|_| {})) {
        // What is missing may be in the making.
        if globals.layout.lock().exists() {
            Lock::take(&globals.layout.lock(), &name.started_at).map_err(RunError::from)?;
        }
        return Err(error.into());
    }
    let lock = Lock::take(&globals.layout.lock(), &name.started_at).map_err(RunError::from)?;
    globals.warn_of_changes(pipeline, source, printer);
    let record = Mutex::new(Record::create(&globals.layout, &name.id, &name.started_at, source, &pipeline.table)?);
    let progress = Progress::new(printer);
    let events = |event: Event| {
        progress.show(&event);
        if let Err(error) = record.lock().map_or(Ok(()), |mut record| record.note(&event)) {
            printer.warning(&format!("the run record cannot be written: {error}"));
        }
    };
    let result = run(&stages, &globals.context(source, &name, pipeline.max_failed, &events), &lock);
    progress.clear();
    let record = record.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let exit = result.as_ref().map_or_else(|error| describe(error), |()| "ok".to_owned());
    let outcome = record.finish(clock.elapsed().as_secs_f64(), &exit);
    let has_manifest = |outcome: &RunOutcome| outcome.stages.iter().any(|(stage, _)| stage == "manifest");
    let kept = if outcome.as_ref().is_ok_and(has_manifest) {
        LastRun { source: source.clone(), pipeline: pipeline.table.clone() }.write(&globals.layout)
    } else {
        Ok(())
    };
    // What stopped the run comes before what its record met.
    result?;
    kept?;
    Ok(outcome?)
}

/// An error with its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn dry_run(
    selection: &Selection,
    pipeline: &Pipeline,
    source: &Source,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitStatus, CliError> {
    let stages = selection.of(pipeline)?;
    let name = globals.run_name();
    preflight(&stages, &globals.context(source, &name, pipeline.max_failed, &|_| {}))?;
    let names: Vec<&str> = stages.iter().map(|stage| stage.definition.name).collect();
    if printer.json {
        let root = globals.layout.root();
        printer.document(&serde_json::json!({ "source": source.to_string(), "data_root": root, "stages": names }))?;
        return Ok(ExitStatus::Ok);
    }
    let mut text = format!("would read {} and write {}:\n", source, globals.layout.root().display());
    for stage in &stages {
        text.push_str(&format!("  {:<9} {}\n", stage.definition.name, stage.definition.about));
    }
    printer.result(&text)?;
    Ok(ExitStatus::Ok)
}

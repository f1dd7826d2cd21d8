//! A run as a command starts it: under the lock, with progress, a run record, and whoever else wants to hear of it.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ecosight_datasets::manifest::Source;
use ecosight_stages::publish::Gate;
use ecosight_stages::{Context, Event, StageErrorKind};

use super::error::CliError;
use super::last_run::LastRun;
use super::printer::Printer;
use super::progress::Progress;
use super::run_report;
use super::session::{Globals, now};
use crate::engine::{Lock, LockError, Pipeline, Record, RunError, RunOutcome, Selection, describe, preflight, run};

/// How long to wait before the lock is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Whoever else hears of a run, and what it does when another has the data root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sinks {
    /// Where events go as lines of JSON: a file, or `-` for stdout.
    pub(crate) events: Option<String>,
    /// Command that is run when the run has ended, with the path of its record.
    pub(crate) on_finish: Option<String>,
    /// Whether to wait for another run to end.
    pub(crate) wait: bool,
    /// Whether to publish a model that the gate refuses.
    pub(crate) force_publish: bool,
    /// Whether to go on although the source has lost recordings of the model in production.
    pub(crate) allow_loss: bool,
    /// Why it is run, for the history of models.
    pub(crate) reason: Option<String>,
}

/// Runs the selected stages with progress and a run record. That the gate refuses the model is no error yet: see [`refused`].
pub(crate) fn execute(
    selection: &Selection<'_>,
    pipeline: &Pipeline,
    source: &Source,
    globals: &Globals,
    sinks: &Sinks,
    printer: &Printer,
) -> Result<RunOutcome, CliError> {
    let name = globals.run_name();
    // What cannot run, or may not run now, leaves no record.
    let check = || preflight(selection, &globals.context(source, &name, pipeline.into(), &|_| {}));
    let checked = check();
    if checked.is_err() && !globals.layout.lock().exists() {
        checked?;
    }
    // What is missing may be in the making.
    let lock = take_lock(globals, sinks.wait, printer)?;
    let clock = Instant::now();
    check()?;
    globals.warn_of_changes(pipeline, source, printer);
    let stream = sinks.events.as_deref().map(open_stream).transpose()?.map(Mutex::new);
    let record = Mutex::new(Record::create(&globals.layout, &name.id, &name.started_at, source, pipeline)?);
    let progress = Progress::new(printer);
    let events = |event: Event| {
        progress.show(&event);
        // From here on the source is known to be one; a run that is killed later need not be told it again.
        if let Event::StageFinished { stage: "manifest", .. } | Event::StageFresh { stage: "manifest", .. } = event
            && let Err(error) = LastRun::write(source, &pipeline.table, &globals.layout)
        {
            printer.warning(&format!("the source cannot be remembered: {}", error.chain().join(": ")));
        }
        if let Some(Ok(mut stream)) = stream.as_ref().map(Mutex::lock)
            && let Ok(line) = serde_json::to_string(&event)
        {
            // A reader that has gone away does not stop the run.
            let _ = writeln!(stream, "{line}");
        }
        if let Err(error) = record.lock().map_or(Ok(()), |mut record| record.note(&event)) {
            printer.warning(&format!("the run record cannot be written: {error}"));
        }
    };
    let context = Context {
        force_publish: sinks.force_publish,
        allow_loss: sinks.allow_loss,
        reason: sinks.reason.as_deref(),
        ..globals.context(source, &name, pipeline.into(), &events)
    };
    let result = run(selection, &context, &lock);
    progress.clear();
    let record = record.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let exit = result.as_ref().map_or_else(|error| describe(error), |()| "ok".to_owned());
    let outcome = record.finish(clock.elapsed().as_secs_f64(), &exit);
    if let Ok(outcome) = &outcome {
        report(outcome, result.is_err(), globals, printer);
    }
    drop(lock);
    if let Some(command) = &sinks.on_finish {
        tell(command, &globals.layout.run(&name.id).join("run.json"), printer);
    }
    match result {
        // A model that was refused is told of as any other; `refused` ends the command.
        Err(RunError::Stage(error)) if matches!(*error.kind, StageErrorKind::Refused { .. }) => Ok(outcome?),
        // What stopped the run comes before what its record met.
        Err(error) => Err(error.into()),
        Ok(()) => Ok(outcome?),
    }
}

/// The error of a run whose model the gate has refused, once all of it was told.
pub(crate) fn refused(outcome: &RunOutcome) -> Result<(), CliError> {
    outcome.gate.as_ref().and_then(Gate::refusal).map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// Writes the report of a run that has evaluated a model. That this fails is no failure of the run.
fn report(outcome: &RunOutcome, has_failed: bool, globals: &Globals, printer: &Printer) {
    let is_new = outcome.stages.iter().any(|stage| stage.stage == "evaluate" && stage.status == "ok");
    if !is_new || globals.is_cancelled() {
        return;
    }
    let clock = Instant::now();
    // Not even a mistake of ours in a picture may cost a model that was trained and published.
    let written = catch_unwind(AssertUnwindSafe(|| run_report::write(&serde_json::to_value(outcome)?, globals)));
    match written.unwrap_or_else(|_| Err(CliError::bug())) {
        Ok(Some(page)) if has_failed => printer.note(&format!("report  {}", page.display())),
        Ok(_) if printer.verbose => printer.note(&format!("report written in {:.1} s", clock.elapsed().as_secs_f64())),
        Ok(_) => {}
        Err(error) => printer.warning(&format!("the report cannot be written: {}", error.chain().join(": "))),
    }
}

/// Takes the lock of the data root, or waits for it if that is wanted.
fn take_lock(globals: &Globals, wait: bool, printer: &Printer) -> Result<Lock, CliError> {
    let mut is_told = false;
    loop {
        match Lock::take(&globals.layout.lock(), now()) {
            Err(error @ LockError::Held { .. }) if wait => {
                if !is_told {
                    printer.note(&format!("{error}; waiting for its end"));
                    is_told = true;
                }
                if globals.is_cancelled() {
                    return Err(CliError::interrupted("nothing was changed"));
                }
                std::thread::sleep(AGAIN);
            }
            result => return Ok(result.map_err(RunError::from)?),
        }
    }
}

fn open_stream(to: &str) -> Result<Box<dyn Write + Send>, CliError> {
    if to == "-" {
        return Ok(Box::new(LineWriter::new(std::io::stdout())));
    }
    let file = File::create(to);
    let hint = "name a file that can be written, or `-` for stdout: `--events -`";
    let file = file.map_err(|error| CliError::usage(format!("cannot write events to `{to}`: {error}"), hint))?;
    Ok(Box::new(LineWriter::new(file)))
}

/// Runs the user's command with the path of the record as its last word.
fn tell(command: &str, record: &Path, printer: &Printer) {
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, words)) = words.split_first() else {
        printer.warning("`--on-finish` names no command");
        return;
    };
    // Stdout may hold one JSON document, or events.
    let stdout = std::process::Stdio::from(std::io::stderr());
    match std::process::Command::new(program).args(words).arg(record).stdout(stdout).status() {
        Ok(status) if status.success() => {}
        Ok(status) => printer.warning(&format!("`--on-finish {command}` ended with {status}")),
        Err(error) => printer.warning(&format!("`--on-finish {command}` cannot be run: {error}")),
    }
}

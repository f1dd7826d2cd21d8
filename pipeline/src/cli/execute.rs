//! A run as a command starts it: under the lock, with progress, a run record, and listeners.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::snapshot::{Snapshot, vacuum};
use ecosight_stages::publish::Gate;
use ecosight_stages::{Context, Event, StageErrorKind};

use super::error::CliError;
use super::last_run::LastRun;
use super::listeners::Listeners;
use super::printer::Printer;
use super::progress::Progress;
use super::run_report;
use super::session::{Globals, now, time_of_day};
use crate::engine::{Lock, LockError, OK, Pipeline, Record, RunError, RunOutcome, Selection, describe, preflight, run};

/// How long to wait before the lock is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// How a run is started, and who is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Sinks<'a> {
    /// Who is told of it.
    pub(crate) listeners: &'a Listeners,
    /// Whether to wait for another run to end.
    pub(crate) wait: bool,
    /// Whether to publish a model that the gate refuses.
    pub(crate) force_publish: bool,
    /// Whether to go on although the source has lost recordings of the model in production.
    pub(crate) allow_loss: bool,
    /// Why it is run, for the history of models.
    pub(crate) reason: Option<&'a str>,
}

impl<'a> Sinks<'a> {
    /// A run that tells `listeners`, waits for no other, and takes the gate and losses as they are.
    pub(crate) fn plain(listeners: &'a Listeners) -> Self {
        Self { listeners, wait: false, force_publish: false, allow_loss: false, reason: None }
    }
}

/// Runs the selected stages with progress and a run record. That the gate refuses the model is no error yet: see [`refused`].
pub(crate) fn execute(
    selection: &Selection<'_>,
    pipeline: &Pipeline,
    source: &Source,
    globals: &Globals,
    sinks: &Sinks<'_>,
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
    sinks.listeners.begin()?;
    let record = Mutex::new(Record::begin(&globals.layout, &name.id, &name.started_at, source, pipeline)?);
    let progress = Progress::new(printer);
    let events = |event: Event| {
        progress.show(&event);
        // From here on the source is known to be one; a run that is killed later need not be told it again.
        if let Event::StageFinished { stage: "manifest", .. } | Event::StageFresh { stage: "manifest", .. } = event
            && let Err(error) = LastRun::write(source, &pipeline.table, &globals.layout)
        {
            printer.warning(&format!("the source cannot be remembered: {}", error.chain().join(": ")));
        }
        let time = time_of_day();
        sinks.listeners.event(&event, &time);
        if let Err(error) = record.lock().map_or(Ok(()), |mut record| record.note(&event, &time)) {
            printer.warning(&format!("the run record cannot be written: {error}"));
        }
    };
    let context = Context {
        force_publish: sinks.force_publish,
        allow_loss: sinks.allow_loss,
        reason: sinks.reason,
        ..globals.context(source, &name, pipeline.into(), &events)
    };
    let result = run(selection, &context, &lock);
    progress.clear();
    let record = record.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let exit = result.as_ref().map_or_else(|error| describe(error), |()| OK.to_owned());
    let snapshot = snapshot(&globals.layout, printer);
    let outcome = record.finish(clock.elapsed().as_secs_f64(), &exit, snapshot);
    if let Ok(outcome) = &outcome {
        report(outcome, result.is_err(), globals, printer);
        sinks.listeners.ran(outcome, globals.layout.run(&name.id).join("run.json"));
    }
    drop(lock);
    match result {
        // A model that was refused is told of as any other; `refused` ends the command.
        Err(RunError::Stage(error)) if matches!(*error.kind, StageErrorKind::Refused { .. }) => Ok(outcome?),
        // What stopped the run comes before what its record met.
        Err(error) => Err(error.into()),
        Ok(()) => Ok(outcome?),
    }
}

/// Makes the tables as they are now the latest snapshot, and removes files of earlier ones that nobody wants any more. That this fails is no failure of
/// the run.
fn snapshot(layout: &Layout, printer: &Printer) -> Option<Snapshot> {
    let now = now();
    let taken = Snapshot::take(layout, &now.to_rfc3339_opts(SecondsFormat::Secs, true));
    let taken = taken.and_then(|snapshot| vacuum(layout, now).map(|_| snapshot));
    taken
        .map_err(|error| printer.warning(&format!("the snapshot of the tables was not taken: {}", describe(&error))))
        .ok()
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

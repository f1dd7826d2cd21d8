//! Execution: the selected stages, one after the other, each only if something is missing, under the lock of the data root.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ecosight_datasets::files::{Condition, FileStamp, folder_of};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use ecosight_stages::timings::process_cpu;
use ecosight_stages::{Context, Event, KeyPart, StageError, StageErrorKind};

use super::plan::{Facts, Made, PlannedWork, Verdict, at_rest, judge, key_parts, plan};
use super::quarantine::Quarantine;
use super::state::State;
use super::{Lock, LockError, PlannedStage, Selection};

/// How often a run goes through its stages, because what one finds changes what others make. Each time at least one thing more is known, so it seldom takes
/// more than two.
const MAX_PASSES: usize = 10;

/// A run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A selected stage is not in the pipeline; says which there are.
    #[error("{0}")]
    NoSuchStage(String),
    /// A stage that is to do all of its work is not to run at all.
    #[error("`{name}` is not among the stages that are to run")]
    NotSelected {
        /// The stage.
        name: String,
    },
    /// A stage that is to run alone lacks what it reads.
    #[error("stage `{stage}` reads what `{input}` makes, which is not there")]
    MissingInput {
        /// The stage.
        stage: String,
        /// The stage that makes it.
        input: String,
    },
    /// A stage that is to run alone reads what was made otherwise than declared.
    #[error("stage `{stage}` reads what `{input}` made, but that was made otherwise ({why})")]
    StaleInput {
        /// The stage.
        stage: String,
        /// The stage that made it.
        input: String,
        /// The first difference.
        why: String,
    },
    /// Another process writes the data root.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A stage stopped.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The engine's own files cannot be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

/// Finds out cheaply whether the stages could run, before anything is written.
pub fn preflight(selection: &Selection<'_>, context: &Context<'_>) -> Result<(), RunError> {
    for stage in &selection.stages {
        for input in stage.inputs() {
            if !selection.contains(&input) && State::read(context.layout, &input).is_none() {
                return Err(RunError::MissingInput { stage: stage.name.to_owned(), input });
            }
        }
        stage.stage.check(context)?;
    }
    for before in selection.checked_inputs() {
        // What the source holds by now does not matter to who reads the tables.
        if before.stage.reads().is_empty() {
            continue;
        }
        let Some(state) = State::read(context.layout, before.name) else { continue };
        for part in own_parts(before, context)? {
            if let Some(old) = state.parts.iter().find(|old| old.name == part.name && old.value != part.value) {
                let why = format!("{}: {} → {}", part.name, old.value, part.value);
                let stage = selection.stages.first().map_or(String::new(), |stage| stage.name.to_owned());
                return Err(RunError::StaleInput { stage, input: before.name.to_owned(), why });
            }
        }
    }
    Ok(())
}

/// What `stages` would do. Nothing is written.
pub fn foresee(selection: &Selection<'_>, context: &Context<'_>) -> Result<Vec<PlannedWork>, RunError> {
    let facts: Result<Vec<Facts>, _> = selection.stages.iter().map(|stage| facts(stage, selection, context)).collect();
    let facts = facts?;
    let mut foreseen = ecosight_stages::foresee::Foreseen::default();
    let mut is_blind = false;
    plan(&facts, made_before(selection, context), |position| {
        let stage = &selection.stages[position];
        let context = Context { forced: facts[position].forced.is_some(), ..*context };
        let is_known = stage
            .inputs()
            .iter()
            .all(|input| selection.contains(input) || State::read(context.layout, input).is_some());
        // Where the output of a stage cannot be foreseen, neither can the tables after it; models and pointers depend on tables of clips only.
        if (is_blind && stage.is_table()) || !is_known {
            return Ok(ecosight_stages::Forecast::default());
        }
        let forecast = stage.stage.foresee(&context, &mut foreseen);
        let forecast = forecast.map_err(|kind| StageError { stage: stage.name, kind: Box::new(kind) })?;
        is_blind |= forecast.columns.is_none() && stage.is_table();
        Ok::<_, RunError>(forecast)
    })
}

/// Runs the stages of `selection` that have something to do; the context's events tell what happens.
///
/// Where a stage asks for another pass, or a part turns out to be damaged, the stages are gone through again, and those run that are stale by then.
pub fn run(selection: &Selection<'_>, context: &Context<'_>, _lock: &Lock) -> Result<(), RunError> {
    let quarantine = Mutex::new(Quarantine::default());
    let warnings = Mutex::new(HashSet::new());
    let outer = context.events;
    // A stage that runs in a second pass reports some of it again.
    let events = |event: Event| {
        let is_new = match &event {
            Event::Quarantined(row) => locked(&quarantine).report(row),
            Event::Warning { stage, message } => locked(&warnings).insert((*stage, message.clone())),
            _ => true,
        };
        if is_new {
            outer(event);
        }
    };
    let context = &Context { events: &events, ..*context };
    let mut passes = 1;
    let mut seen = HashSet::new();
    let mut result = run_stages(selection, context, &quarantine);
    while let Err(RunError::Stage(error)) = &result {
        if let Some(part) = damaged(error)
            && seen.insert(part.clone())
        {
            set_aside(context, &part)?;
            // What read the part was not the stage that makes it: that one runs again, and makes it anew.
            let message = format!("part `{part}` is damaged; its rows are computed again");
            context.emit(Event::Warning { stage: error.stage, message });
        } else if let StageErrorKind::AnotherPass { why } = &*error.kind
            && passes < MAX_PASSES
        {
            passes += 1;
            context.emit(Event::Told { stage: error.stage, line: why.clone() });
        } else {
            break;
        }
        result = run_stages(selection, context, &quarantine);
    }
    // Those of a stage that stopped: its reasons are wanted most.
    let kept = locked(&quarantine).write(context.layout);
    result.and(kept.map_err(RunError::from))
}

/// The value behind a lock; that another thread panicked leaves it as it was.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_stages(
    selection: &Selection<'_>,
    context: &Context<'_>,
    quarantine: &Mutex<Quarantine>,
) -> Result<(), RunError> {
    let mut made = made_before(selection, context);
    let mut is_admitted = false;
    for stage in &selection.stages {
        let mut facts = facts(stage, selection, context)?;
        // It has done all of its work in this run.
        facts.forced = facts.forced.filter(|_| !locked(quarantine).is_complete(stage.name));
        let verdict = judge(&facts, &made);
        let in_stage = |kind: StageErrorKind| StageError { stage: stage.name, kind: Box::new(kind) };
        let state = match (verdict, facts.state.clone()) {
            (Verdict::Fresh, Some(state)) => {
                if State::read(context.layout, stage.name).as_ref() != Some(&state) {
                    // Files have other times and the same content: the next run need not read them to find that out.
                    state.write(context.layout, stage.name)?;
                }
                context.emit(Event::StageFresh { stage: stage.name, rows: at_rest(state.rows) });
                stage.stage.recall(context).map_err(in_stage)?;
                state
            }
            (verdict, before) => {
                context.check_cancelled().map_err(in_stage)?;
                if !is_admitted && !stage.inputs().is_empty() {
                    admit(selection, context)?;
                    is_admitted = true;
                }
                let (started, cpu) = (Instant::now(), process_cpu());
                check_inputs(stage, context)?;
                context.emit(Event::StageStarted { stage: stage.name, why: verdict.why().to_owned() });
                let output = stage.stage.run(&Context { forced: facts.forced.is_some(), ..*context })?;
                let seconds = started.elapsed().as_secs_f64();
                // What the stage found in its inputs is what the key was made of: nobody else writes them.
                let parts = key_parts(&facts, &made).unwrap_or_default();
                let rows = output.rows;
                let state = State::new(stage.name, context.run_id, parts, output, seconds, before.as_ref());
                // The state says that the stage need not run again, so what it could not use is on disk before it.
                locked(quarantine).complete(stage.name, context.layout)?;
                state.write(context.layout, stage.name)?;
                context.emit(Event::Rows { stage: stage.name, rows });
                let cpu_s = process_cpu().saturating_sub(cpu).as_secs_f64();
                context.emit(Event::StageFinished { stage: stage.name, seconds, cpu_s });
                state
            }
        };
        made.insert(stage.name.to_owned(), Some(state.columns));
    }
    Ok(())
}

/// Asks all selected stages whether the run may go on, once the source is known and before anything is made of it.
fn admit(selection: &Selection<'_>, context: &Context<'_>) -> Result<(), StageError> {
    for stage in &selection.stages {
        stage.stage.admit(context).map_err(|kind| StageError { stage: stage.name, kind: Box::new(kind) })?;
    }
    Ok(())
}

/// Reads the small tables that `stage` is about to read, and compares them with what was written. Parts of embeddings are compared when
/// their rows are taken.
fn check_inputs(stage: &PlannedStage, context: &Context<'_>) -> Result<(), StageError> {
    let root = context.layout.root();
    let states = stage.inputs().into_iter().filter_map(|input| State::read(context.layout, &input));
    let files = states.flat_map(|state| state.files);
    let mut small = files.filter(|file| file.path.starts_with("tables/") && !file.path.starts_with("tables/embed/"));
    let is_damaged = |file: &FileStamp| matches!(file.verify(root), Condition::Missing | Condition::Damaged);
    match small.find(is_damaged) {
        None => Ok(()),
        Some(file) => {
            let error = DatasetError::new("read table", file.path, DatasetErrorKind::Damaged);
            Err(StageError { stage: stage.name, kind: Box::new(error.into()) })
        }
    }
}

/// What the stages that are not selected have made.
fn made_before(selection: &Selection<'_>, context: &Context<'_>) -> Made {
    let inputs: BTreeSet<String> = selection.stages.iter().flat_map(|stage| stage.inputs()).collect();
    let others = inputs.into_iter().filter(|input| !selection.contains(input));
    others.map(|input| (input.clone(), State::read(context.layout, &input).map(|state| state.columns))).collect()
}

/// What decides whether `stage` runs.
fn facts(stage: &PlannedStage, selection: &Selection<'_>, context: &Context<'_>) -> Result<Facts, RunError> {
    let mut state = State::read(context.layout, stage.name);
    let mut damage = None;
    match state.as_ref().map(|state| state.look(context.layout)) {
        Some(Ok(Some(now))) => state = Some(now),
        Some(Err(why)) => damage = Some(why),
        _ => {}
    }
    let forced = selection.forced(stage.name);
    if state.is_some() && damage.is_none() {
        damage = stage.stage.look(context).err();
    }
    let own = own_parts(stage, context)?;
    Ok(Facts { name: stage.name.to_owned(), own, reads: stage.stage.reads(), state, damage, forced })
}

/// The parts of the key of `stage` that do not come from other stages.
fn own_parts(stage: &PlannedStage, context: &Context<'_>) -> Result<Vec<KeyPart>, RunError> {
    let policy = stage.stage.policy_parameters();
    let is_policy = |part: &KeyPart| policy.iter().any(|key| part.name == format!("{}.{key}", stage.name));
    let mut parts: Vec<KeyPart> = stage.settings().into_iter().filter(|part| !is_policy(part)).collect();
    let identity =
        stage.stage.identity(context).map_err(|kind| StageError { stage: stage.name, kind: Box::new(kind) })?;
    parts.extend(identity.into_iter().map(|part| KeyPart::new(format!("{} {}", stage.name, part.name), part.value)));
    Ok(parts)
}

/// The part, below the data root, that was found to be damaged when it was read.
fn damaged(error: &StageError) -> Option<String> {
    match &*error.kind {
        StageErrorKind::Dataset(DatasetError { kind: DatasetErrorKind::Damaged, at, .. }) => Some(at.clone()),
        _ => None,
    }
}

/// Moves a damaged part out of its table. It may be gone already.
fn set_aside(context: &Context<'_>, part: &str) -> Result<(), RunError> {
    let from = context.layout.root().join(part);
    let to = context.layout.retired().join("damaged").join(part);
    let put = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder_of(&to))?;
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    Ok(put().map_err(DatasetError::at("set aside", &from))?)
}

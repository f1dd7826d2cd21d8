//! Execution: the selected stages, one after the other, under the lock of the data root.

use std::sync::Mutex;
use std::time::Instant;

use ecosight_datasets::DatasetError;
use ecosight_datasets::tables::{QuarantineRow, read_rows, write_rows};
use ecosight_stages::timings::process_cpu;
use ecosight_stages::{Context, Event, StageError};

use super::{Lock, LockError, Pipeline, PlannedStage};

/// Which stages to run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The last stage; none: all.
    pub to: Option<String>,
    /// This stage alone, on the tables that are there.
    pub only: Option<String>,
}

/// A run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A selected stage is not in the pipeline.
    #[error("the pipeline has no stage `{name}`; it has {known}")]
    NoSuchStage {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A stage that is to run alone lacks what it reads.
    #[error("stage `{stage}` reads the table `{input}`, which is not there")]
    MissingInput {
        /// The stage.
        stage: &'static str,
        /// The table.
        input: &'static str,
    },
    /// Another process writes the data root.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A stage stopped.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The engine's own files cannot be written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

impl Selection {
    /// The stages to run, in order.
    pub fn of<'a>(&self, pipeline: &'a Pipeline) -> Result<Vec<&'a PlannedStage>, RunError> {
        let find = |name: &str| {
            pipeline.stages.iter().position(|stage| stage.definition.name == name).ok_or_else(|| {
                let known: Vec<_> = pipeline.stages.iter().map(|s| format!("`{}`", s.definition.name)).collect();
                RunError::NoSuchStage { name: name.to_owned(), known: known.join(", ") }
            })
        };
        if let Some(name) = &self.only {
            return Ok(vec![&pipeline.stages[find(name)?]]);
        }
        let Some(name) = &self.to else {
            return Ok(pipeline.stages.iter().collect());
        };
        let last = find(name)?;
        let mut wanted = vec![false; pipeline.stages.len()];
        wanted[last] = true;
        for index in (0..=last).rev() {
            if wanted[index] {
                for need in &pipeline.stages[index].needs {
                    wanted[find(need)?] = true;
                }
            }
        }
        Ok(pipeline.stages.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(stage, _)| stage).collect())
    }
}

/// Finds out cheaply whether the stages could run, before anything is written.
pub fn preflight(stages: &[&PlannedStage], context: &Context<'_>) -> Result<(), RunError> {
    for (position, stage) in stages.iter().enumerate() {
        stage.stage.check(context)?;
        for input in stage.definition.inputs {
            let is_made_here = stages[..position].iter().any(|before| before.definition.name == *input);
            let is_table = ecosight_datasets::tables::schema::ALL.iter().any(|table| table.name == *input);
            if is_table && !is_made_here && !context.layout.table(input).is_dir() {
                return Err(RunError::MissingInput { stage: stage.definition.name, input });
            }
        }
    }
    Ok(())
}

/// Runs `stages` under the lock of the data root; the context's events tell what happens.
pub fn run(stages: &[&PlannedStage], context: &Context<'_>, _lock: &Lock) -> Result<(), RunError> {
    let quarantined = Mutex::new(Vec::new());
    let outer = context.events;
    let events = |event: Event| {
        if let Event::Quarantined(row) = &event {
            quarantined.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(row.clone());
        }
        outer(event);
    };
    let context = &Context { events: &events, ..*context };
    let mut reached = Vec::new();
    let result = stages.iter().try_for_each(|stage| {
        let name = stage.definition.name;
        let (started, cpu) = (Instant::now(), process_cpu());
        reached.push(name);
        context.emit(Event::StageStarted { stage: name });
        stage.stage.run(context)?;
        let cpu_s = process_cpu().saturating_sub(cpu).as_secs_f64();
        context.emit(Event::StageFinished { stage: name, seconds: started.elapsed().as_secs_f64(), cpu_s });
        Ok(())
    });
    let fresh = quarantined.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let kept = write_quarantine(&reached, context, fresh);
    result.and(kept)
}

/// Replaces the rows of the stages that were reached, also after a failure: the reasons are wanted most then.
fn write_quarantine(reached: &[&str], context: &Context<'_>, fresh: Vec<QuarantineRow>) -> Result<(), RunError> {
    let folder = context.layout.table("quarantine");
    let old: Vec<QuarantineRow> = if folder.is_dir() { read_rows(&folder)? } else { Vec::new() };
    let stays = |row: &QuarantineRow| !reached.contains(&row.stage.as_str());
    let mut rows: Vec<_> = old.into_iter().filter(stays).chain(fresh).collect();
    rows.sort_by(|a, b| (&a.stage, &a.uri).cmp(&(&b.stage, &b.uri)));
    write_rows(context.layout, &rows)?;
    Ok(())
}

//! The contract between the engine and its stages.
//!
//! A [`Definition`] is what the engine knows of a kind of stage before anything runs: its word, which tables it reads, how its
//! parameters are parsed and checked. A [`Stage`] is one configured instance. A stage gets everything it may touch from its
//! [`Context`], and tells what it does through [`Event`]s alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::tables::QuarantineRow;
use ecosight_models::metrics::Metrics;
use ecosight_models::weights::WeightsCache;
use serde::Serialize;

use crate::params::Problem;
use crate::timings::StepTime;
use crate::{StageError, StageErrorKind};

/// A kind of stage.
pub struct Definition {
    /// Its word: the key below `[stages]`, the table's folder, the name in events.
    pub name: &'static str,
    /// Raised whenever the stage's output for equal inputs changes.
    pub version: u32,
    /// One line for `graph` and `--help`.
    pub about: &'static str,
    /// Stages whose output it reads; each must be upstream of it.
    pub inputs: &'static [&'static str],
    /// Keys that may stand below `[stages.<name>]`, beside `needs`.
    pub parameters: &'static [&'static str],
    /// Makes an instance from the parameters below `[stages.<name>]`, or says everything that is wrong with them.
    pub configure: Configure,
}

/// Makes a stage from its parameters.
pub type Configure = fn(&toml::Table) -> Result<Box<dyn Stage>, Vec<Problem>>;

/// A configured stage.
pub trait Stage: Send + Sync {
    /// Finds out cheaply whether the stage could run at all (are the weights there?), before any stage runs.
    fn check(&self, _context: &Context<'_>) -> Result<(), StageError> {
        Ok(())
    }

    /// Does the work.
    fn run(&self, context: &Context<'_>) -> Result<(), StageError>;
}

/// Everything a stage may touch.
pub struct Context<'a> {
    /// Where tables and models lie.
    pub layout: &'a Layout,
    /// Where labelled audio comes from.
    pub source: &'a Source,
    /// The weights on this machine.
    pub weights: &'a WeightsCache,
    /// Identity of the run: its start in UTC and a few digits.
    pub run_id: &'a str,
    /// The start of the run in UTC, RFC 3339.
    pub started_at: &'a str,
    /// Share of clips that may fail before a stage gives up.
    pub max_failed: f64,
    /// Receives what happens.
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Set when the user asks to stop.
    pub cancelled: &'a AtomicBool,
}

impl Context<'_> {
    /// Emits an event.
    pub fn emit(&self, event: Event) {
        (self.events)(event);
    }

    /// An error once the user has asked to stop.
    pub fn check_cancelled(&self) -> Result<(), StageErrorKind> {
        if self.cancelled.load(Ordering::Relaxed) { Err(StageErrorKind::Cancelled) } else { Ok(()) }
    }

    /// Reports failed clips, and stops the stage if there are more than the budget allows.
    pub fn quarantine(&self, rows: &[QuarantineRow], expected: usize) -> Result<(), StageErrorKind> {
        for row in rows {
            self.emit(Event::Quarantined(row.clone()));
        }
        let Some(first) = rows.first() else { return Ok(()) };
        if rows.len() as f64 > self.max_failed * expected as f64 {
            return Err(StageErrorKind::FailureBudget {
                failed: rows.len(),
                expected,
                max_failed: self.max_failed,
                first: format!("`{}`: {}", first.uri, first.message),
            });
        }
        Ok(())
    }
}

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins.
    StageStarted {
        /// Its word.
        stage: &'static str,
    },
    /// A stage got further.
    Progress {
        /// Its word.
        stage: &'static str,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// What is counted: `clips`, `epochs`.
        unit: &'static str,
    },
    /// Worth a look, but nothing is lost.
    Warning {
        /// Word of the stage that noticed it.
        stage: &'static str,
        /// What it is.
        message: String,
    },
    /// A clip cannot be used.
    Quarantined(QuarantineRow),
    /// Counts of what a stage did, for the summary.
    Counted {
        /// Its word.
        stage: &'static str,
        /// Name and number.
        counts: BTreeMap<&'static str, u64>,
    },
    /// How good the model is.
    Evaluated {
        /// Version of the model.
        model: String,
        /// Rows it was evaluated on: `test`, `val`.
        on: String,
        /// The figures.
        metrics: Metrics,
    },
    /// The model that `predict` uses from now on.
    Published {
        /// Version of the model.
        model: String,
        /// Version of the model before it.
        previous: Option<String>,
    },
    /// Where the time of a stage went.
    Timed {
        /// Its word.
        stage: &'static str,
        /// Its steps.
        steps: Vec<StepTime>,
    },
    /// A stage is done.
    StageFinished {
        /// Its word.
        stage: &'static str,
        /// Wall time in seconds.
        seconds: f64,
        /// Processor time in seconds, over all threads.
        cpu_s: f64,
    },
}

impl Event {
    /// The counts of a stage.
    pub fn counted<const N: usize>(stage: &'static str, counts: [(&'static str, usize); N]) -> Self {
        Self::Counted { stage, counts: counts.into_iter().map(|(name, n)| (name, n as u64)).collect() }
    }
}

//! What a stage tells while it runs.

use std::collections::BTreeMap;

use ecosight_datasets::tables::QuarantineRow;
use ecosight_models::metrics::Metrics;
use serde::Serialize;

use super::RowCounts;
use crate::publish::Gate;
use crate::retrain_policy::Loss;
use crate::test_uses::TestUse;
use crate::timings::StepTime;

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins.
    StageStarted {
        /// Its word.
        stage: &'static str,
        /// Why it has to run, in words.
        why: String,
    },
    /// A line that a stage's own command has printed.
    Printed {
        /// Its word.
        stage: &'static str,
        /// The line.
        line: String,
    },
    /// Something that a stage has found out and that everybody may want to know.
    Told {
        /// Its word.
        stage: &'static str,
        /// What it is, in words.
        line: String,
    },
    /// A stage need not run: everything it would make is there.
    StageFresh {
        /// Its word.
        stage: &'static str,
        /// Its rows, all of them reused.
        rows: RowCounts,
    },
    /// A stage leaves what it made before as it is, though there is something new.
    Skipped {
        /// Its word.
        stage: &'static str,
        /// Why, in words.
        why: String,
    },
    /// What became of the rows of a stage.
    Rows {
        /// Its word.
        stage: &'static str,
        /// How many.
        rows: RowCounts,
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
        metrics: Box<Metrics>,
        /// When they were measured, where that was not in this run.
        #[serde(skip_serializing_if = "Option::is_none")]
        measured: Option<TestUse>,
    },
    /// What the source has lost of what the model in production was trained beside.
    Lost(Box<Loss>),
    /// What the gate found of a model.
    Judged(Box<Gate>),
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
    pub fn counted(stage: &'static str, counts: impl IntoIterator<Item = (&'static str, usize)>) -> Self {
        Self::Counted { stage, counts: counts.into_iter().map(|(name, n)| (name, n as u64)).collect() }
    }
}

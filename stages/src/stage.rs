//! The contract between the engine and its stages.
//!
//! A [`Definition`] is what the engine knows of a kind of stage before anything runs: its word, which tables it reads, how its
//! parameters are parsed and checked. A [`Stage`] is one configured instance. A stage gets everything it may touch from its
//! [`Context`], and tells what it does through [`Event`]s alone.

mod event;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::FileStamp;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::store::{FORBIDDEN, Store};
use ecosight_datasets::tables::{Digests, QuarantineRow};
use ecosight_models::weights::WeightsCache;
pub use event::Event;
use serde::{Deserialize, Serialize};

use crate::foresee::Foreseen;
use crate::params::Problem;
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

    /// What of the output of other stages it reads. Only these columns can make it stale.
    fn reads(&self) -> Vec<Input>;

    /// What decides its output beside its version, its parameters and what it reads: the listing of the source, the hash of weights.
    fn identity(&self, _context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        Ok(Vec::new())
    }

    /// What [`run`](Self::run) would do, found out without doing it; `foreseen` holds what the stages before it would have made.
    fn foresee(&self, _context: &Context<'_>, _foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        Ok(Forecast::default())
    }

    /// Whether a run that includes this stage may go on, given what the source holds. Asked once the stages that read the source are done, before any other
    /// stage does work.
    fn admit(&self, _context: &Context<'_>) -> Result<(), StageErrorKind> {
        Ok(())
    }

    /// Parameters that decide when the stage works, but not what it makes: they are in no key.
    fn policy_parameters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Does the work that is missing.
    fn run(&self, context: &Context<'_>) -> Result<Output, StageError>;

    /// Whether what it made is whole, where the files' sizes and times do not tell; says what is not.
    fn look(&self, _context: &Context<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Tells by events what an earlier run has found out, where the stage need not run.
    fn recall(&self, _context: &Context<'_>) -> Result<(), StageErrorKind> {
        Ok(())
    }
}

/// Columns of the output of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The stage.
    pub stage: String,
    /// Names of its columns; none: all of them.
    pub columns: Vec<&'static str>,
}

impl Input {
    /// These columns of what `stage` makes.
    pub fn of(stage: &str, columns: &[&'static str]) -> Self {
        Self { stage: stage.to_owned(), columns: columns.to_vec() }
    }
}

/// A part of the key of a stage, for the machine to compare and for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// What it is: `train.l2`, `manifest.label`.
    pub name: String,
    /// Its value, or the digest of it.
    pub value: String,
}

impl KeyPart {
    /// The part `name` with `value`.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// What a stage has made.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Digest of each column, or of the whole under one name.
    pub columns: Digests,
    /// The files that hold it.
    pub files: Vec<FileStamp>,
    /// What became of its rows.
    pub rows: RowCounts,
    /// Whether there is something that another try may mend, such as a file that could not be read.
    pub is_provisional: bool,
}

/// What a stage would make.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// What would become of its rows, where that can be told.
    pub rows: Option<RowCounts>,
    /// Digest of each column, where they can be told.
    pub columns: Option<Digests>,
    /// Whatever else is worth knowing, in words.
    pub notes: Vec<String>,
    /// Names of examples of what would be computed.
    pub examples: Vec<String>,
}

/// What becomes of the rows (or units of rows) of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Were not there.
    pub new: u64,
    /// Were there, made otherwise.
    pub changed: u64,
    /// Are there already.
    pub reused: u64,
    /// Are not expected any more.
    pub retired: u64,
    /// Cannot be made.
    pub failed: u64,
}

impl RowCounts {
    /// Compares tables, each row with that of the same identity.
    pub fn between<K: Eq + std::hash::Hash, R: PartialEq>(old: &[R], new: &[R], identity: impl Fn(&R) -> K) -> Self {
        let mut left: HashMap<K, &R> = old.iter().map(|row| (identity(row), row)).collect();
        let mut counts = Self::default();
        for row in new {
            match left.remove(&identity(row)) {
                None => counts.new += 1,
                Some(before) if before == row => counts.reused += 1,
                Some(_) => counts.changed += 1,
            }
        }
        counts.retired = left.len() as u64;
        counts
    }

    /// What became of rows in two passes of a run, of which this was the first. What it made is reused by the second, but was not there before the run.
    #[must_use]
    pub fn then(self, second: Self) -> Self {
        Self {
            new: self.new + second.new,
            changed: self.changed + second.changed,
            reused: second.reused.saturating_sub(self.new + self.changed),
            retired: self.retired + second.retired,
            failed: second.failed,
        }
    }

    /// Rows that are not as they were.
    pub fn touched(self) -> u64 {
        self.new + self.changed + self.retired
    }
}

/// Everything a stage may touch.
pub struct Context<'a> {
    /// Where tables and models lie.
    pub layout: &'a Layout,
    /// Where labelled audio comes from.
    pub source: &'a Source,
    /// Opens the store that the source lies in.
    pub open: &'a (dyn Fn(&Source) -> Result<Store, DatasetError> + Sync),
    /// The weights on this machine.
    pub weights: &'a WeightsCache,
    /// Identity of the run: its start in UTC and a few digits.
    pub run_id: &'a str,
    /// The start of the run in UTC, RFC 3339.
    pub started_at: &'a str,
    /// Share of clips that may fail before a stage gives up.
    pub max_failed: f64,
    /// What is declared of all stages: the version of each and its parameters, as `split.group_by` and its value in TOML.
    pub settings: &'a [KeyPart],
    /// Receives what happens.
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Set when the user asks to stop.
    pub cancelled: &'a AtomicBool,
    /// Whether the stage is to do all of its work, whatever is there.
    pub forced: bool,
    /// Whether a model goes into production although the gate refuses it.
    pub force_publish: bool,
    /// Whether a run goes on although the source has lost recordings of the model in production.
    pub allow_loss: bool,
    /// Who runs it, where that is known.
    pub user: Option<&'a str>,
    /// Why it is run, where that was said.
    pub reason: Option<&'a str>,
}

impl Context<'_> {
    /// The store that the source lies in.
    pub fn store(&self) -> Result<Store, DatasetError> {
        (self.open)(self.source)
    }

    /// The declared parameter `name` (`split.group_by`) as text, a string without its quotes; none where it is not declared.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let part = self.settings.iter().find(|part| part.name == name)?;
        Some(part.value.trim_matches(|c| c == '"' || c == '\''))
    }

    /// What the split keeps together, as one word: `recording`, or what `split.group_by` says. By these, figures vary.
    pub fn kept_together(&self) -> &str {
        self.setting("split.group_by").unwrap_or("recording")
    }

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
            let forbidden: Vec<_> = rows.iter().filter(|row| row.code == FORBIDDEN).collect();
            // That most may not be read is the fault of the store, or of who reads; removing files would not help.
            if forbidden.len() * 2 > rows.len() {
                return Err(StageErrorKind::Forbidden {
                    failed: forbidden.len(),
                    expected,
                    first: format!("`{}`: {}", forbidden[0].uri, forbidden[0].message),
                    is_bucket: self.source.place().bucket().is_some() || forbidden[0].uri.contains("://"),
                });
            }
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

//! The record of a run: `runs/<id>/events.jsonl` as it happens, `run.json` and `metrics.json` when it ends.
//!
//! A run that finds nothing to do leaves no record: its folder is made when the first stage starts, when a clip is quarantined, when a
//! warning is reported that the last record does not have, or when the run fails.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::snapshot::{SNAPSHOT_FILE, Snapshot};
use ecosight_datasets::tables::QuarantineRow;
use ecosight_datasets::{DatasetError, manifest::Source};
use ecosight_models::metrics::Metrics;
use ecosight_stages::publish::Gate;
use ecosight_stages::retrain_policy::Loss;
use ecosight_stages::test_uses::TestUse;
use ecosight_stages::timings::{StageTime, StepTime};
use ecosight_stages::{Event, RowCounts};
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::gc::run_records;

/// A sink of events that keeps what a summary needs.
pub struct Record {
    folder: PathBuf,
    /// `events.jsonl`, once there is something to record.
    events: Option<BufWriter<File>>,
    /// Lines of events from before that.
    pending: Vec<u8>,
    /// Warnings, with the stage, that are no reason for a record.
    known_warnings: HashSet<(String, String)>,
    outcome: RunOutcome,
    /// Of the stage that runs.
    steps: Vec<StepTime>,
    /// When that stage began.
    begun: Instant,
    /// The stage that has begun and not ended.
    open: Option<String>,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutcome {
    /// Version of this format.
    pub schema_version: u32,
    /// Identity of the run.
    pub run_id: String,
    /// Whether there is a record of it, `runs/<run_id>/`.
    pub is_recorded: bool,
    /// Start in UTC.
    pub started_at: String,
    /// Version of EcoSight.
    pub ecosight_version: &'static str,
    /// Version of what each stage makes.
    pub stage_versions: BTreeMap<String, u32>,
    /// What was read.
    pub source: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// How it ended: `ok`, or the error.
    pub exit: String,
    /// What became of each stage, in the order of the dataflow.
    pub stages: Vec<StageRecord>,
    /// Processor time of each stage and of its steps, in the order of execution.
    pub timings: Vec<StageTime>,
    /// What each stage did.
    pub counts: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Why stages left what they had made as it is, though there was something new.
    pub skipped: BTreeMap<String, String>,
    /// Warnings, with the stage.
    pub warnings: Vec<(String, String)>,
    /// Clips that could not be used.
    pub quarantined: Vec<QuarantineRow>,
    /// Figures of the model, by the rows they were taken on.
    pub metrics: BTreeMap<String, Metrics>,
    /// When the figures were measured, where that was not in this run.
    pub measured: Option<TestUse>,
    /// What the source has lost of what the model in production was trained beside.
    pub loss: Option<Loss>,
    /// What the gate found of the model.
    pub gate: Option<Gate>,
    /// Version of the model that was evaluated.
    pub model: Option<String>,
    /// Whether that model is the one that `predict` uses now.
    pub published: bool,
    /// Number of the snapshot of the tables that the run ended with, see `runs/<run_id>/snapshot.json`.
    pub snapshot: Option<u64>,
    /// The effective pipeline file.
    pub pipeline: toml::Table,
}

/// What became of a stage in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its word.
    pub stage: String,
    /// Why it ran; empty where it need not.
    pub why: String,
    /// What became of its rows.
    pub rows: RowCounts,
    /// Wall time in seconds.
    pub seconds: f64,
    /// `ok`, `fresh`, or `stopped` where it did not come to its end.
    pub status: String,
}

/// An event and when it was emitted, as a line of JSON.
#[derive(Serialize)]
struct Stamped<'a> {
    /// UTC, RFC 3339.
    time: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// The line of JSON, without its end, of an event that was emitted at `time` (UTC, RFC 3339): the fields of the event and `time`.
pub fn event_line(event: &Event, time: &str) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Stamped { time, event })
}

impl Record {
    /// Begins the record of a run. Nothing is written before there is something to record; an error where nothing could be.
    pub fn begin(
        layout: &Layout,
        run_id: &str,
        started_at: &str,
        source: &Source,
        pipeline: &Pipeline,
    ) -> Result<Self, DatasetError> {
        let runs = layout.runs();
        std::fs::create_dir_all(&runs).map_err(DatasetError::at("create run record", &runs))?;
        let outcome = RunOutcome {
            schema_version: 1,
            run_id: run_id.to_owned(),
            is_recorded: false,
            started_at: started_at.to_owned(),
            ecosight_version: env!("CARGO_PKG_VERSION"),
            stage_versions: pipeline.stages.iter().map(|stage| (stage.name.to_owned(), stage.version)).collect(),
            source: source.to_string(),
            seconds: 0.0,
            exit: "unfinished".to_owned(),
            stages: Vec::new(),
            timings: Vec::new(),
            counts: BTreeMap::new(),
            skipped: BTreeMap::new(),
            warnings: Vec::new(),
            quarantined: Vec::new(),
            metrics: BTreeMap::new(),
            measured: None,
            loss: None,
            gate: None,
            model: None,
            published: false,
            snapshot: None,
            pipeline: pipeline.table.clone(),
        };
        Ok(Self {
            folder: layout.run(run_id),
            events: None,
            pending: Vec::new(),
            known_warnings: last_warnings(layout),
            outcome,
            steps: Vec::new(),
            begun: Instant::now(),
            open: None,
        })
    }

    /// Takes note of an event that was emitted at `time` (UTC, RFC 3339).
    pub fn note(&mut self, event: &Event, time: &str) -> std::io::Result<()> {
        match event {
            Event::StageStarted { stage, why } => {
                self.close();
                self.begun = Instant::now();
                self.steps.clear();
                let known = self.stage(stage);
                // In a second pass, why it ran the first time matters more.
                if known.why.is_empty() {
                    known.why.clone_from(why);
                }
                "stopped".clone_into(&mut known.status);
                self.open = Some((*stage).to_owned());
            }
            Event::StageFresh { stage, rows } => {
                self.close();
                let known = self.stage(stage);
                // Unless it ran in an earlier pass.
                if known.status != "ok" {
                    (known.rows, known.status) = (*rows, "fresh".to_owned());
                }
            }
            Event::Rows { stage, rows } => {
                let known = self.stage(stage);
                known.rows = known.rows.then(*rows);
            }
            // Progress is for the eye; a line for each step would only make the record long.
            Event::Progress { .. } => return Ok(()),
            Event::Printed { .. } | Event::Told { .. } => {}
            Event::Skipped { stage, why } => drop(self.outcome.skipped.insert((*stage).to_owned(), why.clone())),
            Event::Warning { stage, message } => self.outcome.warnings.push(((*stage).to_owned(), message.clone())),
            Event::Quarantined(row) => self.outcome.quarantined.push(row.clone()),
            Event::Counted { stage, counts } => drop(self.outcome.counts.insert((*stage).to_owned(), counts.clone())),
            Event::Evaluated { model, on, metrics, measured } => {
                self.outcome.model = Some(model.clone());
                self.outcome.measured.clone_from(measured);
                self.outcome.metrics.insert(on.clone(), metrics.as_ref().clone());
            }
            Event::Lost(loss) => self.outcome.loss = Some(loss.as_ref().clone()),
            Event::Judged(gate) => self.outcome.gate = Some(gate.as_ref().clone()),
            Event::Published { model, .. } => self.outcome.published = self.outcome.model.as_ref() == Some(model),
            Event::Timed { steps, .. } => self.steps.clone_from(steps),
            Event::StageFinished { stage, seconds, cpu_s } => {
                self.open = None;
                let known = self.stage(stage);
                known.seconds += seconds;
                "ok".clone_into(&mut known.status);
                let steps = std::mem::take(&mut self.steps);
                let time = StageTime { stage: (*stage).to_owned(), cpu_s: *cpu_s, steps };
                match self.outcome.timings.iter_mut().find(|known| known.stage == time.stage) {
                    Some(known) => known.add(&time),
                    None => self.outcome.timings.push(time),
                }
            }
        }
        let line = event_line(event, time)? + "\n";
        if self.events.is_none() && !self.is_worth_recording(event) {
            self.pending.extend_from_slice(line.as_bytes());
            return Ok(());
        }
        let events = self.open()?;
        events.write_all(line.as_bytes())?;
        events.flush()
    }

    /// Whether an event is a reason for a record.
    fn is_worth_recording(&self, event: &Event) -> bool {
        match event {
            Event::StageStarted { .. } | Event::Quarantined(_) => true,
            Event::Warning { stage, message } => !self.known_warnings.contains(&((*stage).to_owned(), message.clone())),
            _ => false,
        }
    }

    /// `events.jsonl`, made with the events until now if it is not there yet.
    fn open(&mut self) -> std::io::Result<&mut BufWriter<File>> {
        if self.events.is_none() {
            std::fs::create_dir_all(&self.folder)?;
            let mut events = BufWriter::new(File::create(self.folder.join("events.jsonl"))?);
            events.write_all(&self.pending)?;
            self.pending.clear();
            self.outcome.is_recorded = true;
            self.events = Some(events);
        }
        Ok(self.events.as_mut().expect("it was opened above"))
    }

    /// What is known of a stage of this run.
    fn stage(&mut self, stage: &str) -> &mut StageRecord {
        let stages = &mut self.outcome.stages;
        let at = stages.iter().position(|known| known.stage == stage).unwrap_or_else(|| {
            stages.push(StageRecord { stage: stage.to_owned(), ..StageRecord::default() });
            stages.len() - 1
        });
        &mut stages[at]
    }

    /// Takes note of how long the stage took that did not come to its end, if there is one.
    fn close(&mut self) {
        if let Some(stage) = self.open.take() {
            let seconds = self.begun.elapsed().as_secs_f64();
            self.stage(&stage).seconds += seconds;
        }
    }

    /// Completes the record, of a run that ended as `exit` says (`ok`, or the error) and with the tables of `snapshot`. A run that did nothing has none.
    pub fn finish(mut self, seconds: f64, exit: &str, snapshot: Option<Snapshot>) -> Result<RunOutcome, DatasetError> {
        self.outcome.snapshot = snapshot.as_ref().map(|snapshot| snapshot.version);
        self.outcome.seconds = seconds;
        self.close();
        exit.clone_into(&mut self.outcome.exit);
        if self.events.is_none() && exit == OK {
            return Ok(self.outcome);
        }
        let opened = self.open().and_then(Write::flush);
        opened.map_err(DatasetError::at("create run record", &self.folder))?;
        if let Some(snapshot) = snapshot {
            snapshot.of_tables().write(&self.folder.join(SNAPSHOT_FILE))?;
        }
        write_atomic(&self.folder.join("run.json"), &json(&self.outcome))?;
        if !self.outcome.metrics.is_empty() {
            write_atomic(&self.folder.join("metrics.json"), &json(&self.outcome.metrics))?;
        }
        Ok(self.outcome)
    }
}

/// How a run has ended that came to its end.
pub const OK: &str = "ok";

/// The warnings, with the stage, in the newest record; none where there is no record that can be read.
fn last_warnings(layout: &Layout) -> HashSet<(String, String)> {
    #[derive(Deserialize)]
    struct Warnings {
        #[serde(default)]
        warnings: HashSet<(String, String)>,
    }
    let newest = run_records(layout).ok().and_then(|mut records| records.pop());
    let read = |folder: PathBuf| serde_json::from_slice::<Warnings>(&std::fs::read(folder.join("run.json")).ok()?).ok();
    newest.and_then(read).map(|read| read.warnings).unwrap_or_default()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("the record is plain data with text keys")
}

impl RunOutcome {
    /// Whether no stage had anything to do.
    pub fn was_idle(&self) -> bool {
        self.stages.iter().all(|stage| stage.status == "fresh")
    }

    /// Clips that cannot be used, as far as the stages know.
    pub fn failed(&self) -> u64 {
        self.stages.iter().map(|stage| stage.rows.failed).sum()
    }
}

/// An error with its causes in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

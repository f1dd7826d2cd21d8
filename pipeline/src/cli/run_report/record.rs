//! What the record of a run tells a report.

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Layout;
use ecosight_models::artefact::ModelMeta;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::engine::{StageRecord, State};
use crate::report::{Lineage, StageTiming};

/// Tables in the order of the dataflow.
const TABLES: [&str; 6] = ["manifest", "split", "augment", "embed", "audit", "evaluate"];

/// The fields of `run.json` that a report needs.
#[derive(Deserialize)]
pub(super) struct RunRecord {
    pub(super) run_id: String,
    #[serde(default)]
    pub(super) ecosight_version: String,
    pub(super) source: String,
    #[serde(default)]
    stages: Vec<StageRecord>,
    #[serde(default)]
    timings: Vec<Cpu>,
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) published: bool,
    #[serde(default)]
    pipeline: toml::Table,
}

#[derive(Deserialize)]
struct Cpu {
    stage: String,
    cpu_s: f64,
}

impl RunRecord {
    /// Reads a record; one that a killed run has left is not whole.
    pub(super) fn read(record: &Value) -> Result<Self, CliError> {
        Self::deserialize(record).map_err(|error| {
            let message = format!("the record of this run is not whole: {error}");
            CliError::failed(message, "name a run that came to its end; `ecosight runs list` shows them")
        })
    }

    /// Time of each stage.
    pub(super) fn timings(&self) -> Vec<StageTiming> {
        let cpu_s = |stage: &str| self.timings.iter().find(|cpu| cpu.stage == stage).map(|cpu| cpu.cpu_s);
        let timing = |stage: &StageRecord| StageTiming {
            stage: stage.stage.clone(),
            status: stage.status.clone(),
            wall_s: stage.seconds,
            cpu_s: cpu_s(&stage.stage),
        };
        self.stages.iter().map(timing).collect()
    }

    /// What the model was made from; the digests of the tables come later.
    pub(super) fn lineage(&self, meta: &ModelMeta) -> Lineage {
        let mut settings = Vec::new();
        flatten("", &self.pipeline, &mut settings);
        Lineage {
            source: self.source.clone(),
            embedder: meta.embedder.to_string(),
            ecosight_version: self.ecosight_version.clone(),
            tables: Vec::new(),
            settings,
        }
    }

    /// How settings of the head were searched for, in words; none where they were not.
    pub(super) fn search(&self) -> Option<String> {
        let train = self.pipeline.get("stages").and_then(|stages| stages.get("train"));
        let trials = train?.get("search")?.get("trials")?.as_integer().filter(|trials| *trials > 0)?;
        Some(format!(
            "settings searched for in up to {trials} trials by nested cross-validation over recordings of the train side (`search.json` beside the model)"
        ))
    }

    /// How the split was made, in words.
    pub(super) fn split(&self) -> String {
        let split = self.pipeline.get("stages").and_then(|stages| stages.get("split"));
        let text = |key: &str| split.and_then(|split| split.get(key)).map(ToString::to_string).unwrap_or_default();
        let group = split.and_then(|split| split.get("group_by")).and_then(toml::Value::as_str).unwrap_or("recording");
        let is_by_time = split.and_then(|split| split.get("by")).and_then(toml::Value::as_str) == Some("time");
        let shares = || format!("{} train, {} val, {} test", text("train"), text("val"), text("test"));
        let folds = split.and_then(|split| split.get("test_folds")).and_then(toml::Value::as_array);
        let how = match folds.filter(|folds| !folds.is_empty()) {
            Some(_) => format!("by folds, val {} and test {}", text("val_folds"), text("test_folds")),
            None if is_by_time => format!("the oldest train, the newest test, {}", shares()),
            None if group == "recording" => {
                format!("recordings ranked within their class by a seeded hash, {}", shares())
            }
            None => format!("whole {group}s dealt so that the classes are spread, {}", shares()),
        };
        format!("{how}; all clips and variants of a {group} are on one side")
    }
}

/// The values of a table by their dotted keys; a stage's stand under its word.
fn flatten(prefix: &str, table: &toml::Table, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() || prefix == "stages" { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, into),
            value => into.push((name, value.to_string())),
        }
    }
}

/// When a model was made, as its name tells.
pub(super) fn made_at(version: &str) -> String {
    let time = version.get(..15).and_then(|text| chrono::NaiveDateTime::parse_from_str(text, "%Y%m%d-%H%M%S").ok());
    time.map_or_else(|| "unknown".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Digest of the columns of each table.
pub(super) fn table_digests(layout: &Layout) -> Vec<(String, String)> {
    let digest = |name: &&str| {
        let columns = State::read(layout, name)?.columns;
        let key =
            columns.iter().fold(KeyHasher::new("table"), |key, (name, digest)| key.str(name).str(&digest.to_string()));
        Some(((*name).to_owned(), key.finish().to_string()))
    };
    TABLES.iter().filter_map(digest).collect()
}

//! The record of a run, read back: any version of it, whole or not.

use std::path::PathBuf;

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use ecosight_stages::RowCounts;
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::engine::gc::run_records;

/// What is said of a run that has left no end.
const UNFINISHED: &str = "killed or still running";

/// Characters of an error that a list has room for.
const SHORT: usize = 60;

/// A run.
pub(super) struct RunFile {
    /// Its name.
    pub(super) id: String,
    /// `run.json`, or as much of it as `events.jsonl` tells.
    pub(super) record: Value,
}

impl RunFile {
    /// The names of all runs, the newest first.
    pub(super) fn ids(layout: &Layout) -> Result<Vec<String>, DatasetError> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(run_records(layout)?.iter().rev().map(name).collect())
    }

    /// The run that `word` names: its name or how it begins, `last`, `last~1` for the one before it.
    pub(super) fn find(layout: &Layout, word: &str) -> Result<Self, CliError> {
        let ids = Self::ids(layout)?;
        let back = match word.strip_prefix("last") {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('~').and_then(|n| n.parse::<usize>().ok()),
            None => None,
        };
        if let Some(back) = back {
            let message = format!("there is no run `{word}`: the data root has {} run(s)", ids.len());
            let id = ids.get(back).ok_or_else(|| CliError::usage(message, "`ecosight runs list` shows them"))?;
            return Ok(Self::read(layout, id));
        }
        let found: Vec<&String> = ids.iter().filter(|id| id.starts_with(word)).collect();
        match found.as_slice() {
            [id] => Ok(Self::read(layout, id)),
            [] => Err(CliError::usage(format!("there is no run `{word}`"), "`ecosight runs list` shows them")),
            _ if found.iter().any(|id| *id == word) => Ok(Self::read(layout, word)),
            several => {
                let names: Vec<_> = several.iter().take(5).map(|id| format!("`{id}`")).collect();
                let message = format!("{} runs begin with `{word}`", several.len());
                Err(CliError::usage(message, format!("write more of the name, such as {}", names.join(", "))))
            }
        }
    }

    /// Reads the record of the run `id`.
    pub(super) fn read(layout: &Layout, id: &str) -> Self {
        let folder = layout.run(id);
        let record = match std::fs::read(folder.join("run.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .unwrap_or_else(|error| json!({ "exit": format!("its record cannot be read: {error}") })),
            Err(_) => from_events(&std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default()),
        };
        Self { id: id.to_owned(), record }
    }

    /// A field that holds text.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.record.get(field)?.as_str()
    }

    /// A field that holds a list.
    pub(super) fn list(&self, field: &str) -> &[Value] {
        self.record.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A field that holds named values.
    pub(super) fn named(&self, field: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.record.get(field).and_then(Value::as_object).into_iter().flat_map(Map::iter)
    }

    /// When it began, in UTC.
    pub(super) fn started(&self) -> String {
        let by_name = || chrono::NaiveDateTime::parse_from_str(self.id.get(..15)?, "%Y%m%d-%H%M%S").ok();
        let of_name = || by_name().map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        self.text("started_at").map(str::to_owned).or_else(of_name).unwrap_or_default()
    }

    /// Wall time; none where the run has left no end.
    pub(super) fn seconds(&self) -> Option<f64> {
        self.record.get("seconds")?.as_f64()
    }

    /// How it ended.
    pub(super) fn exit(&self) -> &str {
        self.text("exit").unwrap_or(UNFINISHED)
    }

    /// The same for a list.
    pub(super) fn exit_in_short(&self) -> String {
        let exit = self.exit().lines().next().unwrap_or_default();
        if exit.chars().count() <= SHORT {
            return exit.to_owned();
        }
        let short: String = exit.chars().take(SHORT).collect();
        format!("{} …", short.rsplit_once(' ').map_or(short.as_str(), |(words, _)| words))
    }

    /// Rows that it computed, over all stages.
    pub(super) fn computed(&self) -> u64 {
        let rows = |stage: &Value| number(stage, "new") + number(stage, "changed");
        self.list("stages").iter().filter_map(|stage| stage.get("rows")).map(rows).sum()
    }

    /// Whether copies of its test clips were trained on.
    pub(super) fn is_leaky(&self) -> bool {
        self.record.pointer("/metrics/test/is_leaky").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Share of test clips that its model classifies correctly.
    pub(super) fn test_accuracy(&self) -> Option<f64> {
        self.record.pointer("/metrics/test/accuracy")?.as_f64()
    }

    /// Share of test clips of which its model gets all classes right, where clips can be of several.
    pub(super) fn test_subset_accuracy(&self) -> Option<f64> {
        self.record.pointer("/metrics/test/subset_accuracy")?.as_f64()
    }

    /// What a list tells.
    pub(super) fn summary(&self) -> Value {
        json!({
            "run_id": self.id,
            "started_at": self.started(),
            "seconds": self.seconds(),
            "exit": self.exit(),
            "rows_computed": self.computed(),
            "test_accuracy": self.test_accuracy(),
            "test_subset_accuracy": self.test_subset_accuracy(),
            "is_leaky": self.is_leaky(),
            "model": self.text("model"),
            "published": self.record.get("published"),
        })
    }
}

/// A count; 0 where there is none.
pub(super) fn number(of: &Value, field: &str) -> u64 {
    of.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// As much of a record as the events tell that came before the run vanished.
fn from_events(lines: &str) -> Value {
    let (mut stages, mut warnings, mut quarantined) = (Vec::<Value>::new(), Vec::new(), Vec::new());
    // The last line may be cut off.
    for event in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        match event["event"].as_str().unwrap_or_default() {
            kind @ ("stage_started" | "stage_fresh") => {
                let known = stages.iter_mut().find(|known| known["stage"] == event["stage"]);
                match (kind, known) {
                    // In a second pass of the run.
                    ("stage_started", Some(known)) => known["status"] = "stopped".into(),
                    (_, Some(_)) => {}
                    ("stage_started", None) => {
                        stages.push(json!({ "stage": event["stage"], "why": event["why"], "status": "stopped" }));
                    }
                    (_, None) => {
                        stages.push(json!({ "stage": event["stage"], "rows": event["rows"], "status": "fresh" }));
                    }
                }
            }
            "warning" => warnings.push(json!([event["stage"], event["message"]])),
            "quarantined" => quarantined.push(event),
            kind => {
                if let Some(known) = stages.iter_mut().find(|known| known["stage"] == event["stage"]) {
                    match kind {
                        "rows" => known["rows"] = passes(known.get("rows"), &event["rows"]),
                        "stage_finished" => {
                            known["status"] = "ok".into();
                            let before = known.get("seconds").and_then(Value::as_f64).unwrap_or(0.0);
                            known["seconds"] = event["seconds"].as_f64().map(|seconds| before + seconds).into();
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    json!({ "exit": UNFINISHED, "stages": stages, "warnings": warnings, "quarantined": quarantined })
}

/// The counts of a stage in two passes of a run, of which the first may not have come to its end.
fn passes(first: Option<&Value>, second: &Value) -> Value {
    let counts = |value: &Value| serde_json::from_value::<RowCounts>(value.clone()).unwrap_or_default();
    json!(first.map(counts).unwrap_or_default().then(counts(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_an_end_is_told_by_its_events() {
        let lines = [
            r#"{"event":"stage_started","stage":"manifest","why":"it has not run yet"}"#,
            r#"{"event":"rows","stage":"manifest","rows":{"new":3,"changed":1,"reused":0,"retired":0,"failed":1}}"#,
            r#"{"event":"stage_finished","stage":"manifest","seconds":0.5,"cpu_s":0.5}"#,
            r#"{"event":"stage_started","stage":"split","why":"x"}"#,
            r#"{"event":"stage_fin"#,
        ];
        let run = RunFile { id: "20260301-070000-ab12".to_owned(), record: from_events(&lines.join("\n")) };
        let states: Vec<_> = run.list("stages").iter().map(|stage| stage["status"].as_str().unwrap()).collect();
        assert_eq!((states, run.computed(), run.seconds()), (vec!["ok", "stopped"], 4, None));
        assert_eq!((run.started().as_str(), run.exit()), ("2026-03-01T07:00:00Z", UNFINISHED));
    }

    #[test]
    fn the_counts_of_a_stage_are_those_of_all_passes_of_the_run() {
        let lines = [
            r#"{"event":"stage_started","stage":"embed","why":"it has not run yet"}"#,
            r#"{"event":"rows","stage":"embed","rows":{"new":30,"changed":0,"reused":5,"retired":0,"failed":1}}"#,
            r#"{"event":"stage_finished","stage":"embed","seconds":2.0,"cpu_s":0.5}"#,
            r#"{"event":"stage_started","stage":"audit","why":"x"}"#,
            r#"{"event":"stage_started","stage":"embed","why":"y"}"#,
            r#"{"event":"rows","stage":"embed","rows":{"new":4,"changed":0,"reused":33,"retired":2,"failed":1}}"#,
            r#"{"event":"stage_finished","stage":"embed","seconds":0.5,"cpu_s":0.5}"#,
            r#"{"event":"stage_fresh","stage":"embed","rows":{"new":0,"changed":0,"reused":37,"retired":0,"failed":1}}"#,
        ];
        let stages = from_events(&lines.join("\n"))["stages"].clone();
        let rows = json!({ "new": 34, "changed": 0, "reused": 3, "retired": 2, "failed": 1 });
        assert_eq!((&stages[0]["rows"], &stages[0]["seconds"]), (&rows, &json!(2.5)));
        assert_eq!((&stages[0]["status"], &stages[1]["status"]), (&json!("ok"), &json!("stopped")));
    }

    #[test]
    fn a_long_error_is_cut_between_words() {
        let exit = format!("stage `embed` stopped: {}", "many words ".repeat(20));
        let run = RunFile { id: String::new(), record: json!({ "exit": exit }) };
        assert!(run.exit_in_short().ends_with(" words …") || run.exit_in_short().ends_with(" many …"));
        assert!(run.exit_in_short().chars().count() <= SHORT + 2);
    }
}

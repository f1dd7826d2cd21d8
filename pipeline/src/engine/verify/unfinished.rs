//! Stages that a run has begun and not ended, as the run records say: it was killed, or the stage stopped with an error.
//!
//! What such a stage has written may be newer than what is known of it, since its state is written last.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use serde::Deserialize;

use crate::engine::gc::run_records;

/// The event of a stage, as far as it matters here.
#[derive(Deserialize)]
struct StageEvent {
    event: String,
    stage: String,
}

/// The stages whose last mention in the records is a beginning. Records that cannot be read are passed over.
pub(super) fn stages(layout: &Layout) -> Result<BTreeSet<String>, DatasetError> {
    let mut is_open: BTreeMap<String, bool> = BTreeMap::new();
    for folder in run_records(layout)? {
        let lines = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
        let events = lines.lines().filter(|line| line.contains("\"stage_"));
        for StageEvent { event, stage } in events.filter_map(|line| serde_json::from_str(line).ok()) {
            match event.as_str() {
                "stage_started" => is_open.insert(stage, true),
                "stage_finished" | "stage_fresh" => is_open.insert(stage, false),
                _ => None,
            };
        }
    }
    Ok(is_open.into_iter().filter(|(_, is_open)| *is_open).map(|(stage, _)| stage).collect())
}

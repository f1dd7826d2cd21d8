//! How often a model was measured on its test side: figures that were looked at often are not those of recordings that nobody has looked at.
//!
//! Each time is an entry of the [`Journal`], one JSON object. `test_uses.jsonl` in a model's folder, a line for each time, is what earlier
//! versions wrote; its lines count as the oldest.

use chrono::{DateTime, Utc};
use ecosight_datasets::DatasetError;
use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::Layout;
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::stage::Context;

/// Name of the file of earlier versions in a model's folder.
const TEST_USES_FILE: &str = "test_uses.jsonl";

/// One time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestUse {
    /// When, UTC, RFC 3339.
    pub at: String,
    /// The run.
    pub run_id: String,
    /// Clips that were scored.
    pub clips: u64,
}

impl TestUse {
    /// All times that the model `version` was measured, in order; entries and lines that are damaged are left out.
    pub fn read(layout: &Layout, version: &str) -> Result<Vec<Self>, DatasetError> {
        let old = std::fs::read_to_string(layout.model(version).join(TEST_USES_FILE)).unwrap_or_default();
        let mut uses: Vec<Self> = old.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let entries = Journal::TestUses(version).read(layout)?;
        uses.extend(entries.iter().filter_map(|entry| serde_json::from_slice::<Self>(&entry.bytes).ok()));
        Ok(uses)
    }

    /// Adds the run that is at work.
    pub(crate) fn note(context: &Context<'_>, version: &str, clips: u64) -> Result<(), StageErrorKind> {
        let one = Self { at: context.started_at.to_owned(), run_id: context.run_id.to_owned(), clips };
        let bytes = serde_json::to_vec(&one).expect("a use is plain data");
        Journal::TestUses(version).append(context.layout, time_of(context.started_at), "json", &bytes)?;
        Ok(())
    }
}

/// The time of an entry: `text` in RFC 3339. Where it is none, the entry is named after those that are there.
pub(crate) fn time_of(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).unwrap_or_default()
}

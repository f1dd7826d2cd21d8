//! How often a model was measured on its test side: figures that were looked at often are not those of recordings that nobody has looked at.

use std::path::Path;

use ecosight_datasets::files::write_atomic;
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::stage::Context;

/// Name of the file in a model's folder, a line of JSON for each time.
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
    /// All times that the model in `folder` was measured, in order; lines that are damaged are passed over.
    pub fn read(folder: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(folder.join(TEST_USES_FILE)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Adds the run that is at work.
    pub(crate) fn note(context: &Context<'_>, folder: &Path, clips: u64) -> Result<(), StageErrorKind> {
        let mut uses = Self::read(folder);
        uses.push(Self { at: context.started_at.to_owned(), run_id: context.run_id.to_owned(), clips });
        let line = |one: &Self| format!("{}\n", serde_json::to_string(one).expect("a use is plain data"));
        Ok(write_atomic(&folder.join(TEST_USES_FILE), uses.iter().map(line).collect::<String>().as_bytes())?)
    }
}

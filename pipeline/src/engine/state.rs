//! What the engine knows of a stage: with which key it ran, what it made, and which files hold that. One small JSON file for each stage.
//!
//! Format: `index/<stage>.json`, version 1, replaced in one step after the files that it names are on disk.

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{Condition, FileStamp, write_atomic};
use ecosight_datasets::key::{Key, KeyHasher};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::Digests;
use ecosight_stages::{KeyPart, Output, RowCounts};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What is known of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of this format.
    pub schema_version: u32,
    /// The run that made it.
    pub run_id: String,
    /// Hash of everything that decided its output.
    pub key: Key,
    /// The same in parts, to explain what has changed.
    pub parts: Vec<KeyPart>,
    /// Digest of each column of the output.
    pub columns: Digests,
    /// The files of the output.
    pub files: Vec<FileStamp>,
    /// What became of the rows when it ran last.
    pub rows: RowCounts,
    /// Whether another try may do more.
    pub is_provisional: bool,
    /// The largest piece of work of late, to tell how long the next will take.
    pub pace: Pace,
}

/// How long some rows took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Rows.
    pub rows: u64,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl Pace {
    /// This pace, or a `newer` one unless that was measured on much less work.
    fn or(self, newer: Self) -> Self {
        if newer.rows * 4 >= self.rows { newer } else { self }
    }

    /// Expected seconds for so many rows; none where nothing was measured.
    pub fn expect(self, rows: u64) -> Option<f64> {
        (self.rows > 0).then(|| self.seconds * rows as f64 / self.rows as f64)
    }
}

/// Hash of the parts of a key.
pub fn hash(stage: &str, parts: &[KeyPart]) -> Key {
    parts.iter().fold(KeyHasher::new("stage").str(stage), |key, part| key.str(&part.name).str(&part.value)).finish()
}

impl State {
    /// What `stage` made with a key of these parts.
    pub(super) fn new(
        stage: &str,
        run_id: &str,
        parts: Vec<KeyPart>,
        output: Output,
        seconds: f64,
        before: Option<&Self>,
    ) -> Self {
        let Output { columns, files, rows, is_provisional } = output;
        let pace = Pace { rows: rows.new + rows.changed, seconds };
        let pace = before.map_or(pace, |before| before.pace.or(pace));
        let key = hash(stage, &parts);
        let (schema_version, run_id) = (SCHEMA_VERSION, run_id.to_owned());
        Self { schema_version, run_id, key, parts, columns, files, rows, is_provisional, pace }
    }

    /// What is known of `stage`; nothing where there is no file or it cannot be read: then the stage runs, and there is one again.
    pub fn read(layout: &Layout, stage: &str) -> Option<Self> {
        let bytes = std::fs::read(layout.state(stage)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|state: &Self| state.schema_version == SCHEMA_VERSION)
    }

    /// Keeps it.
    pub(super) fn write(&self, layout: &Layout, stage: &str) -> Result<(), DatasetError> {
        let json = serde_json::to_vec_pretty(self).expect("a state is plain data");
        write_atomic(&layout.state(stage), &json)
    }

    /// Looks whether the output is there: each file with its size, and where its time has changed with its content. Tells what is not as
    /// it was, or gives the state with the times of now where some have changed.
    pub fn look(&self, layout: &Layout) -> Result<Option<Self>, String> {
        let mut now = self.clone();
        for file in &mut now.files {
            match file.check(layout.root()) {
                Condition::Intact => {}
                Condition::Touched(stamp) => *file = stamp,
                Condition::Missing => return Err(format!("`{}` is gone", file.path)),
                Condition::Damaged => return Err(format!("`{}` is not what was written", file.path)),
            }
        }
        Ok((now.files != self.files).then_some(now))
    }
}

/// The stages that something is kept of, in the order of their names, each with what is known of it; none where that cannot be read.
pub(super) fn known(layout: &Layout) -> Result<Vec<(String, Option<State>)>, DatasetError> {
    let folder = layout.index();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(DatasetError::at("list folder", &folder))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut stages: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    stages.sort();
    Ok(stages.into_iter().map(|stage| (stage.clone(), State::read(layout, &stage))).collect())
}

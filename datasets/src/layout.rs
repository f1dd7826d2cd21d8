//! Where things lie below a data root. Every path of the project's own files is made here.
//!
//! ```text
//! extracted_audio/<class>/…             originals
//! tables/<stage>/…/part-*.parquet       one folder per stage, exactly the live rows
//! runs/<run id>/                        run.json, events.jsonl, metrics.json
//! models/<version>/                     the artefact; production.json and candidate.json point to one
//! ```

use std::path::{Path, PathBuf};

/// A data root on this machine's disk.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The data root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Originals, one folder per class.
    pub fn extracted_audio(&self) -> PathBuf {
        self.root.join("extracted_audio")
    }

    /// All tables.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// The table that `stage` writes.
    pub fn table(&self, stage: &str) -> PathBuf {
        self.tables().join(stage)
    }

    /// Where a table is written before it replaces the live one. Not below `tables/`, so that a glob over the tables never sees it.
    pub fn staging(&self, name: &str) -> PathBuf {
        self.root.join(".staging").join(name)
    }

    /// Records of one run.
    pub fn run(&self, run_id: &str) -> PathBuf {
        self.root.join("runs").join(run_id)
    }

    /// All models.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// One model's artefact.
    pub fn model(&self, version: &str) -> PathBuf {
        self.models().join(version)
    }

    /// Points to the model that `predict` uses.
    pub fn production(&self) -> PathBuf {
        self.models().join("production.json")
    }

    /// Points to the model trained last.
    pub fn candidate(&self) -> PathBuf {
        self.models().join("candidate.json")
    }

    /// Held by the one process that writes `tables/` and `models/`.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// What the last run read, so that the next needs no `--source`, and with which parameters.
    pub fn last_run(&self) -> PathBuf {
        self.root.join(".last_run.json")
    }
}

//! The paths below a data root.

use std::path::{Path, PathBuf};

use super::Area;
use crate::DatasetError;
use crate::store::Place;

/// Says who writes a data root in a bucket; at its top.
pub const LEASE: &str = ".lease.json";

/// What the last run read; at the top of a data root.
pub const LAST_RUN: &str = ".last_run.json";

/// Labels that a person has corrected, as earlier versions kept them; at the top of a data root.
pub const CORRECTIONS: &str = "corrections.csv";

/// Names the files that the tables and the index consist of.
pub const SNAPSHOT: &str = "snapshots/latest.json";

/// A data root on this machine's disk, or the copy of one that lies in a bucket.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    place: Place,
}

impl Layout {
    /// How the names of the files of this machine's databases begin, in [`index`](Self::index).
    const DATABASES: [&str; 2] = ["tracks.db", "fingerprints.db"];

    /// The layout below `root`; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { place: Place::Local(root.clone()), root }
    }

    /// The layout of the copy below `root` of what lies at `place`.
    pub fn copy_of(place: &Place, root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), place: place.clone() }
    }

    /// Where people find it: the folder, or the address of what this is a copy of.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The data root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder at its top.
    pub fn area(&self, area: Area) -> PathBuf {
        self.root.join(area.name())
    }

    /// Originals, one folder per class.
    pub fn extracted_audio(&self) -> PathBuf {
        self.area(Area::ExtractedAudio)
    }

    /// All tables.
    pub fn tables(&self) -> PathBuf {
        self.area(Area::Tables)
    }

    /// The table that `stage` writes.
    pub fn table(&self, stage: &str) -> PathBuf {
        self.tables().join(stage)
    }

    /// Where a table is written before it replaces the live one. Not below `tables/`, so that a glob over the tables never sees it.
    pub fn staging(&self, name: &str) -> PathBuf {
        self.root.join(".staging").join(name)
    }

    /// Rows that are not expected any more.
    pub fn retired(&self) -> PathBuf {
        self.area(Area::Retired)
    }

    /// What the engine knows.
    pub fn index(&self) -> PathBuf {
        self.area(Area::Index)
    }

    /// What the engine knows of one stage.
    pub fn state(&self, stage: &str) -> PathBuf {
        self.index().join(format!("{stage}.json"))
    }

    /// What was found in the files of the source.
    pub fn files_index(&self) -> PathBuf {
        self.index().join("files.parquet")
    }

    /// The units of rows of the table of embeddings, and the parts that hold them.
    pub fn embed_index(&self) -> PathBuf {
        self.index().join("embed.parquet")
    }

    /// What was heard of clips.
    pub fn sounds_index(&self) -> PathBuf {
        self.index().join("sounds.parquet")
    }

    /// Pairs of clips of which one is a copy of the other.
    pub fn copies_index(&self) -> PathBuf {
        self.index().join("copies.parquet")
    }

    /// The files that the tables and the index consist of, see [`Snapshot`](crate::snapshot::Snapshot).
    pub fn snapshot(&self) -> PathBuf {
        self.root.join(SNAPSHOT)
    }

    /// The names, below the data root and in order, of all files of an area that others may read: not the hidden ones, which are being written, nor
    /// links, which lead elsewhere, nor this machine's databases. An area that is not there has none.
    pub fn files(&self, area: Area) -> Result<Vec<String>, DatasetError> {
        let (folder, mut names) = (self.area(area), Vec::new());
        add_files(&folder, area.name(), &mut names).map_err(DatasetError::at("list folder", &folder))?;
        names.sort();
        Ok(names)
    }

    /// The table of tracks and the outbox.
    pub fn tracks(&self) -> PathBuf {
        self.index().join("tracks.db")
    }

    /// Fingerprints of clips, see [`ClipValues`](crate::clip_values::ClipValues).
    pub fn fingerprints(&self) -> PathBuf {
        self.index().join("fingerprints.db")
    }

    /// Where a stage keeps how far its training has come.
    pub fn checkpoint(&self, stage: &str) -> PathBuf {
        self.staging(stage).join("checkpoint")
    }

    /// Records of all runs.
    pub fn runs(&self) -> PathBuf {
        self.area(Area::Runs)
    }

    /// Records of one run.
    pub fn run(&self, run_id: &str) -> PathBuf {
        self.runs().join(run_id)
    }

    /// All models.
    pub fn models(&self) -> PathBuf {
        self.area(Area::Models)
    }

    /// One model's artefact.
    pub fn model(&self, version: &str) -> PathBuf {
        self.models().join(version)
    }

    /// Points to the model that `predict` uses.
    pub fn production(&self) -> PathBuf {
        self.models().join("production.json")
    }

    /// Which model was in production when, as earlier versions kept it; newer entries are in the journal.
    pub fn history(&self) -> PathBuf {
        self.models().join("history.jsonl")
    }

    /// Folders of entries that are only added, see [`Journal`](crate::journal::Journal).
    pub fn journal(&self) -> PathBuf {
        self.area(Area::Journal)
    }

    /// Points to the model trained last.
    pub fn candidate(&self) -> PathBuf {
        self.models().join("candidate.json")
    }

    /// Held by the one process that writes `tables/` and `models/`.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Held by whoever writes the copy of a data root that lies in a bucket.
    pub fn copy_lock(&self) -> PathBuf {
        self.root.join(".copy.lock")
    }

    /// What the last run read, so that the next needs no `--source`, and with which parameters.
    pub fn last_run(&self) -> PathBuf {
        self.root.join(LAST_RUN)
    }

    /// Labels that a person has corrected, as earlier versions kept them; newer ones are in the journal.
    pub fn corrections(&self) -> PathBuf {
        self.root.join(CORRECTIONS)
    }
}

/// Adds the names of all files in `folder`, which is called `name`, in no order.
fn add_files(folder: &Path, name: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Some(last) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if last.starts_with('.') || Layout::DATABASES.iter().any(|name| last.starts_with(name)) {
            continue;
        }
        let kind = entry.file_type()?;
        let full = format!("{name}/{last}");
        if kind.is_dir() {
            add_files(&entry.path(), &full, names)?;
        } else if kind.is_file() {
            names.push(full);
        }
    }
    Ok(())
}

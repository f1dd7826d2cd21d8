//! Snapshots: which files the tables and the index consist of, for readers of a folder that cannot be exchanged in one step.
//!
//! On a disk, the folder of a table is replaced by a rename, and `tables/` holds exactly the live rows. A bucket has no renames. So the files of tables
//! and index have second names in `snapshots/`, made of their content and never replaced, and `snapshots/latest.json` says which of them are the data
//! root: whoever reads it sees one state, whatever is being written. On a disk these second names are links, which take no space until a table changes.
//!
//! A model (`models/<version>/snapshot.json`) and the record of a run (`runs/<id>/snapshot.json`) have a copy of the part about the tables: the rows that
//! the model was trained on, and those that the run ended with. A file stays as long as the latest snapshot or a model names it, and for a day after the
//! latest snapshot has ceased to.
//!
//! Format: JSON on one line, version 1. Paths are below the data root.
//!
//! ```json
//! { "schema_version": 1, "version": 12, "created_at": "2026-03-01T07:05:09Z",
//!   "tables": { "manifest": [{ "path": "snapshots/tables/manifest/part-0f1e2d3c4b5a6978.parquet",
//!                              "name": "tables/manifest/part-00000.parquet", "size_bytes": 5120 }] },
//!   "index": [{ "path": "snapshots/index/embed-8796a5b4c3d2e1f0.json", "name": "index/embed.json", "size_bytes": 2048 }],
//!   "superseded": [{ "path": "snapshots/index/embed-1111111111111111.json", "since": "2026-03-01T07:05:09Z" }] }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::files::{folder_of, link, size_and_time, sync_folder, write_atomic};
use crate::key::ContentHash;
use crate::layout::{Area, Layout, SNAPSHOT};

/// Version of the format.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the file, in the folder of a model or of the record of a run, that says which files its tables consisted of.
pub const SNAPSHOT_FILE: &str = "snapshot.json";

/// For how long a file stays that the latest snapshot names no longer: whoever began to read before reads to the end.
pub(crate) const GRACE: TimeDelta = TimeDelta::hours(24);

/// The files that tables and index consist of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this format.
    pub schema_version: u32,
    /// Counts the snapshots of the data root, from 1.
    pub version: u64,
    /// When it was taken, RFC 3339.
    pub created_at: String,
    /// The files of each table.
    pub tables: BTreeMap<String, Vec<Part>>,
    /// The files of the index; none in the copy of a model or run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index: Vec<Part>,
    /// Files that an earlier snapshot has named, and that are kept for those who are reading it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Superseded>,
}

/// A file of a table or of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it lies as long as anybody may want it; ends in the first 16 digits of the BLAKE3 hash of its content.
    pub path: String,
    /// Where the engine reads and replaces it.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
}

/// A file that the latest snapshot names no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Where it lies.
    pub path: String,
    /// When it ceased to be named, RFC 3339.
    pub since: String,
}

impl Snapshot {
    /// The latest snapshot; none before the first.
    pub fn read(layout: &Layout) -> Result<Option<Self>, DatasetError> {
        Self::read_at(&layout.snapshot())
    }

    /// The snapshot in the file `path`; none where there is no such file.
    pub fn read_at(path: &Path) -> Result<Option<Self>, DatasetError> {
        match std::fs::read(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            bytes => {
                Self::parse(&bytes.map_err(DatasetError::at("read file", path))?, &path.display().to_string()).map(Some)
            }
        }
    }

    /// The snapshot that is written in `bytes`, which were read from `from`.
    pub(crate) fn parse(bytes: &[u8], from: &str) -> Result<Self, DatasetError> {
        let snapshot: Self =
            serde_json::from_slice(bytes).map_err(|error| DatasetError::new("read file", from.to_owned(), error))?;
        if snapshot.schema_version > SCHEMA_VERSION {
            let why =
                format!("it was written by a later version of EcoSight (its format is {})", snapshot.schema_version);
            return Err(DatasetError::invalid("read file", from.to_owned(), why));
        }
        // What is read may come from elsewhere, and names files that are written.
        let is_ours = |part: &&Part| {
            is_below(&part.path, &[Area::Snapshots]) && is_below(&part.name, &[Area::Tables, Area::Index])
        };
        if let Some(part) = snapshot.parts().find(|part| !is_ours(part)) {
            return Err(DatasetError::invalid("read file", from.to_owned(), format!("it names `{}`", part.path)));
        }
        Ok(snapshot)
    }

    /// Makes the tables and the index as they are now the latest snapshot, at `now` (RFC 3339), unless they are already. Only for who holds the lock of
    /// the data root.
    pub fn take(layout: &Layout, now: &str) -> Result<Self, DatasetError> {
        // One that cannot be read is made anew.
        let before = Self::read(layout).ok().flatten().unwrap_or_default();
        let known: BTreeMap<&str, &Part> = before.parts().map(|part| (part.name.as_str(), part)).collect();
        let mut next = Self { schema_version: SCHEMA_VERSION, ..Self::default() };
        for area in [Area::Index, Area::Tables] {
            for name in layout.files(area)? {
                let Some(part) = keep(layout, &name, known.get(name.as_str()).copied())? else { continue };
                match name.split('/').nth(1) {
                    Some(table) if area == Area::Tables => next.tables.entry(table.to_owned()).or_default().push(part),
                    _ => next.index.push(part),
                }
            }
        }
        if (&next.tables, &next.index) == (&before.tables, &before.index) && before.version > 0 {
            return Ok(before);
        }
        let named: BTreeSet<&str> = next.parts().map(|part| part.path.as_str()).collect();
        let is_kept = |old: &&Superseded| is_within_grace(&old.since, now) && !named.contains(old.path.as_str());
        let mut superseded: Vec<Superseded> = before.superseded.iter().filter(is_kept).cloned().collect();
        let gone = before.parts().filter(|part| !named.contains(part.path.as_str()));
        superseded.extend(gone.map(|part| Superseded { path: part.path.clone(), since: now.to_owned() }));
        (next.version, next.created_at, next.superseded) = (before.version + 1, now.to_owned(), superseded);
        next.write(&layout.snapshot())?;
        Ok(next)
    }

    /// What it says of the tables, for a model or the record of a run.
    #[must_use]
    pub fn of_tables(self) -> Self {
        Self { index: Vec::new(), superseded: Vec::new(), ..self }
    }

    /// Writes it to `path`, as one line, which readers of JSON lines read, too.
    pub fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let json = serde_json::to_string(self).expect("text and numbers can be written as JSON");
        write_atomic(path, format!("{json}\n").as_bytes())
    }

    /// Names these files no longer.
    pub fn remove(&mut self, gone: &[Part]) {
        for parts in self.tables.values_mut().chain([&mut self.index]) {
            parts.retain(|part| !gone.contains(part));
        }
        self.tables.retain(|_, parts| !parts.is_empty());
    }

    /// All files that it names.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.tables.values().flatten().chain(&self.index)
    }

    /// Makes tables and index exactly what it says, except for files that are not there; the number of files that were removed.
    pub(crate) fn restore(&self, layout: &Layout) -> Result<usize, DatasetError> {
        for part in self.parts() {
            let (from, to) = (layout.root().join(&part.path), layout.root().join(&part.name));
            if from.is_file() && !part.is_live(layout) {
                put(&from, &to).map_err(DatasetError::at("write table", &to))?;
            }
        }
        let there = self.parts().filter(|part| layout.root().join(&part.path).is_file());
        let named: BTreeSet<&str> = there.map(|part| part.name.as_str()).collect();
        let mut removed = 0;
        for name in [layout.files(Area::Tables)?, layout.files(Area::Index)?].concat() {
            if !named.contains(name.as_str()) {
                let path = layout.root().join(name);
                std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
                remove_empty(&path, layout.root());
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Whether tables and index hold something that it does not say: they were changed since. What is missing is no change.
    pub(crate) fn is_outdated(&self, layout: &Layout) -> Result<bool, DatasetError> {
        let known: BTreeMap<&str, &Part> = self.parts().map(|part| (part.name.as_str(), part)).collect();
        let is_known = |name: &String| known.get(name.as_str()).is_some_and(|part| part.is_live(layout));
        Ok(![layout.files(Area::Tables)?, layout.files(Area::Index)?].concat().iter().all(is_known))
    }
}

impl Part {
    /// Whether the file at its path is the one, or has the size and time of the one, that the engine reads under its name.
    pub fn is_live(&self, layout: &Layout) -> bool {
        is_same(&layout.root().join(&self.path), &layout.root().join(&self.name))
    }

    /// Whether the file at its path, below `root`, is what was written: it is there, and has the size and the hash.
    pub fn is_whole(&self, root: &Path) -> Result<bool, DatasetError> {
        let path = root.join(&self.path);
        match path.metadata() {
            Ok(meta) if meta.is_file() && meta.len() == self.size_bytes => {}
            _ => return Ok(false),
        }
        let hash = File::open(&path).and_then(ContentHash::of_reader).map_err(DatasetError::at("read file", &path))?;
        Ok(self.path == path_of(&self.name, &hash))
    }
}

/// Files in `snapshots/` that neither the latest snapshot nor one of the models names that `are_kept`, nor any snapshot has named in the day before `now`.
pub fn unused(
    layout: &Layout,
    now: DateTime<Utc>,
    are_kept: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, DatasetError> {
    let named = named(layout, now, are_kept)?;
    Ok(layout.files(Area::Snapshots)?.into_iter().filter(|name| !named.contains(name)).collect())
}

/// Removes the files that are [unused] where all models are kept; their number.
pub fn vacuum(layout: &Layout, now: DateTime<Utc>) -> Result<usize, DatasetError> {
    let unused = unused(layout, now, &|_| true)?;
    for name in &unused {
        let path = layout.root().join(name);
        std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
        remove_empty(&path, layout.root());
    }
    Ok(unused.len())
}

/// The names of all files in `snapshots/` that are wanted at `now`, where the models are kept that `are_kept`.
pub(crate) fn named(
    layout: &Layout,
    now: DateTime<Utc>,
    are_kept: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<String>, DatasetError> {
    let now = now.to_rfc3339();
    let latest = Snapshot::read(layout)?.unwrap_or_default();
    let superseded = latest.superseded.iter().filter(|old| is_within_grace(&old.since, &now));
    let mut named: BTreeSet<String> = superseded.map(|old| old.path.clone()).collect();
    named.insert(SNAPSHOT.to_owned());
    named.extend(latest.parts().map(|part| part.path.clone()));
    let models = std::fs::read_dir(layout.models()).into_iter().flatten().flatten();
    for model in models.filter(|model| are_kept(&model.file_name().to_string_lossy())) {
        // One that cannot be read leads nobody to its files.
        let of_model = Snapshot::read_at(&model.path().join(SNAPSHOT_FILE)).ok().flatten().unwrap_or_default();
        named.extend(of_model.parts().map(|part| part.path.clone()));
    }
    Ok(named)
}

/// Whether less than the time of grace has passed from `since` to `now`, both RFC 3339. What cannot be read has just begun.
fn is_within_grace(since: &str, now: &str) -> bool {
    let [since, now] = [since, now].map(|text| DateTime::parse_from_rfc3339(text).ok());
    since.zip(now).is_none_or(|(since, now)| now - since < GRACE)
}

/// Gives the live file `name` its second name; nothing where it is not there any more. `known` is what an earlier snapshot says of it.
fn keep(layout: &Layout, name: &str, known: Option<&Part>) -> Result<Option<Part>, DatasetError> {
    let live = layout.root().join(name);
    if let Some(part) = known
        && is_same(&layout.root().join(&part.path), &live)
    {
        return Ok(Some(part.clone()));
    }
    let folder = folder_of(&layout.area(Area::Snapshots).join(name)).to_owned();
    let keep = || -> std::io::Result<Part> {
        std::fs::create_dir_all(&folder)?;
        let temporary = temporary_for(&folder.join(live.file_name().unwrap_or_default()));
        remove_if_there(&temporary)?;
        // What is hashed cannot be replaced meanwhile.
        link(&live, &temporary)?;
        let hash = ContentHash::of_reader(File::open(&temporary)?)?;
        let size_bytes = temporary.metadata()?.len();
        let path = path_of(name, &hash);
        std::fs::rename(&temporary, layout.root().join(&path))?;
        // A rename over another name of the same file leaves both.
        remove_if_there(&temporary)?;
        sync_folder(&folder)?;
        Ok(Part { path, name: name.to_owned(), size_bytes })
    };
    match keep() {
        Err(_) if !live.exists() => Ok(None),
        kept => kept.map(Some).map_err(DatasetError::at("keep a version of", &live)),
    }
}

/// The second name of the file `name` with this content: `tables/split/part-00000.parquet` is `snapshots/tables/split/part-<hash>.parquet`.
fn path_of(name: &str, hash: &ContentHash) -> String {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let is_part = extension == "parquet" && stem.starts_with("part-");
    let stem = if is_part { "part" } else { stem };
    let dot = if extension.is_empty() { "" } else { "." };
    format!("{}/{folder}/{stem}-{}{dot}{extension}", Area::Snapshots.name(), &hash.to_string()[..16])
}

/// Whether two names are of one file, or of two that have their size and time in common.
fn is_same(a: &Path, b: &Path) -> bool {
    size_and_time(a).is_ok_and(|a| size_and_time(b).is_ok_and(|b| a == b))
}

/// Makes `to` another name of `from`, in one step.
fn put(from: &Path, to: &Path) -> std::io::Result<()> {
    let folder = folder_of(to);
    std::fs::create_dir_all(folder)?;
    let temporary = temporary_for(to);
    remove_if_there(&temporary)?;
    link(from, &temporary)?;
    std::fs::rename(&temporary, to)?;
    remove_if_there(&temporary)?;
    sync_folder(folder)
}

/// A hidden name beside `path`.
fn temporary_for(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.tmp", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes the folders above `path`, below `root`, that are empty now: a table without parts is no table.
pub(crate) fn remove_empty(path: &Path, root: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
}

/// Whether `path` is a plain path to a file in one of these areas.
fn is_below(path: &str, areas: &[Area]) -> bool {
    let is_plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(['\\', '\0']);
    let is_area = |name: &str| areas.iter().any(|area| area.name() == name);
    path.split_once('/').is_some_and(|(area, rest)| is_area(area) && rest.split('/').all(is_plain))
}

#[cfg(test)]
mod tests;

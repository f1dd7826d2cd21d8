//! What lies in a data root without being needed: retired rows, left-overs of killed runs, old models, old run records.
//!
//! Guarantees: finding out changes nothing; only what was found is removed, under the lock; symbolic links are never followed; nothing
//! that `predict`, the next run or a rollback reads is among it.

mod models;
mod staging;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use ecosight_datasets::DatasetError;
use ecosight_datasets::files::folder_of;
use ecosight_datasets::layout::{Area, Layout};
use ecosight_datasets::snapshot::unused;
use ecosight_stages::StageErrorKind;
use ecosight_stages::test_uses::TestUse;
use serde::Serialize;

use super::Lock;
use super::files::{self, Size, below, is_folder, is_temporary, name_of, oldest_first, size_of};

/// How much is kept of what would otherwise be removed.
#[derive(Clone, Debug)]
pub struct Keep {
    /// So many of the newest models.
    pub models: usize,
    /// So many of the newest run records.
    pub runs: usize,
    /// Embedders whose unfinished work the next run may want.
    pub embedders: Vec<String>,
}

/// A file or folder, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Path below the data root, with `/` between its parts.
    pub path: String,
    /// Number of files in it.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Why it can be removed, or is kept.
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Garbage {
    /// What nothing needs.
    pub removable: Vec<Item>,
    /// What looks like it, but is needed or not ours.
    pub kept: Vec<Item>,
}

impl Garbage {
    /// Number of files that can be removed.
    pub fn files(&self) -> u64 {
        self.removable.iter().map(|item| item.files).sum()
    }

    /// Size of all that can be removed.
    pub fn bytes(&self) -> u64 {
        self.removable.iter().map(|item| item.bytes).sum()
    }

    fn remove(&mut self, layout: &Layout, path: &Path, why: impl Into<String>) -> Result<(), DatasetError> {
        let Size { files, bytes, links } = size_of(path)?;
        if files == 0 {
            return Ok(());
        }
        let (path, why) = (files::relative(layout, path), why.into());
        if links > 0 {
            let why =
                "there are symbolic links in it, which are not followed: look at it, and remove it by hand".to_owned();
            self.kept.push(Item { path, files, bytes, why });
        } else {
            self.removable.push(Item { path, files, bytes, why });
        }
        Ok(())
    }

    fn keep(&mut self, layout: &Layout, path: &Path, why: &str) -> Result<(), DatasetError> {
        let Size { files, bytes, .. } = size_of(path)?;
        self.kept.push(Item { path: files::relative(layout, path), files, bytes, why: why.to_owned() });
        Ok(())
    }

    /// Whether `path` lies in something that is listed already.
    fn covers(&self, layout: &Layout, path: &Path) -> bool {
        let path = files::relative(layout, path);
        let within = |item: &Item| path == item.path || path.starts_with(&format!("{}/", item.path));
        self.removable.iter().any(within)
    }
}

/// Finds what nothing needs at `now`. An error where a pointer to a model is unreadable: then nobody can tell which models are needed.
pub fn find(layout: &Layout, keep: &Keep, now: DateTime<Utc>) -> Result<Garbage, StageErrorKind> {
    let mut garbage = Garbage::default();
    retired(layout, &mut garbage)?;
    staging::find(layout, &keep.embedders, &mut garbage)?;
    let kept = models::find(layout, keep.models, &mut garbage)?;
    runs(layout, keep.runs, &kept, &mut garbage)?;
    snapshots(layout, now, &kept, &mut garbage)?;
    temporary(layout, &mut garbage)?;
    Ok(garbage)
}

/// Removes what was found. The folders of models and runs vanish in one step, so that none is ever seen half removed.
pub fn remove(layout: &Layout, garbage: &Garbage, _lock: &Lock) -> Result<(), DatasetError> {
    let bin = layout.staging("removed");
    for (number, item) in garbage.removable.iter().enumerate() {
        let path = layout.root().join(&item.path);
        let remove = || -> std::io::Result<()> {
            if !path.symlink_metadata()?.is_dir() {
                return std::fs::remove_file(&path);
            }
            std::fs::create_dir_all(&bin)?;
            let gone = bin.join(number.to_string());
            // What an earlier removal has left there.
            if gone.exists() {
                std::fs::remove_dir_all(&gone)?;
            }
            std::fs::rename(&path, &gone)?;
            std::fs::remove_dir_all(&gone)
        };
        match remove() {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DatasetError::new("remove", path.display().to_string(), error));
            }
            _ => {}
        }
    }
    let emptied = garbage.removable.iter().map(|item| layout.root().join(&item.path)).chain([bin.join("0")]);
    for path in emptied {
        let is_ours = |folder: &&Path| folder.starts_with(layout.retired()) || folder.starts_with(folder_of(&bin));
        for folder in path.ancestors().skip(1).take_while(is_ours) {
            // Those that are not empty stay.
            let _ = std::fs::remove_dir(folder);
        }
    }
    Ok(())
}

/// Everything below `retired/`, folder by folder.
fn retired(layout: &Layout, garbage: &mut Garbage) -> Result<(), DatasetError> {
    let folder = layout.retired();
    if !is_folder(&folder) {
        return linked(layout, &folder, garbage);
    }
    for path in below(&folder)? {
        let why = match name_of(&path).as_str() {
            "damaged" => "damaged, and set aside",
            "unknown" => "found among the tables, which did not name it, and set aside",
            _ => "rows that are not expected any more; kept, they would come back without being computed",
        };
        let groups = if is_folder(&path) && name_of(&path) == "embed" { below(&path)? } else { vec![path] };
        for group in groups {
            garbage.remove(layout, &group, why)?;
        }
    }
    Ok(())
}

/// The folders of all runs, the oldest first.
pub fn run_records(layout: &Layout) -> Result<Vec<PathBuf>, DatasetError> {
    let folder = layout.runs();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let is_record =
        |path: &PathBuf| is_folder(path) && ["run.json", "events.jsonl"].iter().any(|name| path.join(name).is_file());
    Ok(oldest_first(below(&folder)?.into_iter().filter(is_record).collect(), "events.jsonl"))
}

/// Records of all runs but the newest and those that made, or measured last, one of `models`.
fn runs(layout: &Layout, keep: usize, models: &BTreeSet<String>, garbage: &mut Garbage) -> Result<(), DatasetError> {
    if layout.runs().is_symlink() {
        return linked(layout, &layout.runs(), garbage);
    }
    let mut measured = BTreeSet::new();
    for model in models {
        measured.extend(TestUse::read(layout, model)?.pop().map(|last| last.run_id));
    }
    // The version of a model is the run that made it, and digits of its digest.
    let has_made =
        |run: &str| models.iter().any(|model| model.strip_prefix(run).is_some_and(|rest| rest.starts_with('-')));
    for path in run_records(layout)?.iter().rev().skip(keep) {
        let run = name_of(path);
        if has_made(&run) || measured.contains(&run) {
            garbage.keep(layout, path, "the record of the run that made or measured a model that is kept")?;
            continue;
        }
        garbage.remove(layout, path, format!("the record of a run that is not among the {keep} newest"))?;
    }
    Ok(())
}

/// Files of earlier versions of the tables.
fn snapshots(
    layout: &Layout,
    now: DateTime<Utc>,
    models: &BTreeSet<String>,
    garbage: &mut Garbage,
) -> Result<(), DatasetError> {
    let folder = layout.area(Area::Snapshots);
    if folder.is_symlink() {
        return linked(layout, &folder, garbage);
    }
    for name in unused(layout, now, &|model| models.contains(model))? {
        let why = "a version of a table or of the index that no model which is kept was trained on";
        garbage.remove(layout, &layout.root().join(name), why)?;
    }
    Ok(())
}

/// Files that a killed process was writing.
fn temporary(layout: &Layout, garbage: &mut Garbage) -> Result<(), DatasetError> {
    let mut folders = vec![layout.root().to_owned(), layout.tables(), layout.index(), layout.runs(), layout.journal()];
    folders.push(layout.area(Area::Snapshots));
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() || (folder != *layout.root() && !is_folder(&folder)) {
            continue;
        }
        for path in below(&folder)? {
            if garbage.covers(layout, &path) {
                continue;
            }
            if is_folder(&path) && folder != *layout.root() {
                folders.push(path);
            } else if is_temporary(&path) && path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                garbage.remove(layout, &path, "a file that a killed run was writing")?;
            }
        }
    }
    Ok(())
}

/// Says of a folder that is a link that it is not entered.
fn linked(layout: &Layout, folder: &Path, garbage: &mut Garbage) -> Result<(), DatasetError> {
    if folder.is_symlink() {
        garbage.keep(layout, folder, "a symbolic link, which is not followed")?;
    }
    Ok(())
}

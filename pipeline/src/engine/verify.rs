//! Whether what was written is still there: every file that an index or a state names is read and hashed, every model is loaded, and the
//! tables are searched for parts that nobody names.
//!
//! Guarantees: finding out changes nothing. A repair deletes nothing: what is damaged or unknown moves to `retired/`, under the lock,
//! and what is missing then is computed by the next run.

mod inventory;
mod repair;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{Condition, FileStamp};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{Row, read_files_index};
use ecosight_models::artefact::Artefact;
use ecosight_stages::train::Pointer;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

pub use repair::repair;

use super::describe;
use super::files::relative;

/// What became of something that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is what was written.
    Ok,
    /// It is not what was written, or cannot be read.
    Damaged,
    /// It is gone.
    Missing,
    /// It lies among the tables, but nothing names it.
    Unknown,
}

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What it is part of: the word of a stage, `models`, `index`.
    pub part_of: String,
    /// Path below the data root, with `/` between its parts.
    pub path: String,
    /// What became of it.
    pub health: Health,
    /// Its size in bytes, as far as it is known.
    pub bytes: u64,
    /// What is wrong, in words.
    pub why: String,
}

/// Something that can be checked.
enum Check {
    /// A file is to be what it was.
    Stamp(FileStamp),
    /// A pointer is to name a model that is there.
    Pointer(PathBuf),
    /// A model is to load.
    Model(PathBuf),
    /// A state, or the index of the files of the source, is to be readable.
    Readable(PathBuf, Result<(), String>),
    /// A part is to be named by somebody.
    Unnamed(PathBuf),
}

/// Checks everything, on all cores; `progress` is told how many things of how many are done. Once `cancelled` is set the rest is left out.
pub fn verify(
    layout: &Layout,
    progress: &(dyn Fn(u64, u64) + Sync),
    cancelled: &AtomicBool,
) -> Result<Vec<Checked>, DatasetError> {
    let checks = inventory::take(layout)?;
    let (done, total) = (AtomicU64::new(0), checks.len() as u64);
    let check = |(part_of, check): &(String, Check)| {
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let (path, bytes, (health, why)) = look(layout, check);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        Some(Checked { part_of: part_of.clone(), path, health, bytes, why })
    };
    let mut found: Vec<Checked> = checks.par_iter().filter_map(check).collect();
    found.sort_by(|a, b| (&a.path, b.health).cmp(&(&b.path, a.health)));
    // A file may have been named twice, with what it was at two times: it is as bad as the worst of them.
    let mut seen = BTreeSet::new();
    found.retain(|checked| seen.insert(checked.path.clone()));
    found.sort_by(|a, b| (&a.part_of, &a.path).cmp(&(&b.part_of, &b.path)));
    Ok(found)
}

fn look(layout: &Layout, check: &Check) -> (String, u64, (Health, String)) {
    let ok = || (Health::Ok, String::new());
    match check {
        Check::Stamp(stamp) => {
            let health = match stamp.verify(layout.root()) {
                Condition::Intact | Condition::Touched(_) => ok(),
                Condition::Missing => (Health::Missing, "it is gone".to_owned()),
                Condition::Damaged => (Health::Damaged, "it is not what was written".to_owned()),
            };
            (stamp.path.clone(), stamp.bytes, health)
        }
        Check::Pointer(path) => (relative(layout, path), size(path), pointer(layout, path)),
        Check::Model(path) => {
            let health = Artefact::load(path).map_or_else(|error| (Health::Damaged, describe(&error)), |_| ok());
            (relative(layout, path), 0, health)
        }
        Check::Readable(path, result) => {
            let health = result.clone().map_or_else(|why| (Health::Damaged, why), |()| ok());
            (relative(layout, path), size(path), health)
        }
        Check::Unnamed(path) => {
            let why = "nothing names it, but whoever opens the table reads it".to_owned();
            (relative(layout, path), size(path), (Health::Unknown, why))
        }
    }
}

fn pointer(layout: &Layout, path: &std::path::Path) -> (Health, String) {
    match Pointer::read(path) {
        Err(error) => (Health::Damaged, error.to_string()),
        Ok(Some(pointer)) if !layout.model(&pointer.version).is_dir() => {
            (Health::Damaged, format!("it names the model `{}`, which is gone", pointer.version))
        }
        Ok(_) => (Health::Ok, String::new()),
    }
}

/// Whether the rows of the table of `R` can be read.
fn is_readable<R: Row>(path: &std::path::Path) -> Result<(), String> {
    ecosight_datasets::tables::read_rows::<R>(path).map(drop).map_err(|error| describe(&error))
}

/// Whether what is known of the files of the source can be read.
fn files_index(layout: &Layout) -> Result<(), String> {
    read_files_index(layout).map(drop).map_err(|error| describe(&error))
}

fn size(path: &std::path::Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

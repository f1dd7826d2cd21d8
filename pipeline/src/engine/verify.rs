//! Whether what was written is still there: every file that an index or a state names is read and hashed, every model is compared with its
//! checksums, records, pointers, the history, corrections and indexes are parsed, retired parts are decoded, and the tables are searched for
//! parts that nothing names. Of recordings that were taken in, existence and size are compared with the index of tracks; with
//! [`Depth::Deep`] they are read and hashed, too.
//!
//! Guarantees: finding out changes nothing. A repair deletes nothing: what is damaged or unknown moves to `retired/`, under the lock,
//! and what is missing then is computed by the next run, or written again from what else is known.

mod inventory;
mod look;
mod repair;
mod unfinished;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::FileStamp;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::snapshot::Part;
use ecosight_datasets::tracks::Track;
use ecosight_stages::StageErrorKind;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

pub use repair::{Repaired, repair};

/// What parts of embeddings belong to whose table is not complete yet.
const STAGING: &str = "staging";

/// How thoroughly recordings are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether they are there, with their size.
    Quick,
    /// They are read and hashed.
    Deep,
}

/// What became of something that was written, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is what was written.
    Ok,
    /// A run that did not come to its end was writing it; the next run makes it again.
    Unfinished,
    /// It is not what was written, or cannot be read.
    Damaged,
    /// It is gone.
    Missing,
    /// It lies among the tables, but nothing names it.
    Unknown,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Unfinished, Self::Damaged, Self::Missing, Self::Unknown];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unfinished => "unfinished",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    /// Whether something has to be done.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::Ok | Self::Unfinished)
    }
}

/// How something that is wrong is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// It is set aside; the next run makes it again, or does without it.
    SetAside,
    /// A repair writes it again from what else is known.
    Restore,
    /// Only a person can: it cannot be computed from anything.
    ByHand,
}

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What it is part of: the word of a stage, `models`, `index`, `recordings`, `runs`, `retired`, `staging`.
    pub part_of: String,
    /// Path below the data root, with `/` between its parts.
    pub path: String,
    /// What became of it.
    pub health: Health,
    /// Its size in bytes, as far as it is known.
    pub bytes: u64,
    /// What is wrong, in words.
    pub why: String,
    /// How it is put right, if it is wrong.
    pub remedy: Remedy,
}

/// Something that can be checked.
enum Check {
    /// A file is to be what it was when its stage made it.
    Stamp(FileStamp),
    /// The pointer to the model in production is to be there and to say what the history says.
    Production(PathBuf),
    /// A pointer is to name a model that is there.
    Pointer(PathBuf),
    /// A model is to be what its checksums say.
    Model(PathBuf),
    /// A file that is not read anew, which was read with this result.
    Readable(PathBuf, Result<(), String>),
    /// A file of the tables that a snapshot names.
    Kept(Part),
    /// A file of JSON, of lines of JSON or of Parquet, as its name says, is to be readable.
    File(PathBuf),
    /// The history of the model in production is to be readable, line by line.
    History(PathBuf),
    /// The labels that a person has corrected are to be readable.
    Corrections(PathBuf),
    /// The index of tracks is damaged, for this reason.
    Tracks(PathBuf, String),
    /// A part is to be named by something.
    Unnamed(PathBuf),
    /// A recording that was taken in is to be there.
    Recording(Box<Track>),
}

/// What a verification has found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Everything that was checked, by part and path.
    pub checked: Vec<Checked>,
    /// What could not be checked, and why.
    pub left_out: Vec<String>,
}

/// Checks everything, on all cores; `progress` gets how many things of how many are done. Once `cancelled` is set the rest is left out.
pub fn verify(
    layout: &Layout,
    depth: Depth,
    progress: &(dyn Fn(u64, u64) + Sync),
    cancelled: &AtomicBool,
) -> Result<Verified, DatasetError> {
    let inventory::Inventory { checks, left_out } = inventory::take(layout)?;
    let surroundings = look::Surroundings { layout, depth, unfinished: unfinished::stages(layout)? };
    let (done, total) = (AtomicU64::new(0), checks.len() as u64);
    let check = |(part_of, check): &(String, Check)| {
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let checked = surroundings.look(part_of, check);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        Some(checked)
    };
    let mut found: Vec<Checked> = checks.par_iter().filter_map(check).collect();
    found.sort_by(|a, b| (&a.path, b.health).cmp(&(&b.path, a.health)));
    // A file may have been named twice, with what it was at two times: it is as bad as the worst of them.
    let mut seen = BTreeSet::new();
    found.retain(|checked| seen.insert(checked.path.clone()));
    found.sort_by(|a, b| (&a.part_of, &a.path).cmp(&(&b.part_of, &b.path)));
    Ok(Verified { checked: found, left_out })
}

/// An error of a stage in one line.
fn in_words(error: &StageErrorKind) -> String {
    super::describe(error)
}

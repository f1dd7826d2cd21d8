//! A data root in a bucket, worked on in a copy on this machine.
//!
//! The engine needs files that are renamed, linked and appended to. So it works in a folder of this machine; before it begins, what is newer in
//! the bucket is fetched, and what it has made is sent, over and over while it works and at its end. Nothing is sent or fetched twice: an entity
//! tag and a file's size and time tell what is known on both sides.
//!
//! * Tables and the index are sent as [snapshots](crate::snapshot): their files have names made of their content and are never replaced, and
//!   `snapshots/latest.json`, which names those that count, follows them, before the pointers to models. Whoever reads in between finds a whole state;
//!   files that nobody names are removed a day later.
//! * What replaces something is sent under the condition that it replaces what was fetched: of two writers one is refused.
//! * Where the bucket has moved on, it wins; what this machine had made and not sent is made again.
//! * What people decided cannot be made again: entries of the [journal](crate::journal) are merged. A pull fetches those that are missing here, a
//!   push sends those that are missing there, first of all; neither replaces or removes one.

mod known;
mod pull;
mod push;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::DatasetError;
use crate::layout::{Area, Layout, SNAPSHOT};
use crate::store::Store;
use known::Known;

pub use pull::Pulled;
pub use push::Pushed;

/// What lies in a bucket and is worked on here: everything but the originals, which are read where they are, and what expires. Tables and the index lie
/// there as snapshots.
pub const AREAS: [Area; 5] = [Area::Snapshots, Area::Retired, Area::Runs, Area::Models, Area::Journal];

/// Where earlier versions of the program kept tables and index in a bucket.
const BEFORE_SNAPSHOTS: [Area; 2] = [Area::Tables, Area::Index];

/// Files at the top that belong to the data root.
const FILES: [&str; 2] = [crate::layout::LAST_RUN, crate::layout::CORRECTIONS];

/// Requests on their way at a time.
const AT_ONCE: usize = 16;

/// A data root in a bucket and its copy here.
pub struct Mirror {
    store: Arc<Store>,
    layout: Layout,
    /// What is the same on both sides.
    known: Mutex<Known>,
}

impl Mirror {
    /// The data root in `store`, with its copy at `layout`. Nothing is fetched yet.
    pub fn open(store: Arc<Store>, layout: Layout) -> Result<Self, DatasetError> {
        let known = Known::read(layout.root(), &store.place().to_string())?;
        Ok(Self { store, layout, known: Mutex::new(known) })
    }

    /// The bucket's side.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whether what people ask for in these areas was fetched before: tables and index, records of runs, and models.
    pub fn is_filled(&self, areas: &[Area]) -> bool {
        let known = self.known.lock().expect("nobody panics while holding it");
        let asked = areas.iter().filter(|area| matches!(area, Area::Snapshots | Area::Runs | Area::Models));
        let mut prefixes = asked.map(|area| format!("{}/", area.name()));
        prefixes.all(|prefix| known.files.keys().any(|name| name.starts_with(&prefix)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.layout.root().join(name)
    }

    /// The names of all files of these areas that are here.
    fn files(&self, areas: &[Area]) -> Result<Vec<String>, DatasetError> {
        let mut names: Vec<String> =
            FILES.iter().filter(|name| self.path(name).is_file()).map(|name| (*name).to_owned()).collect();
        for area in areas {
            names.extend(self.layout.files(*area)?);
        }
        names.sort();
        Ok(names)
    }
}

/// Whether the file of this name is one of a table or of the index, named by its content: it is sent once, and fetched where it is wanted.
fn is_part(name: &str) -> bool {
    name != SNAPSHOT && name.split('/').next() == Some(Area::Snapshots.name())
}

/// Whether entries of this name are only added, on either side.
fn is_append_only(name: &str) -> bool {
    name.split('/').next() == Some(Area::Journal.name())
}

#[cfg(test)]
mod tests;

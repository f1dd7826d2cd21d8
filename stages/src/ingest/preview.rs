//! What `ecosight ingest` would do with recordings. Nothing is written, and no index is made, to find it out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use ecosight_datasets::DatasetError;
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{ClassName, Layout};
use ecosight_datasets::removals::{Removal, Removals};
use ecosight_datasets::store::Store;
use ecosight_datasets::tracks::{Track, Tracks};

use super::{NewClass, Rejection, Restore, Rules, check, keys, rules};

/// What would become of one file.
#[derive(Clone, Debug, PartialEq)]
pub enum WouldBe {
    /// It would be stored under this key, apart from the time in it.
    Stored(String),
    /// The same bytes are stored under this key, or would be by then.
    AlreadyPresent(String),
    /// It was removed on purpose, and nobody asks for it back.
    Removed(Removal),
    /// It would not be taken.
    Rejected(Rejection),
}

/// Looks at recordings as [`Ingest`](super::Ingest) would, for one data root.
pub struct Preview<'a> {
    layout: &'a Layout,
    rules: &'a Rules,
    store: Option<&'a Store>,
    tracks: Option<Tracks>,
    removals: Removals,
    restore: Restore,
    now: DateTime<Utc>,
    /// Keys that earlier files of this call would have, by their bytes.
    stored: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl<'a> Preview<'a> {
    /// Reads the index, where there is one.
    pub fn open(
        layout: &'a Layout,
        rules: &'a Rules,
        store: Option<&'a Store>,
        restore: Restore,
        now: DateTime<Utc>,
    ) -> Result<Self, DatasetError> {
        let (tracks, removals) = (Tracks::find(layout)?, Removals::read(layout)?);
        let (stored, taken) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { layout, rules, store, tracks, removals, restore, now, stored, taken })
    }

    /// The class called `name`.
    pub fn class(&self, name: &str, new: NewClass) -> Result<Result<ClassName, Rejection>, DatasetError> {
        rules::class(self.layout, self.rules, self.tracks.as_ref(), self.store, (name, new))
    }

    /// What would become of the file at `path`, which its owner calls `name`.
    pub fn look(&mut self, path: &Path, name: &str, class: &ClassName) -> Result<WouldBe, DatasetError> {
        let tracks = self.tracks.as_ref();
        let present = |hash: &ContentHash| -> Result<Option<Track>, DatasetError> {
            let track = tracks.map(|tracks| tracks.present(class, hash)).transpose()?.flatten();
            let is_there = |path: &String| self.layout.root().join(path).is_file();
            Ok(track.filter(|track| track.s3_object_key.is_some() || track.path.as_ref().is_some_and(is_there)))
        };
        let checked = match check::check(path, self.rules.max_bytes(), present) {
            Err(rejection) => return Ok(WouldBe::Rejected(rejection)),
            Ok(checked) => checked,
        };
        let removal = self.removals.find(checked.hash(), class.as_str());
        if let Some(removal) = removal.filter(|_| self.restore == Restore::No) {
            return Ok(WouldBe::Removed(removal.clone()));
        }
        let sound = match checked {
            check::Checked::Present(track) => return Ok(WouldBe::AlreadyPresent(track.key)),
            check::Checked::Sound(sound) => sound,
        };
        let hash = sound.hash.to_string();
        if let Some(key) = self.stored.get(&hash) {
            return Ok(WouldBe::AlreadyPresent(key.clone()));
        }
        let [preferred, with_hash] = keys(class, self.now, name, &sound, self.store.is_some());
        let is_taken = self.taken.contains(&preferred) || self.layout.root().join(&preferred).exists();
        let key = if is_taken { with_hash } else { preferred };
        self.taken.insert(key.clone());
        self.stored.insert(hash, key.clone());
        Ok(WouldBe::Stored(key))
    }
}

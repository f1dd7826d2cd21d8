//! Recordings that were removed on purpose: `ecosight storage rm` notes each, so that the same bytes do not come back unasked, by another upload
//! of a copy, by an index that is made again, or by a retrain from a folder that still has them.
//!
//! Format: an entry of [`Journal::Removals`] per removal, and per recording that was taken in again; one JSON object, version 1. The newest entry
//! counts for the bytes under their class. The journal lies in the data root and in the bucket of the recordings; both sides are merged.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::journal::Journal;
use crate::key::{ClipId, ContentHash, Key, KeyHasher};
use crate::layout::Layout;
use crate::tables::ClipRow;

/// What was done with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalAction {
    /// It was removed, and does not come back unasked.
    Remove,
    /// It was taken in again by somebody who asked for it.
    Restore,
}

/// An entry: which recording was removed, or taken in again, when and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Version of this format.
    pub schema_version: u32,
    /// What was done.
    pub action: RemovalAction,
    /// When, UTC, RFC 3339.
    pub at: String,
    /// Who, where that is known.
    pub by: Option<String>,
    /// Where it was: `extracted_audio/<class>/<file>`.
    pub key: String,
    /// The class that it was filed under.
    pub class: String,
    /// BLAKE3 of its bytes, 64 hexadecimal digits.
    pub blake3: String,
}

impl Removal {
    /// Notes that the recording under `key` with these bytes was removed, or taken in again.
    pub fn note(
        layout: &Layout,
        action: RemovalAction,
        (at, by): (DateTime<Utc>, Option<&str>),
        (key, class, hash): (&str, &str, &ContentHash),
    ) -> Result<Self, DatasetError> {
        let removal = Self {
            schema_version: 1,
            action,
            at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            by: by.map(str::to_owned),
            key: key.to_owned(),
            class: class.to_owned(),
            blake3: hash.to_string(),
        };
        let bytes = serde_json::to_vec_pretty(&removal).expect("a removal is plain data");
        Journal::Removals.append(layout, at, "json", &bytes)?;
        Ok(removal)
    }

    /// When and by whom, in words.
    pub fn words(&self) -> String {
        let by = self.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
        format!("removed at {}{by}", self.at)
    }
}

/// The recordings that are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removals {
    /// By identity of the bytes and class.
    removed: BTreeMap<(ClipId, String), Removal>,
}

impl Removals {
    /// Reads all entries of this data root; an error where one was damaged, since a recording might come back.
    pub fn read(layout: &Layout) -> Result<Self, DatasetError> {
        let mut removed = BTreeMap::new();
        for entry in Journal::Removals.read(layout)? {
            let invalid = |why: String| {
                let why = format!("{why}; `ecosight verify --repair` sets it aside");
                DatasetError::invalid("read removal", entry.path.display().to_string(), why)
            };
            if !entry.is_whole() {
                return Err(invalid("it is not what was written".to_owned()));
            }
            let removal: Removal = serde_json::from_slice(&entry.bytes).map_err(|error| invalid(error.to_string()))?;
            let hash: ContentHash = removal.blake3.parse().map_err(|error| invalid(format!("{error}")))?;
            let of = (ClipId::of_file(&hash), removal.class.clone());
            match removal.action {
                RemovalAction::Remove => removed.insert(of, removal),
                RemovalAction::Restore => removed.remove(&of),
            };
        }
        Ok(Self { removed })
    }

    /// The removal of these bytes from this class.
    pub fn find(&self, hash: &ContentHash, class: &str) -> Option<&Removal> {
        self.removed.get(&(ClipId::of_file(hash), class.to_owned()))
    }

    /// Whether the file with this identity was removed from a class.
    pub fn has_file(&self, file: &ClipId) -> bool {
        self.removed.range((*file, String::new())..).next().is_some_and(|((other, _), _)| other == file)
    }

    /// Whether nothing is removed.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
    }

    /// All removals, in the order of the identities of their recordings.
    pub fn iter(&self) -> impl Iterator<Item = &Removal> {
        self.removed.values()
    }

    /// Leaves out the clips of removed recordings; how many there were. A clip that is a whole file is left out under the class from which
    /// the recording was removed; a part of a removed recording is left out whatever its label, which no folder gave it.
    pub fn apply(&self, clips: &mut Vec<ClipRow>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let before = clips.len();
        clips.retain(|clip| {
            let is_removed = if clip.span.is_some() {
                self.has_file(&clip.file_id)
            } else {
                self.removed.contains_key(&(clip.file_id, clip.label.clone()))
            };
            !is_removed
        });
        before - clips.len()
    }

    /// Hash of what is removed; none of nothing.
    pub fn digest(&self) -> Option<Key> {
        let add = |key: KeyHasher, (file, class): &(ClipId, String)| key.str(&file.to_string()).str(class);
        (!self.is_empty()).then(|| self.removed.keys().fold(KeyHasher::new("removals"), add).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_stays_removed_from_its_class_until_it_is_taken_in_again() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let hash = ContentHash::of_reader(&b"a"[..]).unwrap();
        assert_eq!(Removals::read(&layout).unwrap().digest(), None);
        // A clock that goes backwards changes no order.
        let at = |day: u32| DateTime::parse_from_rfc3339(&format!("2026-03-0{day}T12:00:00Z")).unwrap().to_utc();
        let note = |action, day| {
            let recording = ("extracted_audio/dog/20260101_000000_a.wav", "dog", &hash);
            Removal::note(&layout, action, (at(day), Some("ann")), recording).unwrap();
        };
        note(RemovalAction::Remove, 2);
        let removals = Removals::read(&layout).unwrap();
        let found = removals.find(&hash, "dog").map(Removal::words);
        assert_eq!(found.as_deref(), Some("removed at 2026-03-02T12:00:00Z by ann"));
        assert!(removals.find(&hash, "cat").is_none() && removals.digest().is_some());
        let other = ClipId::of_file(&ContentHash::of_reader(&b"b"[..]).unwrap());
        assert!(removals.has_file(&ClipId::of_file(&hash)) && !removals.has_file(&other));
        note(RemovalAction::Restore, 1);
        assert!(Removals::read(&layout).unwrap().is_empty());

        let entry = Journal::Removals.read(&layout).unwrap().remove(1).path;
        std::fs::write(entry, "{}").unwrap();
        assert!(Removals::read(&layout).unwrap_err().kind.to_string().contains("verify --repair"));
    }
}

//! Append-only folders: what people decided, and what was noted for them. One file per entry; entries are added, never replaced.
//!
//! Guarantees: the name of an entry holds the hash of its content, so equal names have equal content on every machine, and folders of several
//! machines are merged by copying what is missing. Names sort by time: an entry is named after all that were in the folder when it was
//! written, whatever the clocks say.
//!
//! Format of a name: `<YYYYMMDD>-<HHMMSS>-<milliseconds>_<16 hexadecimal digits of the content's BLAKE3>.<extension>`, UTC.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::DatasetError;
use crate::files::{read_regular, write_atomic};
use crate::key::ContentHash;
use crate::layout::{Area, Layout};
use crate::store::{Labels, Store};

const TIME: &str = "%Y%m%d-%H%M%S-%3f";

/// Digits of a hash in a name.
const DIGITS: usize = 16;

/// The folders of the area [`Area::Journal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal<'a> {
    /// Imports of corrected labels.
    Corrections,
    /// Which model was in production when.
    History,
    /// Each time that the test side of this model was measured.
    TestUses(&'a str),
    /// Recordings that were removed, or taken in again.
    Removals,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Where it lies.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl JournalEntry {
    /// Whether the content is what was written under this name.
    pub fn is_whole(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        parts(name).is_some_and(|(_, hash)| digits(&self.bytes).is_ok_and(|digits| digits == hash))
    }
}

impl Journal<'_> {
    /// Its name below the data root, with `/` between its parts.
    pub fn name(self) -> String {
        match self {
            Self::Corrections => Area::Journal.key("corrections"),
            Self::History => Area::Journal.key("history"),
            Self::TestUses(version) => Area::Journal.key(&format!("test_uses/{version}")),
            Self::Removals => Area::Journal.key("removals"),
        }
    }

    fn folder(self, layout: &Layout) -> PathBuf {
        layout.root().join(self.name())
    }

    /// All entries, the oldest first; none where there is no folder. Files with other names are left out.
    pub fn read(self, layout: &Layout) -> Result<Vec<JournalEntry>, DatasetError> {
        let folder = self.folder(layout);
        let read = |name: &String| {
            let path = folder.join(name);
            read_regular(&path)
                .map(|bytes| JournalEntry { path: path.clone(), bytes })
                .map_err(DatasetError::at("read file", &path))
        };
        names(&folder)?.iter().map(read).collect()
    }

    /// Adds an entry that was made at `at`; its name in the folder. It becomes the newest, even where `at` is not.
    pub fn append(
        self,
        layout: &Layout,
        at: DateTime<Utc>,
        extension: &str,
        bytes: &[u8],
    ) -> Result<String, DatasetError> {
        let folder = self.folder(layout);
        let newest = names(&folder)?.last().and_then(|name| parts(name)).map(|(time, _)| time);
        let at = newest.map_or(at, |newest| at.max(newest + TimeDelta::milliseconds(1)));
        let hash = digits(bytes).map_err(DatasetError::at("hash", &folder))?;
        let name = format!("{}_{hash}.{extension}", at.format(TIME));
        write_atomic(&folder.join(&name), bytes)?;
        Ok(name)
    }

    /// Fetches the entries of `store` that are missing here, and sends those that are missing there. A damaged one is not sent.
    pub async fn exchange(self, layout: &Layout, store: &Store) -> Result<(), DatasetError> {
        let listing = store.list_below(&self.name()).await?;
        let there: BTreeSet<String> = listing.objects.into_iter().map(|object| object.uri).collect();
        for uri in &there {
            let path = layout.root().join(uri);
            let is_entry = uri.rsplit('/').next().is_some_and(|name| parts(name).is_some());
            if is_entry && !path.is_file() {
                store.download(uri, &path, &|_| {}).await?;
            }
        }
        for entry in self.read(layout)? {
            let name = entry.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let uri = format!("{}/{name}", self.name());
            if entry.is_whole() && !there.contains(&uri) {
                store.create(&uri, entry.bytes, &Labels::default()).await?;
            }
        }
        Ok(())
    }
}

/// The names of all entries in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let list = || -> std::io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok().filter(|name| parts(name).is_some()));
        }
        names.sort();
        Ok(names)
    };
    list().map_err(DatasetError::at("list folder", folder))
}

/// When an entry of this name was made, and the digits of its hash; nothing where it is no name of an entry.
fn parts(name: &str) -> Option<(DateTime<Utc>, &str)> {
    let (time, rest) = name.split_once('_')?;
    let (hash, _) = rest.split_once('.')?;
    let is_hash = hash.len() == DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let time = NaiveDateTime::parse_from_str(time, TIME).ok()?.and_utc();
    is_hash.then_some((time, hash))
}

fn digits(bytes: &[u8]) -> std::io::Result<String> {
    Ok(ContentHash::of_reader(bytes)?.to_string()[..DIGITS].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_the_order_in_which_they_were_added_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(Journal::History.read(&layout).unwrap(), []);
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        for (time, text) in [
            ("2026-03-01T12:00:00.25Z", "first"),
            ("2026-03-01T12:00:00.25Z", "second"),
            ("2020-01-01T00:00:00Z", "third"),
            ("2026-03-02T00:00:00Z", "fourth"),
            // An equal entry is one more.
            ("2026-03-02T00:00:00Z", "fourth"),
        ] {
            Journal::History.append(&layout, at(time), "json", text.as_bytes()).unwrap();
        }
        let folder = folder.path().join("journal/history");
        std::fs::write(folder.join("notes.txt"), "not ours").unwrap();
        let entries = Journal::History.read(&layout).unwrap();
        let texts: Vec<_> = entries.iter().map(|entry| std::str::from_utf8(&entry.bytes).unwrap()).collect();
        assert_eq!(texts, ["first", "second", "third", "fourth", "fourth"]);
        assert!(entries.iter().all(JournalEntry::is_whole));
        let name = entries[1].path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("20260301-120000-251_") && Path::new(name).extension().unwrap() == "json", "{name}");

        std::fs::write(&entries[1].path, "edited").unwrap();
        assert!(!Journal::History.read(&layout).unwrap()[1].is_whole());
    }
}

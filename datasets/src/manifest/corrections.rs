//! Labels that people have corrected. They lie over whatever the source says.
//!
//! The source itself, folders or a manifest that a person keeps, is never written: a correction goes with the content of a clip, so that it
//! holds wherever the recording is moved. Each import is an entry of the [`Journal`], so imports on several machines are merged, not
//! overwritten: the newest correction of a clip counts, and of two in the same millisecond the one in the later name.
//!
//! Format of an entry: CSV with the columns `clip_id`, `label`, `uri`, `at` (UTC, RFC 3339) and `by`. An empty label withdraws the correction of
//! the clip: the label of the source counts again. `corrections.csv` at the top of the data root, with the columns `clip_id`, `label` and
//! `uri`, is what earlier versions wrote; it counts as the oldest import, and a correction there is withdrawn by deleting its line, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::DatasetError;
use crate::files::read_regular;
use crate::journal::Journal;
use crate::key::{ClipId, Key, KeyHasher};
use crate::layout::Layout;
use crate::tables::ClipRow;

const HEADER: [&str; 5] = ["clip_id", "label", "uri", "at", "by"];
const OLD_HEADER: [&str; 3] = ["clip_id", "label", "uri"];
const ACTION: &str = "read corrections";

/// A corrected label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// What the clip is.
    pub label: String,
    /// Where it was when it was corrected; for people.
    pub uri: String,
}

/// What an import says of one clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionChange {
    /// The clip.
    pub clip_id: ClipId,
    /// Its corrected label; none where the source's label counts again.
    pub label: Option<String>,
    /// Where the clip is; for people.
    pub uri: String,
}

/// Corrected labels by clip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    /// Those that count.
    pub labels: BTreeMap<ClipId, Correction>,
    /// Clips whose correction was withdrawn, and that have none since.
    withdrawn: BTreeSet<ClipId>,
}

impl Corrections {
    /// Reads all imports into this data root; none where there were none.
    pub fn read(layout: &Layout) -> Result<Self, DatasetError> {
        let mut corrections = Self::read_old(&layout.corrections())?;
        for entry in Journal::Corrections.read(layout)? {
            if !entry.is_whole() {
                let why = "it is not what was written. `ecosight verify --repair` sets it aside; a label is changed by another `ecosight \
                           review --import`, not in this file";
                return Err(DatasetError::invalid(ACTION, entry.path.display().to_string(), why));
            }
            corrections.add(&entry.bytes, &entry.path, &HEADER)?;
        }
        Ok(corrections)
    }

    /// Reads the file of earlier versions at `path`; none where there is no file.
    pub fn read_old(path: &Path) -> Result<Self, DatasetError> {
        let mut corrections = Self::default();
        match read_regular(path) {
            Ok(bytes) => corrections.add(&bytes, path, &OLD_HEADER)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(DatasetError::at(ACTION, path)(error)),
        }
        Ok(corrections)
    }

    /// Lays the lines of a file over what is there.
    fn add(&mut self, bytes: &[u8], path: &Path, columns: &[&str]) -> Result<(), DatasetError> {
        let invalid = |why: String| DatasetError::invalid(ACTION, path.display().to_string(), why);
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| invalid(error.to_string()))?;
        if !header.iter().eq(columns.iter().copied()) {
            return Err(invalid(format!("its columns are not `{}`", columns.join("`, `"))));
        }
        for record in reader.records() {
            let record = record.map_err(|error| invalid(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let id = record[0].parse().map_err(|error| invalid(format!("line {line}: {error}")))?;
            match record[1].trim() {
                "" if columns.len() == OLD_HEADER.len() => {
                    return Err(invalid(format!("line {line}: there is no label")));
                }
                "" => {
                    self.labels.remove(&id);
                    self.withdrawn.insert(id);
                }
                label => {
                    self.withdrawn.remove(&id);
                    self.labels.insert(id, Correction { label: label.to_owned(), uri: record[2].to_owned() });
                }
            }
        }
        Ok(())
    }

    /// What an import of `label` (none: the source's) for a clip with the label `in_tables` changes: nothing where that is what counts already.
    ///
    /// The tables may be older than the corrections, so where there is a correction, or one was withdrawn, the tables are not asked.
    pub fn changes(&self, clip_id: ClipId, label: Option<&str>, in_tables: &str) -> bool {
        match (self.labels.get(&clip_id), label) {
            (Some(correction), label) => label != Some(correction.label.as_str()),
            (None, None) => false,
            (None, Some(label)) => self.withdrawn.contains(&clip_id) || label != in_tables,
        }
    }

    /// Adds an import: what it says, when it was and who did it.
    pub fn append(
        layout: &Layout,
        changes: &[CorrectionChange],
        at: DateTime<Utc>,
        by: Option<&str>,
    ) -> Result<(), DatasetError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut write = || {
            writer.write_record(HEADER)?;
            changes.iter().try_for_each(|CorrectionChange { clip_id, label, uri }| {
                let (id, label) = (clip_id.to_string(), label.as_deref().unwrap_or_default());
                writer.write_record([id.as_str(), label, uri, &time, by.unwrap_or_default()])
            })
        };
        let written = write().map_err(std::io::Error::from);
        written.map_err(DatasetError::at("write corrections", layout.root()))?;
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error);
        let bytes = bytes.map_err(DatasetError::at("write corrections", layout.root()))?;
        Journal::Corrections.append(layout, at, "csv", &bytes).map(drop)
    }

    /// Gives clips their corrected labels; how many had another.
    pub fn apply(&self, clips: &mut [ClipRow]) -> usize {
        let mut corrected = 0;
        for clip in clips {
            if let Some(correction) = self.labels.get(&clip.clip_id).filter(|correction| correction.label != clip.label)
            {
                clip.label.clone_from(&correction.label);
                corrected += 1;
            }
        }
        corrected
    }

    /// Hash of all clips and labels; none of nothing.
    pub fn digest(&self) -> Option<Key> {
        let add =
            |key: KeyHasher, (id, correction): (&ClipId, &Correction)| key.str(&id.to_string()).str(&correction.label);
        (!self.labels.is_empty()).then(|| self.labels.iter().fold(KeyHasher::new("corrections"), add).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ContentHash;

    fn id(text: &str) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(text.as_bytes()).unwrap())
    }

    fn change(clip: &str, label: Option<&str>) -> CorrectionChange {
        CorrectionChange { clip_id: id(clip), label: label.map(str::to_owned), uri: format!("a/\"{clip}\".wav") }
    }

    #[test]
    fn the_newest_import_counts_and_an_empty_label_withdraws() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        assert_eq!(Corrections::read(&layout).unwrap(), Corrections::default());
        // As the release before the journal wrote it.
        std::fs::write(
            layout.corrections(),
            format!("clip_id,label,uri\n{},owl,x.wav\n{},frog,y.wav\n", id("x"), id("y")),
        )
        .unwrap();
        let label = |clip: &str| {
            Corrections::read(&layout).unwrap().labels.get(&id(clip)).map(|correction| correction.label.clone())
        };
        assert_eq!((label("x").as_deref(), label("y").as_deref()), (Some("owl"), Some("frog")));

        let at = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().to_utc();
        let import = |changes: &[CorrectionChange]| Corrections::append(&layout, changes, at, Some("ann")).unwrap();
        import(&[change("x", Some("dog, big")), change("z", Some("cat"))]);
        import(&[change("y", None)]);
        assert_eq!((label("x").as_deref(), label("y"), label("z").as_deref()), (Some("dog, big"), None, Some("cat")));

        let corrections = Corrections::read(&layout).unwrap();
        let changes = |clip, label, in_tables| corrections.changes(id(clip), label, in_tables);
        assert!(
            !changes("x", Some("dog, big"), "owl") && changes("x", Some("owl"), "owl"),
            "a correction goes before the tables"
        );
        assert!(changes("x", None, "owl") && !changes("y", None, "frog"));
        assert!(changes("y", Some("frog"), "frog"), "the tables still hold the label that was withdrawn");
        assert!(!changes("new", Some("frog"), "frog") && changes("new", Some("owl"), "frog"));

        // Nothing was rewritten.
        assert_eq!(Journal::Corrections.read(&layout).unwrap().len(), 2);
        let first = &Journal::Corrections.read(&layout).unwrap()[0];
        let text = std::str::from_utf8(&first.bytes).unwrap();
        assert!(text.contains(",2026-03-01T12:00:00.000Z,ann\n"), "{text}");
        std::fs::write(&first.path, text.replace("cat", "cow")).unwrap();
        let error = Corrections::read(&layout).unwrap_err();
        assert!(error.kind.to_string().contains("it is not what was written"), "{}", error.kind);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let problem = |text: &str| {
            std::fs::write(layout.corrections(), text).unwrap();
            Corrections::read(&layout).unwrap_err().kind.to_string()
        };
        assert!(problem("clip_id,label,uri\nabc,dog,a.wav\n").contains("line 2: `abc` is not a clip id"));
        assert!(problem(&format!("clip_id,label,uri\n{}, ,a.wav\n", id("x"))).contains("line 2: there is no label"));
        assert!(problem("uri,label\na,b\n").contains("its columns are not `clip_id`, `label`, `uri`"));
    }
}

//! Labels that a person has corrected: `corrections.csv` at the top of the data root, with the columns `clip_id`, `label` and `uri`.
//!
//! They lie over whatever the source says. The source itself, folders or a manifest that a person keeps, is never written: a correction goes
//! with the content of a clip, so that it holds wherever the recording is moved, and vanishes with its line in this file.

use std::collections::BTreeMap;
use std::path::Path;

use crate::DatasetError;
use crate::files::write_atomic;
use crate::key::{ClipId, Key, KeyHasher};
use crate::tables::ClipRow;

const HEADER: [&str; 3] = ["clip_id", "label", "uri"];
const ACTION: &str = "read corrections";

/// A corrected label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// What the clip is.
    pub label: String,
    /// Where it was when it was corrected; for people.
    pub uri: String,
}

/// Corrected labels by clip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections(pub BTreeMap<ClipId, Correction>);

impl Corrections {
    /// Reads them; none where there is no file.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(DatasetError::at(ACTION, path)(error)),
        };
        let invalid = |why: String| DatasetError::invalid(ACTION, path.display().to_string(), why);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header = reader.headers().map_err(|error| invalid(error.to_string()))?;
        if !header.iter().eq(HEADER) {
            return Err(invalid(format!("its columns are not `{}`", HEADER.join("`, `"))));
        }
        let mut corrections = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| invalid(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let id = record[0].parse().map_err(|error| invalid(format!("line {line}: {error}")))?;
            if record[1].trim().is_empty() {
                return Err(invalid(format!("line {line}: there is no label")));
            }
            corrections.insert(id, Correction { label: record[1].trim().to_owned(), uri: record[2].to_owned() });
        }
        Ok(Self(corrections))
    }

    /// Replaces the file.
    pub fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = || {
            writer.write_record(HEADER)?;
            self.0
                .iter()
                .try_for_each(|(id, Correction { label, uri })| writer.write_record([&id.to_string(), label, uri]))
        };
        let written = write().map_err(std::io::Error::from);
        written.map_err(DatasetError::at("write corrections", path))?;
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error);
        write_atomic(path, &bytes.map_err(DatasetError::at("write corrections", path))?)
    }

    /// Gives clips their corrected labels; how many had another.
    pub fn apply(&self, clips: &mut [ClipRow]) -> usize {
        let mut corrected = 0;
        for clip in clips {
            if let Some(correction) = self.0.get(&clip.clip_id).filter(|correction| correction.label != clip.label) {
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
        (!self.0.is_empty()).then(|| self.0.iter().fold(KeyHasher::new("corrections"), add).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ContentHash;

    #[test]
    fn what_is_written_is_read_and_a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corrections.csv");
        assert_eq!(Corrections::read(&path).unwrap(), Corrections::default());
        let id = ClipId::of_file(&ContentHash::of_reader(&b"x"[..]).unwrap());
        let correction = Correction { label: "dog, big".to_owned(), uri: "a/\"b\".wav".to_owned() };
        let corrections = Corrections(BTreeMap::from([(id, correction)]));
        corrections.write(&path).unwrap();
        assert_eq!(Corrections::read(&path).unwrap(), corrections);
        let problem = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Corrections::read(&path).unwrap_err().kind.to_string()
        };
        assert!(problem("clip_id,label,uri\nabc,dog,a.wav\n").contains("line 2: `abc` is not a clip id"));
        assert!(problem(&format!("clip_id,label,uri\n{id}, ,a.wav\n")).contains("line 2: there is no label"));
        assert!(problem("uri,label\na,b\n").contains("its columns are not `clip_id`, `label`, `uri`"));
    }
}

//! `checksums.json`: what the files of a model are, so that a changed byte is noticed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::{JSON_LIMIT, WEIGHTS_LIMIT, read};
use super::{Artefact, ArtefactError, ArtefactErrorKind, MODEL_FILE, WEIGHTS_FILE};

/// Name of the file of checksums.
pub const CHECKSUMS_FILE: &str = "checksums.json";

/// Name of the file of checksums that replaces [`CHECKSUMS_FILE`] once `model.json` is replaced; it is left behind by a crash in between.
pub(super) const NEXT_CHECKSUMS_FILE: &str = "checksums.next.json";

/// Version of the format.
const VERSION: u32 = 1;

/// Hashes of a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksums {
    /// Version of this format.
    pub schema_version: u32,
    /// BLAKE3 over the weights and `model.json`, each with its length in front: equal for equal models.
    pub digest: String,
    /// BLAKE3 of each file by its name.
    pub blake3: BTreeMap<String, String>,
}

impl Checksums {
    /// Of the bytes of the weights and of `model.json`.
    pub(super) fn of(weights: &[u8], model: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for bytes in [weights, model] {
            // The length in front keeps the border between the files in the hash.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let files = [(WEIGHTS_FILE, hash(weights)), (MODEL_FILE, hash(model))];
        Self {
            schema_version: VERSION,
            digest: hasher.finalize().to_hex().to_string(),
            blake3: files.map(|(name, hash)| (name.to_owned(), hash)).into(),
        }
    }

    /// Reads the file at `path`; none where there is no file.
    fn read(path: &Path) -> Result<Option<Self>, ArtefactError> {
        if !path.try_exists().map_err(|error| ArtefactErrorKind::Io(error).at(path))? {
            return Ok(None);
        }
        let parse = |bytes: Vec<u8>| serde_json::from_slice::<Self>(&bytes).map_err(ArtefactErrorKind::Json);
        let read = read(path, JSON_LIMIT).and_then(parse).map_err(|kind| kind.at(path))?;
        if read.schema_version != VERSION {
            let kind = ArtefactErrorKind::SchemaVersion { found: u64::from(read.schema_version), known: VERSION };
            return Err(kind.at(path));
        }
        Ok(Some(read))
    }

    /// The bytes of `checksums.json`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ArtefactErrorKind> {
        let mut json = serde_json::to_vec_pretty(self).map_err(ArtefactErrorKind::Json)?;
        json.push(b'\n');
        Ok(json)
    }
}

impl Artefact {
    /// Reads the artefact in the folder `dir` and compares its files with their checksums; none where there are none, as models of earlier versions have
    /// it, of which only the weights are checked then.
    ///
    /// # Errors
    ///
    /// As [`Artefact::load`], and [`ArtefactErrorKind::Changed`] for a file that is not what was written.
    pub fn verify(dir: &Path) -> Result<(Self, Option<Checksums>), ArtefactError> {
        let artefact = Self::load(dir)?;
        let Some(expected) = Checksums::read(&dir.join(CHECKSUMS_FILE))? else { return Ok((artefact, None)) };
        let content = |name: &str, limit: u64| read(&dir.join(name), limit).map_err(|kind| kind.at(&dir.join(name)));
        let found = Checksums::of(&content(WEIGHTS_FILE, WEIGHTS_LIMIT)?, &content(MODEL_FILE, JSON_LIMIT)?);
        // Whatever is wrong with the next ones, they are not valid yet.
        let next = Checksums::read(&dir.join(NEXT_CHECKSUMS_FILE)).ok().flatten();
        if found == expected || next.as_ref() == Some(&found) {
            return Ok((artefact, Some(found)));
        }
        let is_changed = |(name, hash): &(&String, &String)| expected.blake3.get(*name) != Some(*hash);
        let changed = found.blake3.iter().find(is_changed).map_or(CHECKSUMS_FILE, |(name, _)| name);
        Err(ArtefactErrorKind::Changed.at(&dir.join(changed)))
    }
}

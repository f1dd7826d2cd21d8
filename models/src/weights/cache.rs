//! The weights of one user, by content hash.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::content::{ContentHash, sha256};
use super::error::{WeightsError, WeightsErrorKind};
use super::official::OFFICIAL_SHA256;
use super::record::{self, CurrentRecord, SCHEMA_VERSION, WeightsRecord};
use super::yamnet::{YamnetWeights, read};

/// Name of the file that says which weights are in use.
const CURRENT: &str = "current.json";

/// A folder of imported weights. Importing the same weights again changes nothing but which ones are in use.
#[derive(Clone, Debug)]
pub struct WeightsCache {
    folder: PathBuf,
}

impl WeightsCache {
    /// The cache below `dir`; nothing is created before the first import.
    pub fn new(dir: &Path) -> Self {
        Self { folder: dir.join("yamnet") }
    }

    /// Checks and keeps the weights in `file` (Keras HDF5 or safetensors, told apart by content) and makes them the
    /// ones in use. Weights other than the published ones are accepted; the record says so, and names `source` (an
    /// address or a path) as where they came from.
    pub fn import(&self, file: &Path, source: &str, imported_at: &str) -> Result<WeightsRecord, WeightsError> {
        let bytes = read(file)?;
        let (source_sha256, source_bytes) = (sha256(&bytes), bytes.len() as u64);
        let weights = YamnetWeights::from_bytes(bytes).map_err(|kind| kind.at(file))?;
        let content_hash = weights.content_hash().clone();
        if self.load(&content_hash).is_err() {
            weights.save_safetensors(&self.weights_path(&content_hash))?;
        }
        let found = WeightsRecord {
            schema_version: SCHEMA_VERSION,
            source: source.to_owned(),
            official: source_sha256 == OFFICIAL_SHA256,
            source_sha256,
            source_bytes,
            imported_at: imported_at.to_owned(),
            content_hash: content_hash.clone(),
        };
        let path = self.record_path(&content_hash);
        // The first record stays, unless this file proves that the weights are the published ones.
        let kept = match record::load::<WeightsRecord>(&path) {
            Ok(known) if known.official || !found.official => known,
            _ => {
                record::save(&path, &found)?;
                found
            }
        };
        record::save(&self.folder.join(CURRENT), &CurrentRecord { schema_version: SCHEMA_VERSION, content_hash })?;
        Ok(kept)
    }

    /// The records of all weights in the cache, by content hash.
    pub fn list(&self) -> Result<Vec<WeightsRecord>, WeightsError> {
        let failed = |source| WeightsErrorKind::Read(source).at(&self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let is_record = path.extension().is_some_and(|e| e == "json") && !path.ends_with(CURRENT);
            if is_record {
                records.push(record::load::<WeightsRecord>(&path)?);
            }
        }
        records.sort_by(|a, b| a.content_hash.cmp(&b.content_hash));
        Ok(records)
    }

    /// The record of the weights in use; none before the first import.
    pub fn current(&self) -> Result<Option<WeightsRecord>, WeightsError> {
        let path = self.folder.join(CURRENT);
        let current: CurrentRecord = match record::load(&path) {
            Err(WeightsError { kind: WeightsErrorKind::Read(error), .. }) if error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            current => current?,
        };
        record::load(&self.record_path(&current.content_hash)).map(Some)
    }

    /// The weights in use; none before the first import.
    pub fn load_current(&self) -> Result<Option<YamnetWeights>, WeightsError> {
        self.current()?.map(|record| self.load(&record.content_hash)).transpose()
    }

    /// The weights with a content hash, which is verified.
    pub fn load(&self, hash: &ContentHash) -> Result<YamnetWeights, WeightsError> {
        let path = self.weights_path(hash);
        let weights = YamnetWeights::from_safetensors(&path)?;
        if weights.content_hash() == hash {
            Ok(weights)
        } else {
            Err(WeightsErrorKind::Damaged { found: weights.content_hash().to_string() }.at(&path))
        }
    }

    fn weights_path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(format!("{hash}.safetensors"))
    }

    fn record_path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(format!("{hash}.json"))
    }
}

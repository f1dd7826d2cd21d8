//! What the cache knows about weights it holds.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::content::ContentHash;
use super::error::{WeightsError, WeightsErrorKind};
use super::yamnet::read;

/// Version of the records in the cache.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Where weights in the cache came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsRecord {
    /// Version of this record's format.
    pub schema_version: u32,
    /// Hash of the tensors, and name of the file in the cache.
    pub content_hash: ContentHash,
    /// Where it came from: an address or a path.
    pub source: String,
    /// SHA-256 of the file that was imported, hexadecimal.
    pub source_sha256: String,
    /// Size of the file that was imported.
    pub source_bytes: u64,
    /// Whether that file is the one that Google publishes, by its hash.
    pub official: bool,
    /// When it was imported, as the caller said.
    pub imported_at: String,
}

/// Which weights are in use.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurrentRecord {
    pub(super) schema_version: u32,
    pub(super) content_hash: ContentHash,
}

/// The only field that every version of a record has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// Reads a record; its version is looked at first, so that a newer one is named as such.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let bytes = read(path)?;
    let unreadable = |source| WeightsErrorKind::Record(source).at(path);
    let Versioned { schema_version: found } = serde_json::from_slice(&bytes).map_err(unreadable)?;
    if found != SCHEMA_VERSION {
        return Err(WeightsErrorKind::Version { found, known: SCHEMA_VERSION }.at(path));
    }
    serde_json::from_slice(&bytes).map_err(unreadable)
}

/// Writes a record.
pub(super) fn save<T: Serialize>(path: &Path, record: &T) -> Result<(), WeightsError> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|source| WeightsErrorKind::Record(source).at(path))?;
    bytes.push(b'\n');
    atomic::write(path, &bytes)
}

//! What is known to be the same here and in the bucket, kept in a file of the copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::files::{size_and_time, write_atomic};

pub(super) const NAME: &str = ".mirror.json";

/// What is the same on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    format: u32,
    /// Where the bucket's side is.
    address: String,
    /// By name below the root.
    pub(super) files: BTreeMap<String, Same>,
    #[serde(skip)]
    path: PathBuf,
}

/// One file as it was when both sides were the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Same {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ns: u64,
}

impl Known {
    /// Reads it. A copy of another place, or a record that cannot be read, counts as knowing nothing.
    pub(super) fn read(root: &Path, address: &str) -> Result<Self, DatasetError> {
        let path = root.join(NAME);
        let nothing = Self { format: 1, address: address.to_owned(), files: BTreeMap::new(), path: path.clone() };
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nothing),
            bytes => bytes.map_err(DatasetError::at("read file", &path))?,
        };
        let known = serde_json::from_slice::<Self>(&bytes).ok();
        let known = known.filter(|known| known.address == address && known.format == nothing.format);
        Ok(known.map_or(nothing, |known| Self { path, ..known }))
    }

    pub(super) fn write(&self) -> Result<(), DatasetError> {
        let bytes = serde_json::to_vec(self).expect("text and numbers can be written as JSON");
        write_atomic(&self.path, &bytes)
    }

    /// Whether the file called `name` here is what both sides had.
    pub(super) fn is_unchanged(&self, name: &str, path: &Path) -> bool {
        self.files.get(name).is_some_and(|same| size_and_time(path).ok() == Some((same.size_bytes, same.modified_ns)))
    }

    /// The file at `path` is what the bucket has under `name` with this tag.
    pub(super) fn note(&mut self, name: &str, path: &Path, etag: Option<&str>) -> Result<(), DatasetError> {
        let (size_bytes, modified_ns) = size_and_time(path).map_err(DatasetError::at("look at", path))?;
        let etag = etag.unwrap_or_default().to_owned();
        self.files.insert(name.to_owned(), Same { etag, size_bytes, modified_ns });
        Ok(())
    }
}

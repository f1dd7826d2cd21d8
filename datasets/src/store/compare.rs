//! Whether an object and a file hold the same.

use std::path::Path;

use super::write::Sum;
use super::{Object, Store};
use crate::DatasetError;

/// How an object is compared with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// By its size and its entity tag, where the tag is a checksum; only where it says nothing by its content.
    Tag,
    /// By its content, which is read.
    Content,
}

impl Store {
    /// Whether `object`, as it was listed or looked at, holds what the file at `path` does. An object that is gone by now does not.
    pub async fn holds(&self, object: &Object, path: &Path, depth: Depth) -> Result<bool, DatasetError> {
        let local = |error: std::io::Error| DatasetError::new("read file", path.display().to_string(), error);
        if path.metadata().map_err(local)?.len() != object.size_bytes {
            return Ok(false);
        }
        let sum = Sum::of_file(path).map_err(local)?;
        if depth == Depth::Tag && sum.has_tag(object.etag.as_deref()) {
            return Ok(true);
        }
        let location = self.location(&object.uri)?;
        Ok(self.same(&object.uri, &location, &sum, depth).await?.is_some())
    }
}

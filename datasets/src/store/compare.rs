//! Whether an object and a file hold the same.

use std::path::Path;

use futures::StreamExt;
use object_store::ObjectStoreExt;

use super::read::is_missing;
use super::sum::Sum;
use super::{Object, Store};
use crate::{DatasetError, DatasetErrorKind};

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
        if depth == Depth::Tag {
            return Ok(self.same(&object.uri, &location, &sum).await?.is_some());
        }
        let failed =
            |error| DatasetError::new("read object", self.address(&object.uri), DatasetErrorKind::Store(error));
        let mut stream = match self.again(|| self.files.get(&location)).await {
            Err(error) if is_missing(&error) => return Ok(false),
            result => result.map_err(failed)?.into_stream(),
        };
        let mut hasher = blake3::Hasher::new();
        while let Some(bytes) = stream.next().await {
            hasher.update(&bytes.map_err(failed)?);
        }
        Ok(hasher.finalize() == sum.blake3)
    }
}

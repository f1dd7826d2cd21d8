//! Whether an object and a file hold the same.

use std::path::Path;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::read::is_missing;
use super::sum::Sum;
use super::{Object, Store};
use crate::key::ContentHash;
use crate::{DatasetError, DatasetErrorKind};

/// How an object is compared with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// By its size, its entity tag where that is a checksum, and the hash in its metadata; by its content only where these say nothing.
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
        if depth == Depth::Tag {
            let location = self.location(&object.uri)?;
            return Ok(self.same(&object.uri, &location, &sum).await?.is_some());
        }
        Ok(self.content_hash(&object.uri).await? == Some(ContentHash::of(sum.blake3)))
    }

    /// Hash of the content of the object `name`, which is read; nothing where there is none.
    pub async fn content_hash(&self, name: &str) -> Result<Option<ContentHash>, DatasetError> {
        let location = self.location(name)?;
        let failed = |error| DatasetError::new("read object", self.address(name), DatasetErrorKind::Store(error));
        let mut stream = match self.again(|| self.files.get(&location)).await {
            Err(error) if is_missing(&error) => return Ok(None),
            result => result.map_err(failed)?.into_stream(),
        };
        let mut hasher = blake3::Hasher::new();
        while let Some(bytes) = stream.try_next().await.map_err(failed)? {
            hasher.update(&bytes);
        }
        Ok(Some(ContentHash::of(hasher.finalize())))
    }
}

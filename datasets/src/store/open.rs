//! Opening files of a source: where they are on this machine, fetched where they are in a bucket.

use std::io::{Cursor, ErrorKind, Seek, Write};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt};

use super::cache::CacheKey;
use super::{Access, Object, Place, Store, Trouble};
use crate::audio::AudioSource;
use crate::{DatasetError, DatasetErrorKind};

/// Why one file of the store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// This file is missing or may not be read; others can be.
    File {
        /// Short word for the quarantine: `missing` or `forbidden`.
        code: &'static str,
        /// What the store said.
        message: String,
    },
    /// The store itself fails; going on makes no sense.
    Store(DatasetError),
}

/// What a file was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Entity tag.
    pub etag: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// Code of a file that may not be read.
pub const FORBIDDEN: &str = "forbidden";
/// Code of a file that is another one by now.
pub const CHANGED: &str = "changed";

impl Store {
    /// What is known of the file at `uri` (as [`open`](Self::open) takes it) without reading it.
    pub async fn head(&self, uri: &str) -> Result<Object, OpenError> {
        if let Some((store, name)) = self.elsewhere(uri)? {
            let object = Box::pin(store.head(&name)).await?;
            return Ok(Object { uri: uri.to_owned(), ..object });
        }
        if self.place.bucket().is_some() {
            let location = self.location(uri).map_err(|_| missing(uri))?;
            let meta = self.again(|| self.files.head(&location)).await.map_err(|error| open_error(uri, error))?;
            return Ok(self.object(meta));
        }
        let (files, location) = self.local(uri)?;
        let meta = files.head(&location).await.map_err(|error| open_error(uri, error))?;
        Ok(Object { uri: uri.to_owned(), ..self.object(meta) })
    }

    /// The other store that an address with a scheme lies in, and its name there.
    fn elsewhere(&self, uri: &str) -> Result<Option<(Arc<Self>, String)>, OpenError> {
        if !uri.contains("://") {
            return Ok(None);
        }
        let Some(access) = &self.access else { return Err(missing(uri)) };
        let (place, name) = Place::parse(uri).map_err(|_| missing(uri))?.split();
        let mut others = self.others.lock().expect("nobody panics while holding it");
        if let Some(store) = others.get(&place.to_string()) {
            return Ok(Some((store.clone(), name)));
        }
        let store = Arc::new(Self::connect(&place, access).map_err(OpenError::Store)?);
        others.insert(place.to_string(), store.clone());
        Ok(Some((store, name)))
    }

    /// The store and the path in it that `uri` means in a folder.
    fn local(&self, uri: &str) -> Result<(Arc<dyn ObjectStore>, Location), OpenError> {
        let Some(root) = self.place.local() else { return Err(missing(uri)) };
        match Location::parse(uri) {
            Ok(location) if !uri.starts_with('/') => Ok((self.files.clone(), location)),
            _ => match Location::from_filesystem_path(root.join(uri)) {
                Ok(location) => Ok((Arc::new(LocalFileSystem::new()), location)),
                Err(_) => Err(missing(uri)),
            },
        }
    }

    /// Opens the file at `uri`: a path below the root as [`list`](Self::list) gives it, or (in a manifest written by a person) any local path,
    /// absolute or relative to the root, or the address of an object in a bucket.
    ///
    /// What lies in a bucket is fetched, unless this machine has it. Where `version` is known the bucket is not even asked, and what is there in
    /// another version fails with the code [`CHANGED`].
    pub async fn open(&self, uri: &str, version: Option<&Version>) -> Result<Box<dyn AudioSource>, OpenError> {
        if let Some((store, name)) = self.elsewhere(uri)? {
            return Box::pin(store.open(&name, version)).await;
        }
        let Some(root) = self.place.local() else { return self.fetch(uri, version).await };
        // Opening a pipe would wait for a writer that may never come.
        let path = root.join(uri);
        if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            return Err(OpenError::File { code: "not_a_file", message: format!("`{uri}` is no regular file") });
        }
        let (files, location) = self.local(uri)?;
        let result = files.get(&location).await.map_err(|error| open_error(uri, error))?;
        match result.payload {
            GetResultPayload::File(file, _) => Ok(Box::new(file)),
            GetResultPayload::Stream(_) => {
                let bytes = result.bytes().await.map_err(|error| open_error(uri, error))?;
                Ok(Box::new(Cursor::new(bytes)))
            }
        }
    }

    /// Whether what is opened as a version is that version, so that nobody need look again afterwards.
    pub fn keeps_versions(&self) -> bool {
        self.place.bucket().is_some()
    }

    /// Fetches one object into a file on this machine.
    async fn fetch(&self, uri: &str, version: Option<&Version>) -> Result<Box<dyn AudioSource>, OpenError> {
        let location = self.location(uri).map_err(|_| missing(uri))?;
        let options = GetOptions { if_match: version.map(|version| version.etag.clone()), ..GetOptions::default() };
        let Some(Access { cache, .. }) = &self.access else {
            let result = self.files.get_opts(&location, options).await.map_err(|error| open_error(uri, error))?;
            let bytes = result.bytes().await.map_err(|error| open_error(uri, error))?;
            return Ok(Box::new(Cursor::new(bytes)));
        };
        let version = if let Some(version) = version {
            version.clone()
        } else {
            let meta = self.again(|| self.files.head(&location)).await.map_err(|error| open_error(uri, error))?;
            Version { etag: meta.e_tag.unwrap_or_default(), size_bytes: meta.size }
        };
        let key = CacheKey::new(&self.address(uri), &version.etag, version.size_bytes);
        let turn = cache.turn(&key);
        let _turn = turn.lock().await;
        if let Some(file) = cache.find(&key, version.size_bytes) {
            return Ok(Box::new(file));
        }
        let result = self.again(|| self.files.get_opts(&location, options.clone())).await;
        let result = result.map_err(|error| open_error(uri, error))?;
        // Without a version asked for, it may have changed since it was looked at.
        let size_bytes = result.meta.size;
        let key = CacheKey::new(&self.address(uri), result.meta.e_tag.as_deref().unwrap_or_default(), size_bytes);
        let local = |error: std::io::Error| OpenError::Store(DatasetError::new("keep what was fetched of", uri, error));
        let mut file = cache.begin(&key).map_err(local)?;
        let mut stream = result.into_stream();
        let mut written = 0;
        while let Some(bytes) = stream.try_next().await.map_err(|error| open_error(uri, error))? {
            written += bytes.len() as u64;
            file.write_all(&bytes).map_err(local)?;
        }
        if written != size_bytes {
            return Err(OpenError::Store(self.cut_short("read", uri, written, size_bytes)));
        }
        let mut file = cache.add(&key, file).map_err(local)?;
        file.rewind().map_err(local)?;
        Ok(Box::new(file))
    }

    pub(super) fn stopped(&self, action: &'static str, name: &str) -> DatasetError {
        DatasetError::new(action, self.address(name), DatasetErrorKind::Interrupted)
    }
}

fn missing(uri: &str) -> OpenError {
    OpenError::File { code: "missing", message: format!("there is no file `{uri}`") }
}

/// What the file system said, where that is the cause.
fn io_kind(error: &object_store::Error) -> Option<ErrorKind> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |e| e.source())
        .find_map(|e| e.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

/// Parts what is wrong with one file from what is wrong with the store.
fn open_error(uri: &str, error: object_store::Error) -> OpenError {
    if Trouble::of_store(&error).is_some_and(|trouble| trouble != Trouble::Forbidden) {
        return OpenError::Store(DatasetError::new("open", uri, error));
    }
    match (&error, io_kind(&error)) {
        (object_store::Error::PermissionDenied { .. }, _) | (_, Some(ErrorKind::PermissionDenied)) => {
            OpenError::File { code: FORBIDDEN, message: error.to_string() }
        }
        (object_store::Error::Precondition { .. }, _) => {
            OpenError::File { code: CHANGED, message: format!("`{uri}` is another file than was listed") }
        }
        (object_store::Error::NotFound { .. }, _)
        | (
            _,
            Some(
                ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::InvalidFilename
                | ErrorKind::InvalidInput,
            ),
        ) => missing(uri),
        _ => OpenError::Store(DatasetError::new("open", uri, DatasetErrorKind::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn a_missing_file_is_a_failure_of_that_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::folder(dir.path()).unwrap();
        for uri in ["x.wav", "../x.wav", "/no/such/x.wav", "a\0b", &"x".repeat(300)] {
            match block_on(store.open(uri, None)) {
                Err(OpenError::File { .. }) => {}
                Err(OpenError::Store(error)) => panic!("{uri:?}: {error} {:?}", error.kind),
                Ok(_) => panic!("{uri:?} opened"),
            }
        }
    }

    #[test]
    fn what_is_no_regular_file_is_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder.wav")).unwrap();
        let store = Store::folder(dir.path()).unwrap();
        assert!(matches!(block_on(store.open("folder.wav", None)), Err(OpenError::File { code: "not_a_file", .. })));
        assert!(matches!(block_on(store.open("/dev/zero", None)), Err(OpenError::File { code: "not_a_file", .. })));
    }
}

//! Where audio is read from: today a local folder, through the `object_store` interface that buckets share.
//!
//! Listing reads names, sizes and entity tags, never content. A name that cannot be addressed (not UTF-8) is reported, not
//! dropped silently.

use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};

use crate::audio::AudioSource;
use crate::{DatasetError, DatasetErrorKind};

/// What is known of a stored file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Path below the store's root, with `/` between its parts.
    pub uri: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Entity tag: changes when the content does.
    pub etag: Option<String>,
}

/// All files of a store, and what could not be listed.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, ordered by uri.
    pub objects: Vec<Object>,
    /// One message for each entry whose name cannot be addressed.
    pub unreadable: Vec<String>,
}

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

/// A readable collection of files below one root.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    files: Arc<dyn ObjectStore>,
}

impl Store {
    /// The local folder `root`, which must exist.
    pub fn folder(root: &Path) -> Result<Self, DatasetError> {
        if !root.is_dir() {
            let why = if root.exists() { "it is a file, not a folder" } else { "there is no such folder" };
            return Err(DatasetError::invalid("open source folder", root.display().to_string(), why));
        }
        let files = LocalFileSystem::new_with_prefix(root).map_err(DatasetError::at("open source folder", root))?;
        Ok(Self::over(root, Arc::new(files)))
    }

    /// Any store of objects; `root` is where it lies, for messages and for local paths.
    pub fn over(root: &Path, files: Arc<dyn ObjectStore>) -> Self {
        Self { root: root.to_owned(), files }
    }

    /// The folder that uris are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lists all files below the root, hidden ones (a part of the path begins with `.`) left out.
    pub async fn list(&self) -> Result<Listing, DatasetError> {
        let mut listing = Listing::default();
        let mut entries = self.files.list(None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(meta) if meta.location.as_ref().split('/').any(|part| part.starts_with('.')) => {}
                Ok(meta) => listing.objects.push(Object {
                    uri: meta.location.to_string(),
                    size_bytes: meta.size,
                    etag: meta.e_tag,
                }),
                Err(error @ object_store::Error::InvalidPath { .. }) => listing.unreadable.push(error.to_string()),
                // What cannot be listed is a failing store: a class must not vanish in silence.
                Err(error) => return Err(DatasetError::new("list folder", self.root.display().to_string(), error)),
            }
        }
        listing.objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        listing.unreadable.sort();
        Ok(listing)
    }

    /// What is known of the file at `uri` (as [`open`](Self::open) takes it) without reading it.
    pub async fn head(&self, uri: &str) -> Result<Object, OpenError> {
        let (files, location) = self.locate(uri)?;
        let meta = files.head(&location).await.map_err(|error| open_error(uri, error))?;
        Ok(Object { uri: uri.to_owned(), size_bytes: meta.size, etag: meta.e_tag })
    }

    /// The store and the path in it that `uri` means.
    fn locate(&self, uri: &str) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path), OpenError> {
        match object_store::path::Path::parse(uri) {
            Ok(location) if !uri.starts_with('/') => Ok((self.files.clone(), location)),
            _ => match object_store::path::Path::from_filesystem_path(self.root.join(uri)) {
                Ok(location) => Ok((Arc::new(LocalFileSystem::new()), location)),
                Err(_) => Err(missing(uri)),
            },
        }
    }

    /// Opens the file at `uri`: a path below the root as [`list`](Self::list) gives it, or (in a manifest written by a person) any
    /// local path, absolute or relative to the root.
    pub async fn open(&self, uri: &str) -> Result<Box<dyn AudioSource>, OpenError> {
        // Opening a pipe would wait for a writer that may never come.
        let path = self.root.join(uri);
        if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            return Err(OpenError::File { code: "not_a_file", message: format!("`{uri}` is no regular file") });
        }
        let (files, location) = self.locate(uri)?;
        let result = files.get(&location).await.map_err(|error| open_error(uri, error))?;
        match result.payload {
            GetResultPayload::File(file, _) => Ok(Box::new(file)),
            GetResultPayload::Stream(_) => {
                let bytes = result.bytes().await.map_err(|error| open_error(uri, error))?;
                Ok(Box::new(Cursor::new(bytes)))
            }
        }
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
    match (&error, io_kind(&error)) {
        (object_store::Error::PermissionDenied { .. }, _) | (_, Some(ErrorKind::PermissionDenied)) => {
            OpenError::File { code: "forbidden", message: error.to_string() }
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
    use std::io::Read;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        futures::executor::block_on(future)
    }

    #[test]
    fn nested_and_strangely_named_files_are_listed_and_opened() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}.wav", "n".repeat(250));
        let names = ["a/b/c.WAV", "a/with space %41 ü#.ogg", "a/*?.flac", "ü/日本.wav", &long];
        for name in names.iter().chain(&[".hidden/x.wav", "a/.part"]) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let store = Store::folder(dir.path()).unwrap();
        let listing = block_on(store.list()).unwrap();
        let mut uris: Vec<_> = listing.objects.iter().map(|o| o.uri.as_str()).collect();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        uris.sort_unstable();
        assert_eq!(uris, expected);
        for uri in uris {
            let mut text = String::new();
            block_on(store.open(uri)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, uri);
            let absolute = dir.path().join(uri);
            assert!(block_on(store.open(absolute.to_str().unwrap())).is_ok());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_unicode_is_reported_and_the_rest_is_listed() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("good.wav"), "x").unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff.wav")), "x").unwrap();
        let listing = block_on(Store::folder(dir.path()).unwrap().list()).unwrap();
        assert_eq!((listing.objects.len(), listing.unreadable.len()), (1, 1));
    }

    #[test]
    fn a_missing_file_is_a_failure_of_that_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::folder(dir.path()).unwrap();
        for uri in ["x.wav", "../x.wav", "/no/such/x.wav", "a\0b", &"x".repeat(300)] {
            match block_on(store.open(uri)) {
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
        assert!(matches!(block_on(store.open("folder.wav")), Err(OpenError::File { code: "not_a_file", .. })));
        assert!(matches!(block_on(store.open("/dev/zero")), Err(OpenError::File { code: "not_a_file", .. })));
    }

    #[test]
    fn a_source_that_is_no_folder_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(Store::folder(&file).unwrap_err().kind.to_string().contains("a file"));
        assert!(Store::folder(&dir.path().join("gone")).unwrap_err().kind.to_string().contains("no such folder"));
    }
}

//! Reading a store: listing, looking, opening.

use std::io::{Cursor, ErrorKind, Seek, Write};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::cache::CacheKey;
use super::{Access, Place, Store, Trouble};
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
    /// When it was written last, in milliseconds since 1970.
    pub modified_ms: i64,
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

/// What a file was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Entity tag.
    pub etag: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// Code of a file that is another one by now.
pub const CHANGED: &str = "changed";

/// Folders that are listed at a time.
const LISTED_AT_ONCE: usize = 16;

impl Store {
    /// Lists all files, hidden ones (a part of the path begins with `.`) left out. Folders of a bucket are listed side by side.
    pub async fn list(&self) -> Result<Listing, DatasetError> {
        self.list_below("").await
    }

    /// Lists all files whose path begins with the folder `prefix`, as [`list`](Self::list) does; their uris are below the store's root.
    pub async fn list_below(&self, prefix: &str) -> Result<Listing, DatasetError> {
        let root = self.location(prefix)?;
        let mut listing = Listing::default();
        if self.place.local().is_some() {
            // In a runtime the local store lists by the thousand, and what follows a name that it cannot address is lost; on a thread of
            // its own it goes on.
            let list = || futures::executor::block_on(self.list_one(root, &mut listing));
            let listed = std::thread::scope(|scope| scope.spawn(list).join().expect("listing does not panic"));
            listed.map_err(|error| self.list_error(error))?;
        } else {
            let top = Some(&root).filter(|root| !root.as_ref().is_empty());
            let found = self.again(|| self.files.list_with_delimiter(top)).await;
            let found = found.map_err(|error| self.list_error(error))?;
            found.objects.into_iter().for_each(|meta| self.add(meta, &mut listing));
            let mut folders = futures::stream::iter(found.common_prefixes)
                .map(|folder| async move {
                    let list = || async {
                        let mut part = Listing::default();
                        self.list_one(folder.clone(), &mut part).await.map(|()| part)
                    };
                    self.again(list).await.map_err(|error| self.list_error(error))
                })
                .buffer_unordered(LISTED_AT_ONCE);
            while let Some(part) = folders.try_next().await? {
                listing.objects.extend(part.objects);
                listing.unreadable.extend(part.unreadable);
            }
        }
        listing.objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        listing.unreadable.sort();
        Ok(listing)
    }

    async fn list_one(&self, folder: Location, listing: &mut Listing) -> object_store::Result<()> {
        let mut entries = self.files.list(Some(&folder).filter(|folder| !folder.as_ref().is_empty()));
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(meta) => self.add(meta, listing),
                // A folder goes on behind such a name; the list of a bucket ends there.
                Err(error @ object_store::Error::InvalidPath { .. }) if self.place.local().is_some() => {
                    listing.unreadable.push(error.to_string());
                }
                // What cannot be listed is a failing store: a class must not vanish in silence.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add(&self, meta: ObjectMeta, listing: &mut Listing) {
        let object = self.object(meta);
        if !object.uri.is_empty() && !object.uri.split('/').any(|part| part.starts_with('.')) {
            listing.objects.push(object);
        }
    }

    pub(super) fn object(&self, meta: ObjectMeta) -> Object {
        Object {
            uri: self.name(&meta.location),
            size_bytes: meta.size,
            etag: meta.e_tag,
            modified_ms: meta.last_modified.timestamp_millis(),
        }
    }

    /// The names of the folders in the folder `prefix`.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, DatasetError> {
        let root = self.location(prefix)?;
        let top = Some(&root).filter(|root| !root.as_ref().is_empty());
        let found = self.again(|| self.files.list_with_delimiter(top)).await;
        let found = found.map_err(|error| self.list_error(error))?;
        let names = found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned));
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    fn list_error(&self, error: object_store::Error) -> DatasetError {
        DatasetError::new("list folder", self.place.to_string(), error)
    }

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

    fn cut_short(&self, action: &'static str, name: &str, arrived: u64, expected: u64) -> DatasetError {
        let source = format!("{arrived} of {expected} bytes arrived").into();
        DatasetError::new(action, self.address(name), object_store::Error::Generic { store: "bucket", source })
    }

    /// The whole content of `name`, or the bytes in `range`; nothing where there is no such object.
    pub async fn read(&self, name: &str, range: Option<std::ops::Range<u64>>) -> Result<Option<Vec<u8>>, DatasetError> {
        Ok(self.read_tagged(name, range).await?.map(|(bytes, _)| bytes))
    }

    /// As [`read`](Self::read), with the entity tag of what was read.
    pub async fn read_tagged(
        &self,
        name: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<Option<(Vec<u8>, Option<String>)>, DatasetError> {
        let location = self.location(name)?;
        let failed = |error| DatasetError::new("read object", self.address(name), DatasetErrorKind::Store(error));
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        let result = match self.again(|| self.files.get_opts(&location, options.clone())).await {
            Err(error) if is_missing(&error) => return Ok(None),
            result => result.map_err(failed)?,
        };
        let etag = result.meta.e_tag.clone();
        Ok(Some((result.bytes().await.map_err(failed)?.to_vec(), etag)))
    }

    /// Copies the object `name` to the file `path`, which appears whole or not at all; `progress` gets the bytes that have arrived. Nothing is
    /// written, and `false` returned, where there is no such object.
    pub async fn download(
        &self,
        name: &str,
        path: &std::path::Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<bool, DatasetError> {
        let location = self.location(name)?;
        let failed = |error| DatasetError::new("download", self.address(name), DatasetErrorKind::Store(error));
        let local = |error: std::io::Error| DatasetError::new("write file", path.display().to_string(), error);
        let result = match self.again(|| self.files.get(&location)).await {
            Err(error) if is_missing(&error) => return Ok(false),
            result => result.map_err(failed)?,
        };
        let size = result.meta.size;
        let folder = crate::files::folder_of(path);
        std::fs::create_dir_all(folder).map_err(local)?;
        let mut file = crate::files::temporary_in(folder).map_err(local)?;
        let mut stream = result.into_stream();
        let mut written = 0;
        while let Some(bytes) = stream.try_next().await.map_err(failed)? {
            file.write_all(&bytes).map_err(local)?;
            written += bytes.len() as u64;
            progress(written);
            if self.is_stopped() {
                return Err(self.stopped("download", name));
            }
        }
        if written != size {
            return Err(self.cut_short("download", name, written, size));
        }
        file.as_file().sync_all().map_err(local)?;
        file.persist(path).map_err(|error| local(error.error))?;
        crate::files::sync_folder(folder).map_err(local)?;
        Ok(true)
    }

    /// What is known of the object `name`; nothing where there is none.
    pub async fn look(&self, name: &str) -> Result<Option<Object>, DatasetError> {
        let location = self.location(name)?;
        match self.again(|| self.files.head(&location)).await {
            Ok(meta) => Ok(Some(self.object(meta))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(DatasetError::new("look at", self.address(name), error)),
        }
    }
}

/// Whether an object is not there, in a bucket that is.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && Trouble::of_store(error).is_none()
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
            OpenError::File { code: "forbidden", message: error.to_string() }
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
    use std::io::Read;

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
            block_on(store.open(uri, None)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, uri);
            let absolute = dir.path().join(uri);
            assert!(block_on(store.open(absolute.to_str().unwrap(), None)).is_ok());
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

    #[test]
    fn a_source_that_is_no_folder_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(Store::folder(&file).unwrap_err().kind.to_string().contains("a file"));
        assert!(Store::folder(&dir.path().join("gone")).unwrap_err().kind.to_string().contains("no such folder"));
    }
}

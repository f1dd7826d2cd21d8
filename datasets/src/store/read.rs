//! Reading a store: listing, looking, opening.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Location;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::{Store, Trouble, UNUSABLE};
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
    /// One message for each entry whose name cannot be addressed, and which is therefore left out.
    pub unreadable: Vec<String>,
    /// Links that lead to themselves or to a folder above them, which are left out.
    pub loops: Vec<PathBuf>,
}

/// What is said of [`loops`](Listing::loops), where there are any.
pub fn describe_loops(loops: &[PathBuf]) -> Option<String> {
    let first = loops.first()?;
    let n = loops.len();
    Some(format!(
        "{n} link(s) that lead to themselves or to a folder above them are left out (first: `{}`)",
        first.display()
    ))
}

/// The symbolic link that a walk over folders would have followed for ever, where that is what `error` is about.
fn looping_link(error: &object_store::Error) -> Option<PathBuf> {
    let mut causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    let walk = causes.find_map(|error| error.downcast_ref::<walkdir::Error>())?;
    let is_loop = walk.loop_ancestor().is_some() || walk.io_error().is_some_and(is_circular);
    walk.path().filter(|_| is_loop).map(Path::to_owned)
}

#[cfg(unix)]
fn is_circular(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_circular(_: &std::io::Error) -> bool {
    false
}

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
        self.forget_skipped(&root);
        if self.place.local().is_some() {
            // In a runtime the local store lists by the thousand, and what follows a name that it cannot address is lost; on a thread of
            // its own it goes on.
            let list = || futures::executor::block_on(self.list_one(root.clone(), &mut listing));
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
        listing.unreadable.extend(self.skipped_below(&root));
        listing.unreadable.sort();
        Ok(listing)
    }

    /// Begins a listing below `root`, which meets keys that no path can be anew.
    pub(super) fn forget_skipped(&self, root: &Location) {
        let mut skipped = self.skipped.lock().expect("nobody panics while holding it");
        skipped.retain(|key| !is_below(key, root));
    }

    /// One message for each key below `root` that no path can be and that a listing has met, hidden ones left out.
    pub(super) fn skipped_below(&self, root: &Location) -> Vec<String> {
        let skipped = self.skipped.lock().expect("nobody panics while holding it");
        let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
        let below = skipped.iter().filter(|key| is_below(key, root) && !key.split('/').any(is_hidden));
        let message = |key: &String| {
            let store = self.prefix.as_ref();
            let name = key.strip_prefix(store).filter(|_| !store.is_empty());
            let name = name.map_or(key.as_str(), |name| name.strip_prefix('/').unwrap_or(name));
            let what = if key.ends_with('/') { "all keys that begin with" } else { "the key" };
            format!("{what} `{}`: {UNUSABLE}; `ecosight storage fix-keys` gives a better name", name.escape_debug())
        };
        below.map(message).collect()
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
                Err(error) => match looping_link(&error) {
                    Some(link) => listing.loops.push(link),
                    // What cannot be listed is a failing store: a class must not vanish in silence.
                    None => return Err(error),
                },
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

    pub(super) fn cut_short(&self, action: &'static str, name: &str, arrived: u64, expected: u64) -> DatasetError {
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

/// Whether a full key is one of the folder `root`.
fn is_below(key: &str, root: &Location) -> bool {
    let root = root.as_ref();
    root.is_empty() || key.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether an object is not there, in a bucket that is.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && Trouble::of_store(error).is_none()
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
    fn a_link_that_leads_in_a_circle_is_left_out_and_the_rest_is_listed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("dog/deep")).unwrap();
        for name in ["dog/a.wav", "dog/deep/b.wav", "z.wav"] {
            std::fs::write(at(name), "x").unwrap();
        }
        symlink("self", at("dog/self")).unwrap();
        symlink(dir.path(), at("dog/deep/up")).unwrap();
        symlink("nowhere", at("dog/gone")).unwrap();
        symlink("../z.wav", at("dog/other.wav")).unwrap();
        let listing = block_on(Store::folder(dir.path()).unwrap().list()).unwrap();
        let uris: Vec<_> = listing.objects.iter().map(|object| object.uri.as_str()).collect();
        assert_eq!(uris, ["dog/a.wav", "dog/deep/b.wav", "dog/other.wav", "z.wav"]);
        assert_eq!(listing.loops.len(), 2, "{:?}", listing.loops);
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
    fn a_source_that_is_no_folder_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(Store::folder(&file).unwrap_err().kind.to_string().contains("a file"));
        assert!(Store::folder(&dir.path().join("gone")).unwrap_err().kind.to_string().contains("no such folder"));
    }
}

//! Moves one recording: the copy is compared with the original before that is removed.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

#[cfg(feature = "aws-admin")]
use ecosight_datasets::admin::{Admin, Wishes};
use ecosight_datasets::files::folder_of;
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::AudioKey;
#[cfg(feature = "aws-admin")]
use ecosight_datasets::runtime::block_on;
#[cfg(feature = "aws-admin")]
use ecosight_datasets::store::Scheme;
use ecosight_datasets::store::{Labels, Place, Store};
use ecosight_datasets::tracks::{Placed, Tracks, put_original};
use ecosight_datasets::{DatasetError, DatasetErrorKind};

use super::Wrong;
use crate::cli::error::CliError;
use crate::cli::session::Globals;
use crate::cli::storage::target::{connect, name_in_bucket};

/// What is known of an object.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
    /// Its entity tag, in a bucket.
    pub(super) etag: Option<String>,
}

/// Moves recordings within one place.
pub(super) struct Mover<'a> {
    store: Store,
    /// Reaches keys that no path can be.
    #[cfg(feature = "aws-admin")]
    admin: Option<Admin>,
    /// What stands before its keys in the bucket that is configured; nothing where it lies elsewhere.
    prefix: Option<String>,
    globals: &'a Globals,
}

impl<'a> Mover<'a> {
    pub(super) fn new(place: &Place, globals: &'a Globals) -> Result<Self, CliError> {
        let store = connect(place, globals)?;
        #[cfg(feature = "aws-admin")]
        let admin = match place.bucket().filter(|bucket| bucket.scheme == Scheme::S3) {
            None => None,
            Some(bucket) => {
                let mut settings = (*globals.access()?.settings).clone();
                settings.bucket = Some((place.clone(), "the command line".to_owned()));
                match Wishes::new(&settings) {
                    Ok(wishes) => {
                        let wishes = Wishes { place: bucket.clone(), ..wishes };
                        Some(block_on(Admin::connect(&settings, wishes))?)
                    }
                    // An access point is reached by the store alone.
                    Err(_) => None,
                }
            }
        };
        let prefix = name_in_bucket(&format!("{place}/"), globals)?;
        let prefix = prefix.filter(|_| place.bucket().is_some());
        Ok(Self {
            store,
            #[cfg(feature = "aws-admin")]
            admin,
            prefix,
            globals,
        })
    }

    /// All objects of the place, and messages on those whose names this build cannot address.
    pub(super) async fn list(&self) -> Result<(Vec<Found>, Vec<String>), CliError> {
        #[cfg(feature = "aws-admin")]
        if let Some(admin) = &self.admin {
            let found = admin.list_raw().await?.into_iter();
            // Folders that some tools show by an empty object are no recordings.
            let found = found.filter(|object| !(object.key.ends_with('/') && object.size_bytes == 0));
            let found =
                found.map(|o| Found { key: o.key, size_bytes: o.size_bytes, modified_ms: o.modified_ms, etag: o.etag });
            return Ok((found.collect(), Vec::new()));
        }
        let listing = self.store.list().await?;
        let found = listing.objects.into_iter();
        let found =
            found.map(|o| Found { key: o.uri, size_bytes: o.size_bytes, modified_ms: o.modified_ms, etag: o.etag });
        Ok((found.collect(), listing.unreadable))
    }

    /// Moves one recording; its new key, which is `wanted` if nothing else is there.
    pub(super) async fn bring(&self, wrong: &Wrong, wanted: Option<&str>) -> Result<String, DatasetError> {
        match self.store.place().local() {
            Some(root) => self.within_folder(root, wrong, wanted),
            None => self.within_bucket(wrong).await,
        }
    }

    fn within_folder(&self, root: &Path, wrong: &Wrong, wanted: Option<&str>) -> Result<String, DatasetError> {
        let from = root.join(&wrong.key);
        let open = || File::open(&from).map_err(DatasetError::at("read file", &from));
        let hash = ContentHash::of_reader(open()?).map_err(DatasetError::at("read file", &from))?;
        // Its object may have been given another name before.
        let known = match self.index_of(root)? {
            Some(tracks) => tracks.track(&wrong.key)?.and_then(|track| track.s3_object_key),
            None => None,
        };
        let known = wanted.map(str::to_owned).or(known).filter(|key| AudioKey::parse(key).is_some());
        for key in known.into_iter().chain(candidates(wrong, &hash)) {
            let to = root.join(&key);
            if is_same_file(&from, &to).map_err(DatasetError::at("read file", &to))? {
                let why = format!(
                    "`{key}` is the same file, by a link or because the disk does not tell upper case from lower; it stays: rename it by hand"
                );
                return Err(DatasetError::invalid("move", &wrong.key, why));
            }
            match put_original(&to, &mut open()?, &hash)? {
                Placed::Taken => {}
                Placed::Changed => return Err(DatasetError::invalid("move", &wrong.key, "it is being written")),
                Placed::New(_) | Placed::Same => {
                    self.rename_row(root, &wrong.key, &key)?;
                    std::fs::remove_file(&from).map_err(DatasetError::at("delete", &from))?;
                    // It stays while other files are in it.
                    let _ = std::fs::remove_dir(folder_of(&from));
                    return Ok(key);
                }
            }
        }
        Err(DatasetError::new("move", &wrong.key, DatasetErrorKind::Conflict))
    }

    async fn within_bucket(&self, wrong: &Wrong) -> Result<String, DatasetError> {
        let local = |error: std::io::Error| DatasetError::new("write file", "a temporary file", error);
        let copy = tempfile::NamedTempFile::new().map_err(local)?;
        let labels = self.fetch(wrong, copy.path()).await?;
        // It may have been replaced by name.
        let file = File::open(copy.path()).map_err(local)?;
        let hash = ContentHash::of_reader(file).map_err(local)?;
        for key in candidates(wrong, &hash) {
            match self.store.upload_new(copy.path(), &key, &labels, &|_| {}).await {
                Err(error) if matches!(error.kind, DatasetErrorKind::Conflict) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    // First, so that the index never names an object that is gone.
                    self.move_object(&wrong.key, &key)?;
                    self.delete(&wrong.key).await?;
                    return Ok(key);
                }
            }
        }
        Err(DatasetError::new("move", &wrong.key, DatasetErrorKind::Conflict))
    }

    async fn fetch(&self, wrong: &Wrong, path: &Path) -> Result<Labels, DatasetError> {
        let key = &wrong.key;
        #[cfg(feature = "aws-admin")]
        if let Some(admin) = &self.admin {
            return admin.fetch_raw(key, wrong.etag.as_deref(), path).await;
        }
        let labels = self.store.labels(key).await?.unwrap_or_default();
        let is_there = self.store.download(key, path, &|_| {}).await?;
        let gone = || DatasetError::invalid("download", self.store.address(key), "it is not there any more");
        if is_there { Ok(labels) } else { Err(gone()) }
    }

    async fn delete(&self, key: &str) -> Result<(), DatasetError> {
        #[cfg(feature = "aws-admin")]
        if let Some(admin) = &self.admin {
            return admin.delete_raw(key).await;
        }
        self.store.delete(key).await
    }

    /// Tells the index of tracks, where this is the bucket that it speaks of.
    fn move_object(&self, old: &str, new: &str) -> Result<(), DatasetError> {
        let now_ms = self.globals.started.timestamp_millis();
        match (&self.prefix, Tracks::find(&self.globals.layout)?) {
            (Some(prefix), Some(tracks)) => {
                tracks.move_object(&format!("{prefix}{old}"), &format!("{prefix}{new}"), now_ms)
            }
            _ => Ok(()),
        }
    }

    /// The index of tracks, where it speaks of this folder: another one may have files of the same names.
    fn index_of(&self, root: &Path) -> Result<Option<Tracks>, DatasetError> {
        let is_ours = is_same_file(root, self.globals.layout.root()).unwrap_or(false);
        if is_ours { Tracks::find(&self.globals.layout) } else { Ok(None) }
    }

    /// Tells the index of tracks, where there is one that knows the file.
    fn rename_row(&self, root: &Path, old: &str, new: &str) -> Result<(), DatasetError> {
        let Some(tracks) = self.index_of(root)? else { return Ok(()) };
        match tracks.track(old)? {
            Some(track) => tracks.rekey(&track, new, self.globals.started.timestamp_millis()),
            None => Ok(()),
        }
    }
}

/// Whether both paths lead to one file. A path that leads to none is no other's.
fn is_same_file(a: &Path, b: &Path) -> std::io::Result<bool> {
    let real = |path: &Path| match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    };
    let (Some(a), Some(b)) = (real(a)?, real(b)?) else { return Ok(false) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (a, b) = (a.metadata()?, b.metadata()?);
        Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
    }
    #[cfg(not(unix))]
    Ok(a == b)
}

/// The names that a recording may get, the better first.
fn candidates(wrong: &Wrong, hash: &ContentHash) -> [String; 2] {
    [None, Some(hash)].map(|hash| AudioKey::new(&wrong.class, &wrong.time, &wrong.name, hash).to_string())
}

//! Finds what is certainly garbage: nobody will ever come back for it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ecosight_datasets::DatasetError;
#[cfg(feature = "aws-admin")]
use ecosight_datasets::admin::{Admin, Wishes};
use ecosight_datasets::layout::{Area, AudioKey};
use ecosight_datasets::store::{Object, Store, Twins};
#[cfg(feature = "aws-admin")]
use ecosight_datasets::store::{Scheme, Trouble};
use ecosight_datasets::tracks::Tracks;

use super::{Garbage, Item};
use crate::cli::error::CliError;
#[cfg(feature = "aws-admin")]
use crate::cli::printer::Printer;
use crate::cli::session::Globals;
use crate::cli::storage::target::{connect, root};

/// A writer that has not touched its temporary file for so long is gone.
const SILENT: Duration = Duration::from_hours(1);

/// What is below `temp/` is gone after a day, and so is an upload that was not completed by then.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Where garbage is looked for: the store and the data root.
pub(super) struct Place<'a> {
    pub(super) store: Store,
    globals: &'a Globals,
}

impl<'a> Place<'a> {
    pub(super) fn open(globals: &'a Globals) -> Result<Self, CliError> {
        Ok(Self { store: connect(&root(globals)?, globals)?, globals })
    }

    /// Temporary files of writers that died, beside the originals in the data root.
    pub(super) fn temporaries(&self) -> Result<Vec<Item>, CliError> {
        let folder = self.globals.layout.extracted_audio();
        let mut paths = Vec::new();
        temporaries_in(&folder, &mut paths).map_err(DatasetError::at("list folder", &folder))?;
        let now = SystemTime::from(self.globals.started);
        let item = |path: PathBuf| {
            let bytes = abandoned(&path, now)?;
            let why = "a temporary file of a writer that is gone".to_owned();
            Some(Item { name: path.display().to_string(), bytes, kind: "temporary", why, garbage: Garbage::File(path) })
        };
        Ok(paths.into_iter().filter_map(item).collect())
    }

    /// Objects below `temp/` that are older than a day.
    pub(super) async fn expired(&self) -> Result<Vec<Item>, CliError> {
        let before = self.globals.started.timestamp_millis() - DAY_MS;
        let objects = self.store.list_below(Area::Temp.name()).await?.objects.into_iter();
        let item = |object: Object| Item {
            name: self.store.address(&object.uri),
            bytes: object.size_bytes,
            kind: "expired",
            why: "what is below `temp/` is needed for a day".to_owned(),
            garbage: Garbage::Object(object.uri),
        };
        Ok(objects.filter(|object| object.modified_ms < before).map(item).collect())
    }

    /// Uploads in parts that were begun more than a day ago and never completed. Only those below the areas of the layout.
    #[cfg(feature = "aws-admin")]
    pub(super) async fn unfinished(&self, printer: &Printer) -> Result<Vec<Item>, CliError> {
        let Some(admin) = self.admin().await? else { return Ok(Vec::new()) };
        let before = self.globals.started.timestamp_millis() - DAY_MS;
        let found = match admin.list_unfinished().await {
            // Servers that are no Amazon's may not tell.
            Err(error) if Admin::is_unknown(&error) => {
                printer.note("uploads that were never completed are not looked for: this server does not tell them");
                Vec::new()
            }
            Err(error) if Trouble::of(&error) == Some(Trouble::Forbidden) => {
                printer.note(
                    "uploads that were never completed are not looked for: the keys lack `s3:ListBucketMultipartUploads`; `ecosight storage policy` prints what they need",
                );
                Vec::new()
            }
            found => found?,
        };
        let is_ours = |key: &str| Area::ALL.iter().any(|area| key.split('/').next() == Some(area.name()));
        let found = found.into_iter().filter(|upload| upload.begun_ms < before && is_ours(&upload.key));
        let item = |upload: ecosight_datasets::admin::Unfinished| Item {
            name: self.store.address(&upload.key),
            bytes: 0,
            kind: "unfinished",
            why: "an upload in parts that was never completed".to_owned(),
            garbage: Garbage::Upload(upload),
        };
        Ok(found.map(item).collect())
    }

    /// Recordings that are in one class of the bucket more than once: two machines have uploaded them at the same moment.
    pub(super) async fn repeated(&self) -> Result<Vec<Item>, CliError> {
        if self.store.place().bucket().is_none() {
            return Ok(Vec::new());
        }
        let objects = self.store.list_below(Area::ExtractedAudio.name()).await?.objects;
        let twins = Twins::of(objects.iter().filter(|object| AudioKey::parse(&object.uri).is_some()));
        let item = |object: &Object, first: &Object| Item {
            name: self.store.address(&object.uri),
            bytes: object.size_bytes,
            kind: "repeated",
            why: "the same recording is in the class under another name".to_owned(),
            garbage: Garbage::Twin(object.uri.clone(), first.uri.clone()),
        };
        let mut found = Vec::new();
        for (first, others) in twins.repeated() {
            found.extend(others.iter().map(|other| item(other, first)));
        }
        Ok(found)
    }

    /// Removes one of two objects, if both have the same content, and tells the index.
    async fn remove_twin(&self, name: &str, first: &str) -> Result<(), DatasetError> {
        let (kept, gone) = (self.store.content_hash(first).await?, self.store.content_hash(name).await?);
        if gone.is_none() {
            return Ok(());
        }
        if kept != gone {
            let why = format!("`{first}` is not the same any more; run it again");
            return Err(DatasetError::invalid("remove", self.store.address(name), why));
        }
        self.store.delete(name).await?;
        match Tracks::find(&self.globals.layout)? {
            Some(tracks) => tracks.move_object(name, first, self.globals.started.timestamp_millis()),
            None => Ok(()),
        }
    }

    #[cfg(feature = "aws-admin")]
    async fn admin(&self) -> Result<Option<Admin>, DatasetError> {
        if self.store.place().bucket().is_none_or(|bucket| bucket.scheme != Scheme::S3) {
            return Ok(None);
        }
        // What is looked at may be another bucket than the one that is configured.
        let mut settings = (*self.globals.access()?.settings).clone();
        settings.bucket = Some((self.store.place().clone(), "the command line".to_owned()));
        // An access point is reached by the store alone.
        let Ok(wishes) = Wishes::new(&settings) else { return Ok(None) };
        Admin::connect(&settings, wishes).await.map(Some)
    }

    /// Removes one thing.
    pub(super) async fn remove(&self, garbage: &Garbage) -> Result<(), DatasetError> {
        match garbage {
            Garbage::File(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(DatasetError::new("delete", path.display().to_string(), error))
                }
                _ => Ok(()),
            },
            Garbage::Object(name) => self.store.delete(name).await,
            Garbage::Twin(name, first) => self.remove_twin(name, first).await,
            #[cfg(feature = "aws-admin")]
            Garbage::Upload(upload) => match self.admin().await? {
                Some(admin) => admin.abort(upload).await,
                None => Ok(()),
            },
            Garbage::Kept => Ok(()),
        }
    }
}

fn temporaries_in(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() {
            temporaries_in(&entry.path(), found)?;
        } else if kind.is_file() && name.starts_with('.') && name.ends_with(".tmp") {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The size of a temporary file that nobody holds or has touched for a while.
fn abandoned(path: &Path, now: SystemTime) -> Option<u64> {
    let file = File::open(path).ok()?;
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let meta = file.metadata().ok()?;
    let silent = now.duration_since(meta.modified().ok()?).ok()?;
    (silent > SILENT).then_some(meta.len())
}

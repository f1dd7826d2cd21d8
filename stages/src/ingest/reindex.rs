//! Making the index again from the recordings alone: those in the data root and, where there is one, those in the bucket.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use ecosight_datasets::audio::sniff;
use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::layout::{Area, AudioKey, ClassName};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Object, OpenError, Store};
use ecosight_datasets::tracks::{Listed, Status, Track, remove_remains};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use futures::{StreamExt, TryStreamExt};
use rayon::prelude::*;
use serde::Serialize;

use super::Ingest;
use super::check::duration_s;

/// Objects that are asked for at a time.
const ASKED_AT_ONCE: usize = 32;

/// What a new index knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// Recordings in the data root.
    pub local: u64,
    /// Recordings in the bucket.
    pub bucket: u64,
    /// Recordings that wait for their upload.
    pub waiting: u64,
    /// Files and objects below `extracted_audio/` whose names are none of ours.
    pub strange: Vec<String>,
}

impl Ingest<'_> {
    /// Makes table and outbox agree with what is in the data root and in the bucket.
    pub fn reindex(&self) -> Result<Reindexed, DatasetError> {
        let started_ms = self.now_ms();
        let mut strange = Vec::new();
        let mut tracks = self.found_here(started_ms, &mut strange)?;
        let local = tracks.len() as u64;
        let mut bucket = 0;
        if let Some(store) = &self.store {
            let listing = block_on(store.list_below(Area::ExtractedAudio.name()))?;
            strange.extend(listing.unreadable);
            let (ours, others): (Vec<_>, Vec<_>) =
                listing.objects.into_iter().partition(|object| class_of(&object.uri).is_some());
            strange.extend(others.into_iter().map(|object| store.address(&object.uri)));
            bucket = ours.len() as u64;
            self.add_bucket(store, ours, &mut tracks, started_ms)?;
        }
        let tracks: Vec<Track> = tracks.into_values().collect();
        let listed = if self.store.is_some() { Listed::Yes } else { Listed::No };
        self.tracks.rebuild(&tracks, started_ms, listed)?;
        let waiting = self.tracks.backlog()?.count;
        Ok(Reindexed { local, bucket, waiting, strange })
    }

    /// Fills a new index with what the data root has.
    pub(super) fn reindex_folder(&self) -> Result<(), DatasetError> {
        let started_ms = self.now_ms();
        let tracks: Vec<Track> = self.found_here(started_ms, &mut Vec::new())?.into_values().collect();
        self.tracks.rebuild(&tracks, started_ms, Listed::No)
    }

    /// The recordings in the data root.
    fn found_here(&self, now_ms: i64, strange: &mut Vec<String>) -> Result<BTreeMap<String, Track>, DatasetError> {
        let top = self.layout.extracted_audio();
        let mut files = Vec::new();
        for folder in entries(&top)? {
            let class = folder.file_name().and_then(|name| name.to_str()).and_then(|name| ClassName::new(name).ok());
            let Some(class) = class.filter(|_| folder.is_dir()) else {
                strange.push(folder.display().to_string());
                continue;
            };
            remove_remains(&folder)?;
            for path in entries(&folder)? {
                match path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                    Some(name) => files.push((Area::ExtractedAudio.key(&format!("{class}/{name}")), path)),
                    None => strange.push(path.display().to_string()),
                }
            }
        }
        let track = |(key, path): (String, PathBuf)| self.track_of(key, &path, now_ms).transpose();
        let tracks: Vec<Track> = files.into_par_iter().filter_map(track).collect::<Result<_, _>>()?;
        Ok(tracks.into_iter().map(|track| (track.key.clone(), track)).collect())
    }

    /// The row of a file; nothing where it is no audio or gone.
    fn track_of(&self, key: String, path: &Path, now_ms: i64) -> Result<Option<Track>, DatasetError> {
        let read = || -> std::io::Result<Option<(ContentHash, u64, Option<f64>)>> {
            let mut file = File::open(path)?;
            let mut head = Vec::new();
            (&mut file).take(4096).read_to_end(&mut head)?;
            if sniff(&head).is_none() {
                return Ok(None);
            }
            let size_bytes = file.metadata()?.len();
            let hash = ContentHash::of_reader(head.as_slice().chain(&file))?;
            Ok(Some((hash, size_bytes, duration_s(&file))))
        };
        match read() {
            Ok(found) => Ok(found.map(|(hash, size_bytes, duration_s)| {
                let path = Some(key.clone());
                Track { path, s3_object_key: None, duration_s, ..row(key, hash, size_bytes, now_ms) }
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DatasetError::new("read file", path.display().to_string(), error)),
        }
    }

    /// Adds what the bucket has to what is here.
    fn add_bucket(
        &self,
        store: &Store,
        objects: Vec<Object>,
        tracks: &mut BTreeMap<String, Track>,
        now_ms: i64,
    ) -> Result<(), DatasetError> {
        let known = &*tracks;
        let ask = |object: Object| async move {
            let Some(track) = known.get(&object.uri) else {
                return of_bucket(store, object, now_ms).await.map(Some);
            };
            let is_copy = store.has_copy_of(&object, &self.layout.root().join(&object.uri)).await?;
            Ok::<_, DatasetError>(is_copy.then(|| Track { s3_object_key: Some(object.uri), ..track.clone() }))
        };
        let found: Vec<Option<Track>> =
            block_on(futures::stream::iter(objects).map(ask).buffer_unordered(ASKED_AT_ONCE).try_collect())?;
        tracks.extend(found.into_iter().flatten().map(|track| (track.key.clone(), track)));
        Ok(())
    }
}

/// The row of an object of which there is no copy here: its labels tell its hash, else its content does.
async fn of_bucket(store: &Store, object: Object, now_ms: i64) -> Result<Track, DatasetError> {
    let labels = store.labels(&object.uri).await?.unwrap_or_default();
    let hash = match labels.metadata.get("blake3").and_then(|hash| hash.parse().ok()) {
        Some(hash) => hash,
        None => match store.open(&object.uri, None).await {
            Ok(source) => {
                ContentHash::of_reader(source).map_err(|e| DatasetError::new("read object", &object.uri, e))?
            }
            Err(OpenError::Store(error)) => return Err(error),
            Err(OpenError::File { message, .. }) => {
                return Err(DatasetError::new("read object", object.uri, DatasetErrorKind::Invalid(message)));
            }
        },
    };
    let duration_s = labels.metadata.get("duration-s").and_then(|text| text.parse().ok());
    let s3_object_key = Some(object.uri.clone());
    Ok(Track { path: None, s3_object_key, duration_s, ..row(object.uri, hash, object.size_bytes, now_ms) })
}

fn row(key: String, hash: ContentHash, size_bytes: u64, now_ms: i64) -> Track {
    Track {
        id: ClipId::of_file(&hash),
        class: class_of(&key).map(|class| class.to_string()).unwrap_or_default(),
        path: None,
        s3_object_key: None,
        hash,
        size_bytes,
        duration_s: None,
        status: Status::Stored,
        created_ms: accepted_ms(&key).unwrap_or(now_ms),
        updated_ms: now_ms,
        key,
    }
}

/// The class of `extracted_audio/<class>/<file>`.
fn class_of(key: &str) -> Option<ClassName> {
    let below = key.strip_prefix(Area::ExtractedAudio.name())?.strip_prefix('/')?;
    let (class, file) = below.split_once('/')?;
    if file.contains('/') { None } else { ClassName::new(class).ok() }
}

/// When a recording was accepted, as its key says.
fn accepted_ms(key: &str) -> Option<i64> {
    let key = AudioKey::parse(key)?;
    let time = NaiveDateTime::parse_from_str(key.file().get(..15)?, "%Y%m%d_%H%M%S").ok()?;
    Some(time.and_utc().timestamp_millis())
}

/// What lies in a folder, hidden files left out, in order; nothing where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
        paths.sort();
        Ok(paths)
    };
    read().map_err(DatasetError::at("list folder", folder))
}

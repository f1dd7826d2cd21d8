//! Making the index again from the recordings alone: those in the data root and, where there is one, those in the bucket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use ecosight_datasets::audio::sniff;
use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::layout::{Area, AudioKey, ClassName, Layout};
use ecosight_datasets::removals::Removals;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Labels, Object, OpenError, Store};
use ecosight_datasets::tracks::{Age, Listed, Status, Track, remove_remains};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use futures::{StreamExt, TryStreamExt};
use rayon::prelude::*;
use serde::Serialize;

use super::Ingest;
use super::check::duration_s;
use super::upload::INGEST_ID;

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
    /// Recordings that the index did not know before.
    pub added: u64,
    /// Rows whose recordings are in neither place.
    pub dropped: u64,
    /// Files and objects below `extracted_audio/` whose names are none of ours.
    pub strange: Vec<String>,
}

/// What is in a data root and in its bucket.
struct Survey {
    tracks: BTreeMap<String, Track>,
    local: u64,
    /// Recordings in the bucket, where there is one.
    bucket: Option<u64>,
    strange: Vec<String>,
    removals: Removals,
}

/// Whether what killed processes have left is removed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remains {
    Remove,
    Leave,
}

/// Whether objects of which a copy is here are asked which call of `ecosight ingest` took them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IngestIds {
    Ask,
    /// The index knows, or nobody needs to.
    Leave,
}

impl Ingest<'_> {
    /// Makes table and outbox agree with what is in the data root and in the bucket.
    pub fn reindex(&self) -> Result<Reindexed, DatasetError> {
        let now_ms = self.now_ms();
        let ids = if self.age == Age::New { IngestIds::Ask } else { IngestIds::Leave };
        let survey = look(self.layout, self.store.as_ref(), now_ms, (Remains::Remove, ids))?;
        // A new index has learned what is here when it was opened.
        let known = if self.age == Age::New { Vec::new() } else { self.tracks.all()? };
        let identity = self.store.as_ref().map(Store::identity);
        let tracks: Vec<Track> = survey.tracks.values().cloned().collect();
        self.tracks.rebuild(&tracks, now_ms, identity.as_deref().map_or(Listed::No, Listed::Yes))?;
        self.tracks.withdraw_removed(&self.removals, now_ms)?;
        Ok(Reindexed { waiting: self.tracks.backlog()?.count, ..survey.told(&known, &BTreeSet::new()) })
    }

    /// Fills a new index with what the data root has.
    pub(super) fn reindex_folder(&self) -> Result<(), DatasetError> {
        let now_ms = self.now_ms();
        let tracks: Vec<Track> =
            look(self.layout, None, now_ms, (Remains::Remove, IngestIds::Leave))?.tracks.into_values().collect();
        self.tracks.rebuild(&tracks, now_ms, Listed::No)
    }
}

/// What [`Ingest::reindex`] would make of an index that knows `known` and of which some are `withdrawn`. Nothing is written.
pub fn survey(
    layout: &Layout,
    store: Option<&Store>,
    now_ms: i64,
    known: &[Track],
    withdrawn: &BTreeSet<String>,
) -> Result<Reindexed, DatasetError> {
    Ok(look(layout, store, now_ms, (Remains::Leave, IngestIds::Leave))?.told(known, withdrawn))
}

fn look(
    layout: &Layout,
    store: Option<&Store>,
    now_ms: i64,
    (remains, ids): (Remains, IngestIds),
) -> Result<Survey, DatasetError> {
    let mut strange = Vec::new();
    let mut tracks = found_here(layout, now_ms, remains, &mut strange)?;
    let local = tracks.len() as u64;
    let mut bucket = None;
    if let Some(store) = store {
        let listing = block_on(store.list_below(Area::ExtractedAudio.name()))?;
        strange.extend(listing.unreadable);
        let (ours, others): (Vec<_>, Vec<_>) =
            listing.objects.into_iter().partition(|object| class_of(&object.uri).is_some());
        strange.extend(others.into_iter().map(|object| store.address(&object.uri)));
        bucket = Some(ours.len() as u64);
        add_bucket(layout, store, ours, &mut tracks, (now_ms, ids))?;
    }
    Ok(Survey { tracks, local, bucket, strange, removals: Removals::read(layout)? })
}

impl Survey {
    fn told(self, known: &[Track], withdrawn: &BTreeSet<String>) -> Reindexed {
        let Self { tracks, local, bucket, strange, removals } = self;
        let before: BTreeSet<&str> =
            known.iter().filter(|track| track.status == Status::Stored).map(|track| track.key.as_str()).collect();
        let waits = |track: &&Track| {
            let is_missing = track.path.is_some() && track.s3_object_key.is_none();
            let is_wanted = !withdrawn.contains(&track.key) && removals.find(&track.hash, &track.class).is_none();
            is_missing && is_wanted && AudioKey::parse(&track.key).is_some()
        };
        Reindexed {
            local,
            bucket: bucket.unwrap_or_default(),
            waiting: if bucket.is_some() { tracks.values().filter(waits).count() as u64 } else { 0 },
            added: tracks.keys().filter(|key| !before.contains(key.as_str())).count() as u64,
            dropped: before.iter().filter(|key| !tracks.contains_key(**key)).count() as u64,
            strange,
        }
    }
}

/// The recordings in the data root.
fn found_here(
    layout: &Layout,
    now_ms: i64,
    remains: Remains,
    strange: &mut Vec<String>,
) -> Result<BTreeMap<String, Track>, DatasetError> {
    let mut files = Vec::new();
    for folder in entries(&layout.extracted_audio())? {
        let class = folder.file_name().and_then(|name| name.to_str()).and_then(|name| ClassName::new(name).ok());
        let Some(class) = class.filter(|_| folder.is_dir()) else {
            strange.push(folder.display().to_string());
            continue;
        };
        if remains == Remains::Remove {
            remove_remains(&folder)?;
        }
        for path in entries(&folder)? {
            match path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                Some(name) => files.push((Area::ExtractedAudio.key(&format!("{class}/{name}")), path)),
                None => strange.push(path.display().to_string()),
            }
        }
    }
    let track = |(key, path): (String, PathBuf)| track_of(key, &path, now_ms).transpose();
    let tracks: Vec<Track> = files.into_par_iter().filter_map(track).collect::<Result<_, _>>()?;
    Ok(tracks.into_iter().map(|track| (track.key.clone(), track)).collect())
}

/// Adds what the bucket has to what is here.
fn add_bucket(
    layout: &Layout,
    store: &Store,
    objects: Vec<Object>,
    tracks: &mut BTreeMap<String, Track>,
    (now_ms, ids): (i64, IngestIds),
) -> Result<(), DatasetError> {
    let known = &*tracks;
    let identity = store.identity();
    let ask = |object: Object| async {
        let track = match known.get(&object.uri) {
            None => Some(of_bucket(store, object, now_ms).await?),
            Some(track) => {
                let is_copy = store.has_copy_of(&object, &layout.root().join(&object.uri)).await?;
                // A file does not say which call took it in; its object does.
                let is_asked = is_copy && ids == IngestIds::Ask;
                let ingest_id = if is_asked { store.labels(&object.uri).await?.and_then(ingest_id) } else { None };
                is_copy.then(|| Track { s3_object_key: Some(object.uri), ingest_id, ..track.clone() })
            }
        };
        Ok::<_, DatasetError>(track.map(|track| Track { s3_bucket: Some(identity.clone()), ..track }))
    };
    let found: Vec<Option<Track>> =
        block_on(futures::stream::iter(objects).map(ask).buffer_unordered(ASKED_AT_ONCE).try_collect())?;
    let (here, mut there): (Vec<Track>, Vec<Track>) =
        found.into_iter().flatten().partition(|track| track.path.is_some());
    tracks.extend(here.into_iter().map(|track| (track.key.clone(), track)));
    // The same recording may lie in the bucket under another name: the file here and the object are one.
    there.sort_by(|a, b| a.key.cmp(&b.key));
    let content = |track: &Track| (track.class.clone(), track.hash);
    let mut alone: HashMap<_, Vec<String>> = HashMap::new();
    for track in tracks.values().filter(|track| track.s3_object_key.is_none()) {
        alone.entry(content(track)).or_default().push(track.key.clone());
    }
    for object in there {
        match alone.remove(&content(&object)) {
            None => drop(tracks.insert(object.key.clone(), object)),
            Some(keys) => {
                for key in keys {
                    let of_object = (object.s3_object_key.clone(), object.s3_bucket.clone());
                    tracks.entry(key).and_modify(|track| (track.s3_object_key, track.s3_bucket) = of_object);
                }
            }
        }
    }
    Ok(())
}

/// The row of a file; nothing where it is no audio or gone.
fn track_of(key: String, path: &Path, now_ms: i64) -> Result<Option<Track>, DatasetError> {
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
    let ingest_id = ingest_id(labels);
    Ok(Track { path: None, s3_object_key, duration_s, ingest_id, ..row(object.uri, hash, object.size_bytes, now_ms) })
}

/// The call of `ecosight ingest` that an object's labels name.
fn ingest_id(mut labels: Labels) -> Option<String> {
    labels.metadata.remove(INGEST_ID)
}

fn row(key: String, hash: ContentHash, size_bytes: u64, now_ms: i64) -> Track {
    Track {
        id: ClipId::of_file(&hash),
        class: class_of(&key).map(|class| class.to_string()).unwrap_or_default(),
        path: None,
        s3_object_key: None,
        s3_bucket: None,
        hash,
        size_bytes,
        duration_s: None,
        status: Status::Stored,
        created_ms: accepted_ms(&key).unwrap_or(now_ms),
        updated_ms: now_ms,
        ingest_id: None,
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

//! What the index, the data root and the bucket say differently. Nothing of it is garbage: a recording is never removed.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::audio::AUDIO_EXTENSIONS;
use ecosight_datasets::layout::{Area, AudioKey};
use ecosight_datasets::store::Store;
use ecosight_datasets::tracks::{Status, Tracks};

use super::find::Place;
use super::{Garbage, Item};
use crate::cli::error::CliError;
use crate::cli::session::Globals;

/// What makes the index right again.
const REINDEX: &str = "`ecosight storage reindex` mends it";

/// What is done with a file that the index does not know.
const TAKE: &str = "`ecosight storage reindex` takes it if it can be decoded; what it leaves is yours to remove";

/// What moves a recording to its right name.
const FIX_KEYS: &str = "`ecosight storage fix-keys` gives it a better name, or says what to do";

/// Rows without their file or object, and files and objects without a row. Nothing where there is no index.
pub(super) async fn strays(place: &Place<'_>, globals: &Globals) -> Result<Vec<Item>, CliError> {
    let Some(tracks) = Tracks::find(&globals.layout)? else { return Ok(Vec::new()) };
    let mut objects = BTreeMap::new();
    let identity = place.store.identity();
    let is_bucket = place.store.place().bucket().is_some();
    if is_bucket {
        let listed = place.store.list_below(Area::ExtractedAudio.name()).await?.objects;
        objects.extend(listed.into_iter().map(|object| (object.uri, object.size_bytes)));
    }
    let mut files = BTreeMap::new();
    if globals.layout.extracted_audio().is_dir() {
        let listed = Store::folder(globals.layout.root())?.list_below(Area::ExtractedAudio.name()).await?.objects;
        files.extend(listed.into_iter().map(|file| (file.uri, file.size_bytes)));
    }
    let mut found = Vec::new();
    let mut add = |name: &str, bytes: u64, kind: &'static str, why: &str, remedy: &str| {
        let why = format!("{why}; {remedy}");
        found.push(Item { name: name.to_owned(), bytes, kind, why, garbage: Garbage::Kept });
    };
    let mut known = BTreeSet::new();
    for track in tracks.all()? {
        known.extend([track.key.clone()].into_iter().chain(track.path.clone()).chain(track.s3_object_key.clone()));
        if track.status != Status::Stored {
            continue;
        }
        if track.path.as_ref().is_some_and(|path| !files.contains_key(path)) {
            let why = "the index names a file that is not in the data root";
            add(&track.key, track.size_bytes, "no_file", why, REINDEX);
        }
        let is_here = is_bucket && track.s3_bucket.as_ref().is_none_or(|bucket| *bucket == identity);
        if is_here && track.s3_object_key.as_ref().is_some_and(|key| !objects.contains_key(key)) {
            let why = "the index names an object that is not in the bucket";
            add(&track.key, track.size_bytes, "no_object", why, REINDEX);
        }
    }
    let is_unknown = |key: &&String| is_audio(key) && !known.contains(*key);
    for key in files.keys().filter(is_unknown) {
        let (kind, remedy) = remedy(key, ["unknown_file", "misplaced_file"]);
        add(key, files[key], kind, "it is in the data root, and the index does not know it", remedy);
    }
    for key in objects.keys().filter(is_unknown) {
        let (kind, remedy) = remedy(key, ["unknown_object", "misplaced_object"]);
        add(key, objects[key], kind, "it is in the bucket, and the index does not know it", remedy);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn is_audio(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| AUDIO_EXTENSIONS.contains(&ending.as_str()))
}

/// The index can learn what fits the layout; anything else needs another name first.
fn remedy(key: &str, kinds: [&'static str; 2]) -> (&'static str, &'static str) {
    if AudioKey::parse(key).is_some() { (kinds[0], TAKE) } else { (kinds[1], FIX_KEYS) }
}

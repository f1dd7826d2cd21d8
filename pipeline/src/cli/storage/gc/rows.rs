//! What the index, the data root and the bucket say differently. Nothing of it is garbage: a recording is never removed.

use std::collections::BTreeMap;

use ecosight_datasets::layout::Area;
use ecosight_datasets::tracks::{Status, Tracks};

use super::find::Place;
use super::{Garbage, Item};
use crate::cli::error::CliError;
use crate::cli::session::Globals;

/// What makes the index right again.
const REINDEX: &str = "`ecosight storage reindex` mends it";

/// Rows without their file or object, and objects without a row. Nothing where there is no index.
pub(super) async fn strays(place: &Place<'_>, globals: &Globals) -> Result<Vec<Item>, CliError> {
    let Some(tracks) = Tracks::find(&globals.layout)? else { return Ok(Vec::new()) };
    let mut objects = BTreeMap::new();
    let is_bucket = place.store.place().bucket().is_some();
    if is_bucket {
        let listed = place.store.list_below(Area::ExtractedAudio.name()).await?.objects;
        objects.extend(listed.into_iter().map(|object| (object.uri, object.size_bytes)));
    }
    let mut found = Vec::new();
    let mut add = |name: &str, bytes: u64, why: &str| {
        let why = format!("{why}; {REINDEX}");
        found.push(Item { name: name.to_owned(), bytes, why, garbage: Garbage::Kept });
    };
    for track in tracks.all()?.into_iter().filter(|track| track.status == Status::Stored) {
        let object = objects.remove(&track.key);
        let is_missing = |path: &String| !globals.layout.root().join(path).is_file();
        if track.path.as_ref().is_some_and(is_missing) {
            add(&track.key, track.size_bytes, "the index names a file that is not in the data root");
        }
        if is_bucket && track.s3_object_key.is_some() && object.is_none() {
            add(&track.key, track.size_bytes, "the index names an object that is not in the bucket");
        }
    }
    for (key, bytes) in objects {
        add(&key, bytes, "it is in the bucket, and the index does not know it");
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

//! Recordings among what is removed: they go on both sides, from the index, and are noted, so that they do not come back.

use std::collections::{BTreeMap, HashMap};

use ecosight_datasets::journal::Journal;
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{Area, AudioKey, Layout};
use ecosight_datasets::removals::{Removal, RemovalAction};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, Store};
use ecosight_datasets::tracks::{Track, Tracks};
use serde::Serialize;

use super::{Found, inside};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// The two sides that a recording may be on, and the index of this machine.
pub(super) struct Recordings<'a> {
    globals: &'a Globals,
    /// The store that is configured: the bucket, else the data root.
    store: &'a Store,
    /// The data root, where it is there and not the configured store itself.
    local: Option<Store>,
    tracks: Option<Tracks>,
    /// All rows of the index.
    rows: Vec<Track>,
    /// Their places in `rows`, by the names of files and objects.
    by_name: HashMap<String, usize>,
}

/// A recording whose removal was noted.
#[derive(Serialize)]
pub(super) struct Noted {
    class: String,
    blake3: String,
    key: String,
}

impl<'a> Recordings<'a> {
    /// Reads the index, where there is one.
    pub(super) fn open(store: &'a Store, globals: &'a Globals) -> Result<Self, CliError> {
        let root = globals.layout.root();
        let is_other = store.place().local().is_none() && root.is_dir();
        let local = if is_other { Some(Store::folder(root)?) } else { None };
        let tracks = if root.is_dir() { Tracks::find(&globals.layout)? } else { None };
        let rows = tracks.as_ref().map(Tracks::all).transpose()?.unwrap_or_default();
        let named = rows
            .iter()
            .enumerate()
            .flat_map(|(at, track)| track.s3_object_key.iter().chain([&track.key]).map(move |name| (name.clone(), at)));
        let by_name = named.collect();
        Ok(Self { globals, store, local, tracks, rows, by_name })
    }

    /// Adds recordings of the data root that `name` names.
    pub(super) fn add_local<'b>(&'b self, name: &str, recursive: bool, found: &mut Found<'b>) -> Result<(), CliError> {
        let Some(local) = self.local.as_ref().filter(|_| name.split('/').next() == Some(Area::ExtractedAudio.name()))
        else {
            return Ok(());
        };
        let objects = block_on(inside(local, name, recursive))?;
        let recordings = objects.into_iter().filter(|object| AudioKey::parse(&object.uri).is_some());
        found.extend(recordings.map(|object| (local.address(&object.uri), (local, object))));
        Ok(())
    }

    /// Adds what the call `id` of `ecosight ingest` stored.
    pub(super) fn add_ingest<'b>(&'b self, id: &str, found: &mut Found<'b>) -> Result<(), CliError> {
        let rows: Vec<&Track> = self.rows.iter().filter(|track| track.ingest_id.as_deref() == Some(id)).collect();
        if rows.is_empty() {
            let hint = "`ecosight ingest` prints the id of each call; `ecosight storage reindex` finds those of recordings in the bucket again";
            return Err(CliError::usage(format!("the index knows no recording of the ingest `{id}`"), hint));
        }
        rows.into_iter().try_for_each(|track| self.add_sides(track, found))
    }

    /// Adds the object of each file that was found, and the file of each object: they may have different names.
    pub(super) fn add_other_side<'b>(&'b self, found: &mut Found<'b>) -> Result<(), CliError> {
        let rows: Vec<&Track> = self.names(found).iter().filter_map(|name| self.row(name)).collect();
        rows.into_iter().try_for_each(|track| self.add_sides(track, found))
    }

    /// The row of the file or object of this name.
    fn row(&self, name: &str) -> Option<&Track> {
        self.by_name.get(name).map(|at| &self.rows[*at])
    }

    fn add_sides<'b>(&'b self, track: &Track, found: &mut Found<'b>) -> Result<(), CliError> {
        let is_here = track.s3_bucket.as_ref().is_none_or(|bucket| *bucket == self.store.identity());
        let object = track.s3_object_key.as_ref().filter(|_| is_here).map(|name| (self.store, name));
        let files = self.local.as_ref().unwrap_or(self.store);
        for (store, name) in object.into_iter().chain(track.path.as_ref().map(|path| (files, path))) {
            if let Some(object) = block_on(store.look(name))? {
                found.insert(store.address(&object.uri), (store, object));
            }
        }
        Ok(())
    }

    /// The names of recordings among what was found in the two sides.
    fn names(&self, found: &Found<'_>) -> Vec<String> {
        let of_sides = found.values().filter(|(store, _)| self.is_side(store));
        let names = of_sides.map(|(_, object)| object.uri.clone()).filter(|name| AudioKey::parse(name).is_some());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    }

    fn is_side(&self, store: &Store) -> bool {
        store.place() == self.store.place() || self.local.as_ref().is_some_and(|local| store.place() == local.place())
    }

    /// Notes the removal of each recording that was found, on both sides, and takes it out of the index.
    pub(super) fn note(&self, found: &Found<'_>, printer: &Printer) -> Result<Vec<Noted>, CliError> {
        let mut contents: BTreeMap<(String, String), (ContentHash, String)> = BTreeMap::new();
        for (store, object) in found.values().filter(|(store, _)| self.is_side(store)) {
            let Some(key) = AudioKey::parse(&object.uri) else { continue };
            let Some(hash) = self.hash(store, &object.uri)? else { continue };
            contents.insert((key.class().to_string(), hash.to_string()), (hash, object.uri.clone()));
        }
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        // Where there is no data root on this machine, the bucket alone remembers.
        let scratch = if self.globals.layout.root().is_dir() { None } else { Some(tempfile::tempdir()?) };
        let layout = scratch.as_ref().map_or_else(|| self.globals.layout.clone(), |folder| Layout::new(folder.path()));
        let is_bucket = matches!(self.store.place(), Place::Bucket(_));
        let exchange = || block_on(Journal::Removals.exchange(&layout, self.store));
        if is_bucket {
            self.tell(exchange(), printer);
        }
        let by = (self.globals.started, self.globals.user.as_deref());
        let mut noted = Vec::new();
        for ((class, blake3), (hash, key)) in contents {
            Removal::note(&layout, RemovalAction::Remove, by, (&key, &class, &hash))?;
            noted.push(Noted { class, blake3, key });
        }
        if is_bucket {
            self.tell(exchange(), printer);
        }
        if let Some(tracks) = &self.tracks {
            self.names(found).iter().try_for_each(|name| tracks.forget_recording(name))?;
        }
        Ok(noted)
    }

    /// The bucket may not be let remember by keys that were made before there was a journal.
    fn tell(&self, exchanged: Result<(), ecosight_datasets::DatasetError>, printer: &Printer) {
        if let Err(error) = exchanged {
            printer.warning(&format!(
                "`{}` could not be brought up to date, so copies of what is removed may be uploaded by other machines: {error}; \
                 `ecosight storage setup` lets the keys write there",
                self.store.address(&Journal::Removals.name())
            ));
        }
    }

    /// The hash of a recording: as the index knows it, as its object says, or of its content.
    fn hash(&self, store: &Store, name: &str) -> Result<Option<ContentHash>, CliError> {
        if let Some(track) = self.row(name) {
            return Ok(Some(track.hash));
        }
        let labels = block_on(store.labels(name))?.unwrap_or_default();
        if let Some(hash) = labels.metadata.get("blake3").and_then(|hash| hash.parse().ok()) {
            return Ok(Some(hash));
        }
        Ok(block_on(store.content_hash(name))?)
    }
}

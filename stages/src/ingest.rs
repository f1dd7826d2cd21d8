//! Taking recordings in, so that none is ever lost: what was answered as stored is on the disk, and ends in the bucket if there is one.
//!
//! A recording is checked before anything is written: it must be audio that decodes to its end. It is copied under a hidden name, synced, and
//! then gets its name, which no other file had; only then it is stored. An upload that fails stays in the outbox until one succeeds. Any number
//! of processes may do this in one data root at a time, and be killed while they do. The data root is not locked.

mod check;
mod preview;
mod reindex;
mod rules;
mod upload;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use chrono::{DateTime, Utc};
use ecosight_datasets::journal::Journal;
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{AudioKey, ClassName, Layout};
use ecosight_datasets::removals::{Removal, RemovalAction, Removals};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{PART_BYTES, Store};
use ecosight_datasets::tracks::{
    Age, Incoming, Placed, Reserved, Track, Tracks, Upload, is_held, put_original, remove_remains,
};
use ecosight_datasets::{DatasetError, DatasetErrorKind};

pub use check::Rejection;
pub use preview::{Preview, WouldBe};
pub use reindex::{Reindexed, survey};
pub use rules::{NewClass, Rules};
pub use upload::{Drained, Sent, Which};

/// An announcement whose file has not appeared after this long never will, milliseconds.
const FORGOTTEN_AFTER_MS: i64 = 24 * 3600 * 1000;

/// Takes recordings in, for one data root.
pub struct Ingest<'a> {
    layout: &'a Layout,
    rules: Rules,
    store: Option<Store>,
    clock: fn() -> DateTime<Utc>,
    tracks: Tracks,
    age: Age,
    /// Recordings that were removed, and do not come back unasked.
    removals: Removals,
    call: Call,
    rest: Mutex<upload::Rest>,
    /// What the bucket has of each class, as it was listed.
    listed: Mutex<upload::Listed>,
}

/// What all recordings of one call have in common.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Tells it from all other calls.
    pub id: Option<String>,
    /// Who runs it, where that is known.
    pub user: Option<String>,
    /// What happens to recordings that were removed.
    pub restore: Restore,
}

/// What happens to a recording that was removed and is brought again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restore {
    /// It is not taken in.
    #[default]
    No,
    /// It is taken in again, and its removal ends.
    Yes,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is stored.
    Stored(Receipt),
    /// The same bytes were stored before, under this class.
    AlreadyPresent(Receipt),
    /// It was removed on purpose, and nobody asks for it back.
    Removed(Removal),
    /// It is not taken.
    Rejected(Rejection),
}

/// What is known of a recording that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Its row.
    pub track: Track,
    /// Where the copy in the data root lies, if one is kept.
    pub local_path: Option<PathBuf>,
    /// What its owner may want to look at.
    pub warnings: Vec<String>,
}

impl Receipt {
    /// Whether the bucket has it, verified.
    pub fn is_in_bucket(&self) -> bool {
        self.track.s3_object_key.is_some()
    }
}

impl<'a> Ingest<'a> {
    /// Opens the index of a data root, and mends what killed processes have left. A new index learns what recordings are there.
    pub fn open(
        layout: &'a Layout,
        rules: Rules,
        store: Option<Store>,
        clock: fn() -> DateTime<Utc>,
    ) -> Result<Self, DatasetError> {
        let (tracks, age) = Tracks::open(layout)?;
        let mut rest = upload::Rest::default();
        if let Some(store) = &store {
            let begun = Instant::now();
            // Where the bucket does not answer, what this machine knows has to do; nothing can be uploaded then either.
            if let Err(error) = block_on(Journal::Removals.exchange(layout, store)) {
                rest = upload::Rest::after(error, begun.elapsed());
            }
        }
        let removals = Removals::read(layout)?;
        let (call, rest, listed) = (Call::default(), Mutex::new(rest), Mutex::default());
        let ingest = Self { layout, rules, store, clock, tracks, age, removals, call, rest, listed };
        if age == Age::New && layout.extracted_audio().is_dir() {
            ingest.reindex_folder()?;
        }
        ingest.mend()?;
        ingest.tracks.withdraw_removed(&ingest.removals, ingest.now_ms())?;
        Ok(ingest)
    }

    /// Takes recordings in for this call from now on.
    #[must_use]
    pub fn with_call(self, call: Call) -> Self {
        Self { call, ..self }
    }

    /// The table of tracks and the outbox.
    pub fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    /// Whether recordings go to a bucket as well.
    pub fn has_bucket(&self) -> bool {
        self.store.is_some()
    }

    /// Takes in the file at `path`, which its owner calls `name`.
    ///
    /// An error means that this machine, not the file, is at fault; the recording is then not stored, and the next try goes on from there.
    pub fn accept(&self, path: &Path, name: &str, class: &ClassName) -> Result<Answer, DatasetError> {
        let checked = match check::check(path, self.rules.max_bytes(), |hash| self.present(class, hash)) {
            Err(rejection) => return Ok(Answer::Rejected(rejection)),
            Ok(checked) => checked,
        };
        let removal = self.removals.find(checked.hash(), class.as_str());
        if let Some(removal) = removal.filter(|_| self.call.restore == Restore::No) {
            return Ok(Answer::Removed(removal.clone()));
        }
        if let Some(removal) = removal {
            self.restore(removal, checked.hash())?;
        }
        let sound = match checked {
            check::Checked::Present(track) => return self.again(&track),
            check::Checked::Sound(sound) => sound,
        };
        let now = (self.clock)();
        let incoming = Incoming {
            class,
            hash: sound.hash,
            size_bytes: sound.size_bytes,
            duration_s: sound.duration_s,
            keys: keys(class, now, name, &sound, self.store.is_some()),
            now_ms: now.timestamp_millis(),
            ingest_id: self.call.id.as_deref(),
        };
        let (reserved, others) = self.tracks.reserve(&incoming)?;
        let track = match reserved {
            Reserved::Present(track) if self.is_there(&track) => return self.again(&track),
            // It is gone: it comes back under its key.
            Reserved::Present(track) => {
                if let Some(key) = &track.s3_object_key {
                    self.tracks.forget_object(key, self.now_ms())?;
                }
                track
            }
            Reserved::Announced(track) => track,
        };
        let [_, with_hash] = incoming.keys;
        let Some((track, held)) = self.place(track, sound.file, &with_hash)? else {
            return Ok(Answer::Rejected(Rejection::changed(path)));
        };
        let is_first = self.tracks.complete(&track, self.upload(), self.now_ms())?;
        drop(held);
        let mut warnings = sound.warnings;
        warnings.extend(others.iter().map(|other| {
            format!("the same recording is also filed under `{other}`; one under two classes is not used for training")
        }));
        let receipt = self.receipt(&track.key, warnings)?;
        Ok(if is_first { Answer::Stored(receipt) } else { Answer::AlreadyPresent(receipt) })
    }

    /// Ends the removal of a recording, here and, as far as it answers, in the bucket.
    fn restore(&self, removal: &Removal, hash: &ContentHash) -> Result<(), DatasetError> {
        let by = ((self.clock)(), self.call.user.as_deref());
        Removal::note(self.layout, RemovalAction::Restore, by, (&removal.key, &removal.class, hash))?;
        if let Some(store) = &self.store {
            let _ = block_on(Journal::Removals.exchange(self.layout, store));
        }
        Ok(())
    }

    /// Puts the file where the row of `track` says, or elsewhere where another file has that name. Nothing where it has changed since it was checked.
    fn place(
        &self,
        mut track: Track,
        mut file: File,
        with_hash: &str,
    ) -> Result<Option<(Track, Option<File>)>, DatasetError> {
        for _ in 0..2 {
            let path = self.layout.root().join(&track.key);
            let rewound = file.seek(SeekFrom::Start(0)).map_err(DatasetError::at("read file", &path));
            match rewound.and_then(|_| put_original(&path, &mut file, &track.hash)) {
                Ok(Placed::New(held)) => return Ok(Some((track, Some(held)))),
                Ok(Placed::Same) => return Ok(Some((track, None))),
                Ok(Placed::Changed) => {
                    self.tracks.forget_announced(&track.key)?;
                    return Ok(None);
                }
                Ok(Placed::Taken) => {
                    self.tracks.rekey(&track, with_hash, self.now_ms())?;
                    with_hash.clone_into(&mut track.key);
                }
                Err(error) => {
                    // Where even this fails, it is forgotten after a day.
                    let _ = self.tracks.forget_announced(&track.key);
                    return Err(error);
                }
            }
        }
        Err(DatasetError::new("write recording", track.key, DatasetErrorKind::Conflict))
    }

    /// The answer for bytes that are stored.
    fn again(&self, track: &Track) -> Result<Answer, DatasetError> {
        if let Some(store) = &self.store {
            // Somebody may have removed the object, or this is another bucket.
            let is_elsewhere = track.s3_bucket.as_ref().is_some_and(|bucket| *bucket != store.identity());
            let is_gone = |key: &&String| is_elsewhere || matches!(block_on(store.look(key)), Ok(None));
            let gone = track.s3_object_key.as_ref().filter(is_gone);
            if let Some(key) = gone {
                self.tracks.forget_object(key, self.now_ms())?;
            }
            if gone.is_some() || track.s3_object_key.is_none() {
                self.tracks.complete(track, Upload::Wanted, self.now_ms())?;
            }
        }
        self.receipt(&track.key, Vec::new()).map(Answer::AlreadyPresent)
    }

    /// Tries to upload what waits under `key`, and tells where it is now.
    fn receipt(&self, key: &str, warnings: Vec<String>) -> Result<Receipt, DatasetError> {
        let key = self.try_now(key)?;
        let track = self.tracks.track(&key)?;
        let track = track.ok_or_else(|| DatasetError::invalid("find recording", key, "its row is gone"))?;
        let local_path = track.path.as_ref().map(|path| self.layout.root().join(path));
        Ok(Receipt { track, local_path, warnings })
    }

    /// The row of a recording that is stored, file and all.
    fn present(&self, class: &ClassName, hash: &ContentHash) -> Result<Option<Track>, DatasetError> {
        Ok(self.tracks.present(class, hash)?.filter(|track| self.is_there(track)))
    }

    /// Whether what the row says is so.
    fn is_there(&self, track: &Track) -> bool {
        let is_whole = |path: &String| {
            let meta = self.layout.root().join(path).metadata();
            meta.is_ok_and(|meta| meta.is_file() && meta.len() == track.size_bytes)
        };
        track.path.as_ref().is_some_and(is_whole) || self.has_object(track)
    }

    /// Whether the bucket has it. Where that cannot be asked it does not count: what is stored twice harms nobody.
    fn has_object(&self, track: &Track) -> bool {
        let (Some(key), Some(store)) = (&track.s3_object_key, &self.store) else { return false };
        matches!(block_on(store.look(key)), Ok(Some(object)) if object.size_bytes == track.size_bytes)
    }

    /// Confirms files that appeared before their process was killed, and removes what never became one.
    fn mend(&self) -> Result<(), DatasetError> {
        let mut last_folder = None;
        for track in self.tracks.receiving()? {
            let path = self.layout.root().join(&track.key);
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            if last_folder.as_ref() != Some(&folder) {
                remove_remains(&folder)?;
                last_folder = Some(folder);
            }
            if is_held(&path) {
                continue;
            }
            let hash = File::open(&path).and_then(ContentHash::of_reader);
            if hash.is_ok_and(|hash| hash == track.hash) {
                self.tracks.complete(&track, self.upload(), self.now_ms())?;
            } else if track.created_ms < self.now_ms() - FORGOTTEN_AFTER_MS {
                self.tracks.forget_announced(&track.key)?;
            }
        }
        Ok(())
    }

    fn upload(&self) -> Upload {
        if self.store.is_some() { Upload::Wanted } else { Upload::None }
    }

    fn now_ms(&self) -> i64 {
        (self.clock)().timestamp_millis()
    }
}

/// The keys that a recording may have which is taken in now, the preferred one first.
fn keys(class: &ClassName, now: DateTime<Utc>, name: &str, sound: &check::Sound, has_bucket: bool) -> [String; 2] {
    let time = now.format("%Y%m%d_%H%M%S").to_string();
    let name = check::named(name, sound.container);
    let key = |hash: Option<&ContentHash>| AudioKey::new(class, &time, &name, hash).to_string();
    // What is sent in parts cannot be created under a condition: its name tells its content, so that no other machine uses it.
    let is_large = has_bucket && sound.size_bytes > PART_BYTES as u64;
    [key(if is_large { Some(&sound.hash) } else { None }), key(Some(&sound.hash))]
}

/// Why the file at `path` would not be taken in, whatever its class; nothing where it would be.
pub fn refusal(path: &Path, rules: &Rules) -> Option<Rejection> {
    check::check(path, rules.max_bytes(), |_| Ok(None)).err()
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;

//! From the outbox to the bucket.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ecosight_datasets::audio::{Container, sniff};
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{Area, AudioKey};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Labels, Store, Trouble, Twins, without_markup};
use ecosight_datasets::tracks::{InBucket, LocalCopy, Placed, Track, Waiting, put_original};
use ecosight_datasets::{DatasetError, DatasetErrorKind};

use super::{Ingest, Restore};

/// The metadata of an object that names the call of `ecosight ingest` which took the recording in.
pub(super) const INGEST_ID: &str = "ingest-id";

/// Failures of the server in a row after which the others are not even tried.
const FAILURES_IN_A_ROW: u32 = 3;

/// The shortest and the longest rest after failures, for a process that goes on taking recordings in.
const RESTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A rest is at least so many times as long as the failure took, so that a server that accepts connections and never answers costs one
/// timeout, not one for each recording.
const REST_PER_FAILURE: u32 = 20;

/// Recordings of the outbox that are uploaded side by side.
const AT_ONCE: usize = 8;

/// Bytes of an error that are kept.
const ERROR_BYTES: usize = 600;

/// How long the list of a class is good. What another machine uploads meanwhile may be stored twice; `ecosight storage gc` finds that.
const LISTED_FOR: Duration = Duration::from_mins(5);

/// Classes of the bucket, each as it was listed and when.
pub(super) type Listed = HashMap<String, (Instant, Arc<Twins>)>;

/// What came of one upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the bucket, verified.
    Done,
    /// Another process has it in hand.
    Busy,
    /// It stays in the outbox.
    Failed {
        /// Why, for people.
        error: String,
        /// The same in one word.
        trouble: &'static str,
    },
}

impl Sent {
    /// Whether the server is at fault, so that the next upload would end the same way.
    fn is_about_server(&self) -> bool {
        // A refusal may be about one class or one recording.
        matches!(self, Self::Failed { trouble, .. } if Trouble::of_code(trouble).is_some_and(|trouble| trouble != Trouble::Forbidden))
    }
}

/// What of the outbox is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What has rested long enough since it failed.
    Due,
    /// All of it.
    All,
}

/// What came of going through the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Uploads that succeeded.
    pub uploaded: u64,
    /// Uploads that failed.
    pub failed: u64,
    /// What other processes have in hand.
    pub busy: u64,
    /// The last failure: what, and in one word.
    pub last: Option<(String, &'static str)>,
}

impl Drained {
    fn add(&mut self, sent: Sent) {
        match sent {
            Sent::Done => self.uploaded += 1,
            Sent::Busy => self.busy += 1,
            Sent::Failed { error, trouble } => {
                self.failed += 1;
                self.last = Some((error, trouble));
            }
        }
    }
}

/// When the bucket is bothered again after it failed.
#[derive(Debug, Default)]
pub(super) struct Rest {
    until: Option<Instant>,
    failures: u32,
    /// How the first request of the call failed, and how long it took: the first upload fails alike, without another request.
    first: Option<(DatasetError, Duration)>,
}

impl Rest {
    /// After a first request that failed with `error` and took so long; none where the server has answered.
    pub(super) fn after(error: DatasetError, took: Duration) -> Self {
        let is_about_server = Trouble::of(&error).is_some_and(|trouble| trouble != Trouble::Forbidden);
        Self { first: is_about_server.then_some((error, took)), ..Self::default() }
    }
}

impl Ingest<'_> {
    /// Uploads what waits under `key`, unless the bucket has just failed; the key it has afterwards.
    pub(super) fn try_now(&self, key: &str) -> Result<String, DatasetError> {
        let Some(store) = &self.store else { return Ok(key.to_owned()) };
        let first = self.rest.lock().expect("nobody panics while holding it").first.take();
        if first.is_none() && self.is_resting() {
            return Ok(key.to_owned());
        }
        let Some(waiting) = self.tracks.waiting(key)? else { return Ok(key.to_owned()) };
        let begun = Instant::now();
        let (sent, key) = match &first {
            Some((error, _)) => self.failed(&waiting, error)?,
            None => self.send(store, &waiting)?,
        };
        let took = first.map_or_else(|| begun.elapsed(), |(_, took)| took);
        let mut rest = self.rest.lock().expect("nobody panics while holding it");
        if sent.is_about_server() {
            let pause = (RESTS.0 * (1 << rest.failures.min(10))).min(RESTS.1);
            rest.failures += 1;
            rest.until = Some(Instant::now() + pause.max(took * REST_PER_FAILURE));
        } else {
            *rest = Rest::default();
        }
        Ok(key)
    }

    fn is_resting(&self) -> bool {
        let rest = self.rest.lock().expect("nobody panics while holding it");
        rest.first.is_some() || rest.until.is_some_and(|until| Instant::now() < until)
    }

    /// Goes through the outbox in order, a few side by side, until `most` were tried or `stop` says so; `each` hears what came of each. What is
    /// [due](Which::Due) waits while the bucket rests because it has just failed.
    pub fn drain(
        &self,
        which: Which,
        most: usize,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&Waiting, &Sent),
    ) -> Result<Drained, DatasetError> {
        let mut drained = Drained::default();
        let Some(store) = &self.store else { return Ok(drained) };
        if which == Which::Due && self.is_resting() {
            return Ok(drained);
        }
        let (mut position, mut in_a_row, mut tried) = (0, 0, 0);
        while tried < most && !stop() {
            let now_ms = if which == Which::All { i64::MAX } else { self.now_ms() };
            // Whether the bucket answers at all is found out with one.
            let at_once = if tried == 0 { 1 } else { AT_ONCE.min(most - tried) };
            let batch = self.tracks.due(position, now_ms, at_once)?;
            let Some(last) = batch.last() else { break };
            position = last.position;
            tried += batch.len();
            for (waiting, sent) in batch.iter().zip(self.send_all(store, &batch)?) {
                each(waiting, &sent);
                in_a_row = if sent.is_about_server() { in_a_row + 1 } else { 0 };
                drained.add(sent);
            }
            if in_a_row >= FAILURES_IN_A_ROW || (in_a_row > 0 && (which == Which::Due || tried == 1)) {
                break;
            }
        }
        Ok(drained)
    }

    /// Uploads some recordings side by side; what came of each.
    fn send_all(&self, store: &Store, batch: &[Waiting]) -> Result<Vec<Sent>, DatasetError> {
        std::thread::scope(|scope| {
            let send = |waiting| scope.spawn(move || self.send(store, waiting));
            let threads: Vec<_> = batch.iter().map(send).collect();
            let sent = |thread: std::thread::ScopedJoinHandle<'_, Result<(Sent, String), DatasetError>>| {
                thread.join().expect("an upload does not panic").map(|(sent, _)| sent)
            };
            threads.into_iter().map(sent).collect()
        })
    }

    /// Uploads one recording and takes it off the outbox; the key it has afterwards. The file is locked meanwhile, so that no other process
    /// uploads the same, and is free again should this one be killed.
    fn send(&self, store: &Store, waiting: &Waiting) -> Result<(Sent, String), DatasetError> {
        let path = self.layout.root().join(&waiting.key);
        let Some(track) = self.tracks.track(&waiting.key)? else { return Ok((Sent::Busy, waiting.key.clone())) };
        if self.removals.find(&track.hash, &track.class).is_some() && self.call.restore == Restore::No {
            self.tracks.withdraw_removed(&self.removals, self.now_ms())?;
            return Ok((Sent::Busy, waiting.key.clone()));
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return self.failed(waiting, &DatasetError::new("open", path.display().to_string(), error)),
        };
        // Without locks two may upload the same, which does no harm: an object is created once.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || self.tracks.waiting(&waiting.key)?.is_none() {
            return Ok((Sent::Busy, waiting.key.clone()));
        }
        let labels = match labels(&file, &track) {
            Ok(labels) => labels,
            Err(error) => return self.failed(waiting, &error),
        };
        match self.twin(store, &track) {
            Ok(Some(name)) => return self.arrived(store, &waiting.key, &name),
            Ok(None) => {}
            Err(error) => return self.failed(waiting, &error),
        }
        match block_on(store.upload_new(&path, &waiting.key, &labels, &|_| ())) {
            Ok(_) => self.arrived(store, &waiting.key, &waiting.key),
            Err(error) if matches!(error.kind, DatasetErrorKind::Conflict) => {
                let Some(key) = self.give_way(&track)? else { return self.failed(waiting, &error) };
                let path = self.layout.root().join(&key);
                match block_on(store.upload_new(&path, &key, &labels, &|_| ())) {
                    Ok(_) => self.arrived(store, &key, &key),
                    Err(error) => self.failed(&Waiting { key, ..waiting.clone() }, &error),
                }
            }
            Err(error) => self.failed(waiting, &error),
        }
    }

    /// The object with the same content, in the same class, that another machine has put there.
    fn twin(&self, store: &Store, track: &Track) -> Result<Option<String>, DatasetError> {
        let twins = self.twins(store, &track.class)?;
        let Some(found) = twins.find(&track.key, &self.layout.root().join(&track.key))? else { return Ok(None) };
        // It may have gone since it was listed.
        let there = block_on(store.look(&found.uri))?;
        Ok(there.filter(|there| there.etag == found.etag).map(|there| there.uri))
    }

    /// What the bucket has of a class, listed now or a while ago.
    fn twins(&self, store: &Store, class: &str) -> Result<Arc<Twins>, DatasetError> {
        let mut listed = self.listed.lock().expect("nobody panics while holding it");
        if let Some((_, twins)) = listed.get(class).filter(|(at, _)| at.elapsed() < LISTED_FOR) {
            return Ok(twins.clone());
        }
        let twins = match block_on(store.list_below(&Area::ExtractedAudio.key(class))) {
            Ok(found) => Arc::new(Twins::of(&found.objects)),
            // Who may not list can still upload.
            Err(error) if Trouble::of(&error).is_none_or(|trouble| trouble == Trouble::Forbidden) => Arc::default(),
            Err(error) => return Err(error),
        };
        listed.insert(class.to_owned(), (Instant::now(), twins.clone()));
        Ok(twins)
    }

    /// The bucket has what lies under `key`, as `name`; the key it has afterwards.
    fn arrived(&self, store: &Store, key: &str, name: &str) -> Result<(Sent, String), DatasetError> {
        let copy = if self.rules.keep_local { LocalCopy::Kept } else { LocalCopy::Dropped };
        self.tracks.uploaded(key, &InBucket { bucket: &store.identity(), name }, copy, self.now_ms())?;
        if copy == LocalCopy::Kept {
            return Ok((Sent::Done, key.to_owned()));
        }
        let path = self.layout.root().join(key);
        fs::remove_file(&path).map_err(DatasetError::at("remove", &path))?;
        Ok((Sent::Done, name.to_owned()))
    }

    fn failed(&self, waiting: &Waiting, error: &DatasetError) -> Result<(Sent, String), DatasetError> {
        let trouble = match (&error.kind, Trouble::of(error)) {
            (_, Some(trouble)) => trouble.code(),
            (DatasetErrorKind::Io(_), None) => "local_file",
            (DatasetErrorKind::Conflict, None) => "conflict",
            _ => "other",
        };
        let error = told(error);
        self.tracks.failed(waiting, &error, trouble, self.now_ms())?;
        Ok((Sent::Failed { error, trouble }, waiting.key.clone()))
    }

    /// Gives a recording a name with its hash, because the bucket has another one under the name that it had. Nothing where it has such a name.
    fn give_way(&self, track: &Track) -> Result<Option<String>, DatasetError> {
        let Some(old) = AudioKey::parse(&track.key) else { return Ok(None) };
        let (time, name) = old.file().split_at(15);
        let new = AudioKey::new(old.class(), time, &name[1..], Some(&track.hash)).to_string();
        if track.key.contains(&track.hash.to_string()[..8]) {
            return Ok(None);
        }
        let [from, to] = [&track.key, &new].map(|key| self.layout.root().join(key));
        let mut source = File::open(&from).map_err(DatasetError::at("read file", &from))?;
        let held = match put_original(&to, &mut source, &track.hash)? {
            Placed::New(held) => Some(held),
            Placed::Same => None,
            Placed::Taken | Placed::Changed => return Ok(None),
        };
        self.tracks.rekey(track, &new, self.now_ms())?;
        drop(held);
        fs::remove_file(&from).map_err(DatasetError::at("remove", &from))?;
        Ok(Some(new))
    }
}

/// An error with its causes, on one line.
fn told(error: &DatasetError) -> String {
    let first: &(dyn Error + 'static) = error;
    let mut texts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(first), |error| (*error).source()) {
        let text = without_markup(&cause.to_string());
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    let text = texts.join(": ").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = text.len().min(ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What is said of a recording in the bucket; fails where the file is not what was accepted.
fn labels(file: &File, track: &Track) -> Result<Labels, DatasetError> {
    let failed = |error: std::io::Error| DatasetError::new("read", &track.key, error);
    let mut file = file.try_clone().map_err(failed)?;
    let mut head = Vec::new();
    (&mut file).take(4096).read_to_end(&mut head).map_err(failed)?;
    let hash = ContentHash::of_reader(head.as_slice().chain(file)).map_err(failed)?;
    if hash != track.hash {
        let changed = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not what was taken in");
        return Err(failed(changed));
    }
    let mut metadata =
        BTreeMap::from([("blake3".to_owned(), track.hash.to_string()), ("class".to_owned(), track.class.clone())]);
    metadata.extend(track.ingest_id.clone().map(|id| (INGEST_ID.to_owned(), id)));
    metadata.extend(track.duration_s.map(|duration_s| ("duration-s".to_owned(), format!("{duration_s:.3}"))));
    Ok(Labels { content_type: sniff(&head).and_then(content_type).map(str::to_owned), metadata })
}

fn content_type(container: Container) -> Option<&'static str> {
    match container {
        Container::Wav => Some("audio/wav"),
        Container::Flac => Some("audio/flac"),
        Container::Mp3 => Some("audio/mpeg"),
        Container::Ogg => Some("audio/ogg"),
        Container::Mp4 => Some("audio/mp4"),
        Container::Aac => Some("audio/aac"),
        Container::Aiff => Some("audio/aiff"),
        _ => None,
    }
}

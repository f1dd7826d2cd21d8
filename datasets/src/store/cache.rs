//! Audio from buckets, kept on this machine so that it is fetched once: files named by a hash of address and entity tag.
//!
//! When they take too much space, those are removed that this process has not used, the least recently used first. What it has used stays, and
//! if there is no room beside that, what is fetched is read and not kept. A run reads its source several times in the same order; if the source
//! is larger than the cache, removing the least recently used files would remove each shortly before it is read again, so that nothing would
//! ever be found. This way the part that fits is found in each pass.
//!
//! Several processes may share it. A file that is removed while somebody reads it stays readable to its reader.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::DatasetError;
use crate::files::{folder_of, temporary_in};
use crate::key::KeyHasher;

/// Bytes that the cache holds where nobody says otherwise.
pub const DEFAULT_LIMIT_BYTES: u64 = 2_000_000_000;

/// A file that is being fetched for longer than this was left behind by a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// By so much the times that a file system gives to files may be behind the clock.
const CLOCK_TICK: Duration = Duration::from_secs(1);

/// A folder of fetched files.
#[derive(Debug)]
pub struct AudioCache {
    folder: PathBuf,
    limit_bytes: u64,
    /// What was used later than this was used by this process, or by another one at the same time.
    since: SystemTime,
    /// Bytes in the folder; not known before the first file is added.
    held: Mutex<Option<u64>>,
    /// Whether all that is held was used by this process.
    is_settled: AtomicBool,
    /// Files that are being fetched, so that none is fetched twice at a time.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a fetched file was when it was fetched.
pub(super) struct CacheKey(String);

impl CacheKey {
    /// The key of the object at `address` with this tag and size.
    pub(super) fn new(address: &str, etag: &str, size_bytes: u64) -> Self {
        Self(KeyHasher::new("audio cache").str(address).str(etag).u64(size_bytes).finish().to_string())
    }
}

impl AudioCache {
    /// The cache in `folder`, of at most `limit_bytes`. Nothing is created yet.
    pub fn new(folder: PathBuf, limit_bytes: u64) -> Self {
        let (held, is_settled) = (Mutex::new(None), AtomicBool::new(false));
        let since = now() - CLOCK_TICK;
        Self { folder, limit_bytes, since, held, is_settled, fetching: Mutex::default() }
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.folder.join(&key.0[..2]).join(&key.0)
    }

    /// The file with this key, if it is there with this size; it counts as just used.
    pub(super) fn find(&self, key: &CacheKey, size_bytes: u64) -> Option<File> {
        let file = File::open(self.path(key)).ok()?;
        if file.metadata().ok()?.len() != size_bytes {
            return None;
        }
        // Where its time cannot be set it is merely removed earlier.
        let _ = file.set_modified(now());
        Some(file)
    }

    /// Removes the file with this key, if it is there.
    pub(super) fn forget(&self, key: &CacheKey) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whose turn it is to fetch the file with this key.
    pub(super) fn turn(&self, key: &CacheKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().expect("nobody panics while holding it");
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        fetching.entry(key.0.clone()).or_default().clone()
    }

    /// A file to be written and then [added](Self::add).
    pub(super) fn begin(&self, key: &CacheKey) -> std::io::Result<tempfile::NamedTempFile> {
        let path = self.path(key);
        let folder = folder_of(&path);
        fs::create_dir_all(folder)?;
        temporary_in(folder)
    }

    /// Adds a whole file, and removes others if there is no room for it; if there is none then, it is not kept, and gone once it was read. Not
    /// synced: after a crash it is fetched again.
    pub(super) fn add(&self, key: &CacheKey, file: tempfile::NamedTempFile) -> std::io::Result<File> {
        let added = file.as_file().metadata()?.len();
        let mut held = self.held.lock().expect("nobody panics while holding it");
        // Another process may add files as well; what both hold too much is removed when this one looks the next time.
        let mut there = held.unwrap_or_else(|| self.files().iter().map(|kept| kept.bytes).sum());
        if there + added > self.limit_bytes && !self.is_settled.load(Ordering::Relaxed) {
            there = self.evict(added);
        }
        if there + added > self.limit_bytes {
            *held = Some(there);
            return Ok(file.into_file());
        }
        let file = file.persist(self.path(key)).map_err(|error| error.error)?;
        *held = Some(there + added);
        Ok(file)
    }

    /// Removes files that this process has not used, the least recently used first, until there is room for `added` bytes and a tenth of the
    /// space; returns what is left.
    fn evict(&self, added: u64) -> u64 {
        let now = now();
        let is_abandoned = |kept: &Kept| now.duration_since(kept.used).is_ok_and(|age| age > ABANDONED_AFTER);
        // What is being fetched, here or by another process, must stay where it is.
        let mut files: Vec<Kept> =
            self.files().into_iter().filter(|kept| !kept.is_under_way || is_abandoned(kept)).collect();
        files.sort_by_key(|kept| (!kept.is_under_way, kept.used));
        let mut total: u64 = files.iter().map(|kept| kept.bytes).sum();
        let wanted = (self.limit_bytes / 10 * 9).saturating_sub(added);
        for kept in files {
            if !kept.is_under_way && total <= wanted {
                return total;
            }
            if !kept.is_under_way && kept.used >= self.since {
                break;
            }
            if fs::remove_file(&kept.path).is_ok() {
                total -= kept.bytes;
            }
        }
        // What is left was used since this process began, and the folder need not be looked through for each file that finds no room.
        self.is_settled.store(true, Ordering::Relaxed);
        total
    }

    fn files(&self) -> Vec<Kept> {
        let folders = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flatten().flatten();
        let kept = |entry: fs::DirEntry| {
            let meta = entry.metadata().ok()?;
            let is_under_way = entry.file_name().to_string_lossy().starts_with('.');
            Some(Kept { path: entry.path(), bytes: meta.len(), used: meta.modified().ok()?, is_under_way })
        };
        files.filter_map(kept).collect()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files().iter().map(|kept| kept.bytes).sum()
    }

    /// Removes all files.
    pub fn clear(&self) -> Result<(), DatasetError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DatasetError::new("remove folder", self.folder.display().to_string(), error))
            }
            _ => Ok(()),
        }
    }
}

/// A file of the cache.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    is_under_way: bool,
}

#[expect(clippy::disallowed_methods, reason = "the cache keeps what was used last; no result depends on it")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn key(number: u64) -> CacheKey {
        CacheKey::new("s3://bucket/a", "tag", number)
    }

    fn add(cache: &AudioCache, number: u64) -> File {
        let mut file = cache.begin(&key(number)).unwrap();
        file.write_all(&[0; 300]).unwrap();
        cache.add(&key(number), file).unwrap()
    }

    #[test]
    fn the_part_of_a_large_source_that_fits_is_found_in_every_pass() {
        use std::io::{Read, Seek};
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("audio");
        let pass = |cache: &AudioCache| {
            let mut fetched = 0;
            for number in 0..40 {
                if cache.find(&key(number), 300).is_none() {
                    fetched += 1;
                    let mut file = add(cache, number);
                    file.rewind().unwrap();
                    assert_eq!(file.read_to_end(&mut Vec::new()).unwrap(), 300, "it is read, kept or not");
                }
            }
            fetched
        };
        // A quarter of the source fits.
        let cache = AudioCache::new(folder.clone(), 3000);
        assert_eq!([pass(&cache), pass(&cache), pass(&cache)], [40, 30, 30]);
        assert_eq!(cache.bytes(), 3000);
        // The next process finds that part again, and with another source it makes room.
        let grow_older = || {
            for kept in cache.files() {
                let file = File::options().write(true).open(kept.path).unwrap();
                file.set_modified(now() - Duration::from_secs(100)).unwrap();
            }
        };
        grow_older();
        let next = AudioCache::new(folder.clone(), 3000);
        assert_eq!(pass(&next), 30);
        grow_older();
        let other = AudioCache::new(folder, 3000);
        add(&other, 100);
        assert!(other.find(&key(100), 300).is_some() && other.bytes() <= 3000);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = AudioCache::new(dir.path().join("audio"), 1000);
        let add = |number: u64| add(&cache, number);
        for number in 0..3 {
            let age = Duration::from_secs(100 - number);
            add(number).set_modified(now() - age).unwrap();
        }
        assert!(cache.find(&key(0), 300).is_some() && cache.find(&key(1), 299).is_none());
        add(3);
        let there: Vec<_> = (0..4).map(|number| cache.find(&key(number), 300).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
        assert_eq!(cache.bytes(), 900);
        cache.clear().unwrap();
        cache.clear().unwrap();
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn what_is_being_fetched_stays_and_what_a_killed_process_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = AudioCache::new(dir.path().join("audio"), 100);
        let (under_way, left) = (cache.begin(&key(1)).unwrap(), cache.begin(&key(2)).unwrap());
        let left = left.into_temp_path().keep().unwrap();
        File::options().write(true).open(&left).unwrap().set_modified(now() - ABANDONED_AFTER * 2).unwrap();
        let mut large = cache.begin(&key(3)).unwrap();
        large.write_all(&[0; 300]).unwrap();
        cache.add(&key(3), large).unwrap();
        assert!(under_way.path().exists() && !left.exists() && cache.find(&key(3), 300).is_none());
        assert!(cache.add(&key(1), under_way).is_ok());
    }
}

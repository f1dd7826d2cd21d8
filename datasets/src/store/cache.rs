//! Audio from buckets, kept on this machine so that it is fetched once: files named by a hash of address and entity tag, the least recently
//! used ones removed when they take too much space.
//!
//! Several processes may share it. A file that is removed while somebody reads it stays readable to its reader.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::DatasetError;
use crate::files::{folder_of, temporary_in};
use crate::key::KeyHasher;

/// Bytes that the cache holds where nobody says otherwise.
pub const DEFAULT_LIMIT_BYTES: u64 = 2_000_000_000;

/// A file that is being fetched for longer than this was left behind by a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// A folder of fetched files.
#[derive(Debug)]
pub struct AudioCache {
    folder: PathBuf,
    limit_bytes: u64,
    /// Bytes in the folder; not known before the first file is added.
    held: Mutex<Option<u64>>,
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
        Self { folder, limit_bytes, held: Mutex::new(None), fetching: Mutex::default() }
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

    /// Adds a whole file, and removes others if there are too many now. Not synced: after a crash it is fetched again.
    pub(super) fn add(&self, key: &CacheKey, file: tempfile::NamedTempFile) -> std::io::Result<File> {
        let added = file.as_file().metadata()?.len();
        let file = file.persist(self.path(key)).map_err(|error| error.error)?;
        let mut held = self.held.lock().expect("nobody panics while holding it");
        let total = held.map_or_else(|| self.files().iter().map(|kept| kept.bytes).sum(), |held| held + added);
        *held = Some(if total > self.limit_bytes { self.evict() } else { total });
        Ok(file)
    }

    /// Removes the files that were not used for longest until a tenth of the space is free; returns what is left.
    fn evict(&self) -> u64 {
        let now = now();
        let is_abandoned = |kept: &Kept| now.duration_since(kept.used).is_ok_and(|age| age > ABANDONED_AFTER);
        // What is being fetched, here or by another process, must stay where it is.
        let mut files: Vec<Kept> =
            self.files().into_iter().filter(|kept| !kept.is_under_way || is_abandoned(kept)).collect();
        files.sort_by_key(|kept| (!kept.is_under_way, kept.used));
        let mut total: u64 = files.iter().map(|kept| kept.bytes).sum();
        for kept in files {
            if !kept.is_under_way && total <= self.limit_bytes / 10 * 9 {
                break;
            }
            if fs::remove_file(&kept.path).is_ok() {
                total -= kept.bytes;
            }
        }
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

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = AudioCache::new(dir.path().join("audio"), 1000);
        let key = |number: u64| CacheKey::new("s3://bucket/a", "tag", number);
        let add = |number: u64| {
            let mut file = cache.begin(&key(number)).unwrap();
            file.write_all(&[0; 300]).unwrap();
            cache.add(&key(number), file).unwrap()
        };
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
        let key = |number: u64| CacheKey::new("s3://bucket/a", "tag", number);
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

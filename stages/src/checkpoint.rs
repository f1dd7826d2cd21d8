//! How far a long computation has come, on disk: a run that was cut off goes on from there.
//!
//! Format: the key of the computation, BLAKE3 of the rest, the rest. What belongs to another computation, or is damaged, does not count.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::{Key, KeyHasher};

/// Between two checkpoints: what a crash can cost at most, beside one epoch.
const EVERY: Duration = Duration::from_secs(2);

/// Length of a key as text.
const KEY_LEN: usize = 64;

/// The checkpoint of one computation.
pub(crate) struct Checkpoint {
    path: PathBuf,
    key: Key,
    last: Instant,
    problem: Option<DatasetError>,
}

impl Checkpoint {
    /// That of the computation `key`, in the file `path`.
    pub(crate) fn new(path: PathBuf, key: Key) -> Self {
        Self { path, key, last: Instant::now(), problem: None }
    }

    /// What an earlier run has left, if it was about the same computation.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let bytes = std::fs::read(&self.path).ok()?;
        let (head, rest) = bytes.split_at_checked(2 * KEY_LEN)?;
        (head == self.head(rest).as_bytes()).then(|| rest.to_vec())
    }

    /// Keeps what `bytes` makes, if it is time to, or `at_once`. A disk that refuses does not stop the computation.
    pub(crate) fn write(&mut self, at_once: bool, bytes: &dyn Fn() -> Vec<u8>) {
        if at_once || self.last.elapsed() >= EVERY {
            let bytes = bytes();
            let whole = [self.head(&bytes).as_bytes(), &bytes].concat();
            self.problem = write_atomic(&self.path, &whole).err();
            self.last = Instant::now();
        }
    }

    /// Why the last one could not be written.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.as_ref().map(|error| format!("{error}: {}", error.kind))
    }

    /// Removes it: the computation is done.
    pub(crate) fn remove(self) {
        // What stays is overwritten by the next computation, or ignored.
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    fn head(&self, bytes: &[u8]) -> String {
        format!("{}{}", self.key, KeyHasher::new("checkpoint").bytes(bytes).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_and_about_the_same_computation_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/checkpoint");
        let key = |n| KeyHasher::new("test").u64(n).finish();
        let mut first = Checkpoint::new(path.clone(), key(1));
        assert_eq!(first.read(), None);
        first.write(false, &|| b"too early".to_vec());
        assert_eq!(first.read(), None);
        first.write(true, &|| b"here".to_vec());
        assert_eq!(first.read(), Some(b"here".to_vec()));
        assert_eq!(Checkpoint::new(path.clone(), key(2)).read(), None);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(first.read(), None);
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(first.read(), None);
        first.remove();
        assert!(!path.exists() && dir.path().exists());
    }
}

//! One writer of a data root at a time: an OS file lock, free again the moment its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use ecosight_datasets::files::folder_of;

use super::files::is_temporary;

/// Held while `tables/` and `models/` are written.
#[derive(Debug)]
pub struct Lock {
    // Dropping the file frees the lock.
    _file: File,
}

/// The data root cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another run is writing this data root: {holder}")]
    Held {
        /// Process and start of the holder.
        holder: String,
    },
    /// The lock file cannot be written.
    #[error("lock `{}`", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it. `now` is the time to show to others.
    pub fn take(path: &Path, now: DateTime<Utc>) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io)?;
                return Err(LockError::Held { holder: with_age(holder.trim(), now) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let since = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {} on {} since {since}", std::process::id(), host())?;
            file.flush()
        };
        write(&mut file).map_err(io)?;
        sweep(folder_of(path));
        Ok(Self { _file: file })
    }
}

/// Removes what a holder that was killed had begun to write: temporary files beside those that they were to replace. One that cannot be
/// removed does no harm.
fn sweep(root: &Path) {
    let folders = ["", "index", "models"].map(|name| root.join(name));
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_temporary(path)) {
        let _ = std::fs::remove_file(&path);
    }
}

/// Name of this machine.
pub fn host() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned())
}

/// The holder, with how long ago it began.
fn with_age(holder: &str, now: DateTime<Utc>) -> String {
    let since = holder.rsplit(' ').next().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let Some(since) = since else { return holder.to_owned() };
    let seconds = now.signed_duration_since(since).num_seconds().max(0);
    let age = match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    };
    format!("{holder} ({age} ago)")
}

/// Who holds the lock at `path`, if anybody does. Nothing is created; a writer that comes in the very moment of asking is turned away.
pub fn holder(path: &Path) -> Result<Option<String>, LockError> {
    let io = |source| LockError::Io { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io)?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io)?;
            Ok(Some(holder.trim().to_owned()))
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_holder_had_begun_to_write_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("index")).unwrap();
        for name in [".last_run.json", ".abc.tmp", "index/.abc.tmp", "index/train.json"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
        let _lock = Lock::take(&dir.path().join(".lock"), noon).unwrap();
        let left = |name: &str| dir.path().join(name).exists();
        assert!(left(".last_run.json") && left("index/train.json"));
        assert!(!left(".abc.tmp") && !left("index/.abc.tmp"));
    }

    #[test]
    fn the_second_writer_is_told_who_the_first_is_and_may_start_once_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root/.lock");
        assert!(holder(&path).unwrap().is_none() && !path.exists());
        let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
        let first = Lock::take(&path, noon).unwrap();
        assert!(holder(&path).unwrap().is_some_and(|holder| holder.ends_with("since 2026-01-01T12:00:00Z")));
        let error = Lock::take(&path, noon + chrono::TimeDelta::minutes(5)).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} on {}", std::process::id(), host())), "{error}");
        assert!(error.ends_with("since 2026-01-01T12:00:00Z (5 min ago)"), "{error}");
        drop(first);
        assert_eq!(holder(&path).unwrap(), None);
        Lock::take(&path, noon).unwrap();
    }
}

//! Files that appear whole or not at all, and how to tell whether they are still what they were.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::key::ContentHash;

/// Writes `bytes` to `path` so that a reader (or a crash) sees either the old content or all of the new.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    let write = || -> std::io::Result<()> {
        let folder = folder_of(path);
        fs::create_dir_all(folder)?;
        let mut file = temporary_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        sync_folder(folder)
    };
    write().map_err(DatasetError::at("write file", path))
}

/// Opens a file that a person has named. Pipes, sockets and devices, whose reading may never end, are refused.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a pipe, a socket or a device, and no regular file"));
    }
    File::open(path)
}

/// The content of a file that a person has named; see [`open_regular`].
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The content of a text file that a person has named; see [`open_regular`].
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Puts the folder `staged` where `live` is (or will be), and removes what was there before.
///
/// Where the file system can exchange two names at once a reader sees the old folder or the new one. Elsewhere it can find `live`
/// missing for a moment between two renames, never mixed; a crash there leaves the old one beside `staged`, with the extension `old`.
pub fn replace_folder(staged: &Path, live: &Path) -> Result<(), DatasetError> {
    let replace = || -> std::io::Result<()> {
        let parent = folder_of(live);
        fs::create_dir_all(parent)?;
        if !live.exists() {
            fs::rename(staged, live)?;
            return sync_folder(parent);
        }
        if exchange(staged, live).is_err() {
            let old = staged.with_extension("old");
            fs::rename(live, &old)?;
            fs::rename(staged, live)?;
            fs::rename(old, staged)?;
        }
        sync_folder(parent)?;
        // `staged` is the old one now.
        fs::remove_dir_all(staged)
    };
    replace().map_err(DatasetError::at("replace folder", live))
}

/// Swaps two names in one step.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

/// Swaps two names in one step, which cannot be had here.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_a: &Path, _b: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Gives the file `from` the second name `to`; where the file system has no such links it is copied, with its time.
pub(crate) fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::hard_link(from, to).or_else(|_| {
        fs::copy(from, to)?;
        let copy = File::options().write(true).open(to)?;
        copy.set_modified(fs::metadata(from)?.modified()?)?;
        copy.sync_all()
    })
}

/// A file as it was when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Path below the data root, with `/` between its parts.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Time of the last change in nanoseconds since 1970.
    pub modified_ns: u64,
    /// Hash of the content.
    pub blake3: ContentHash,
}

/// What became of a file since it was stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has its size and time.
    Intact,
    /// It has another time, but its content, which was read to find out.
    Touched(FileStamp),
    /// It is gone.
    Missing,
    /// It is another one.
    Damaged,
}

impl FileStamp {
    /// The stamp of the file at `path` below `root` as it is now.
    pub fn take(root: &Path, path: &Path) -> Result<Self, DatasetError> {
        let stamp = || -> std::io::Result<Self> {
            let (bytes, modified_ns) = size_and_time(path)?;
            let blake3 = ContentHash::of_reader(File::open(path)?)?;
            let below = path.strip_prefix(root).unwrap_or(path);
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            Ok(Self { path: parts.join("/"), bytes, modified_ns, blake3 })
        };
        stamp().map_err(DatasetError::at("read file", path))
    }

    /// The stamp of the file at `path` whose content is known to have this hash; it has no path yet.
    pub(crate) fn of_known(path: &Path, blake3: ContentHash) -> Result<Self, DatasetError> {
        let (bytes, modified_ns) = size_and_time(path).map_err(DatasetError::at("read file", path))?;
        Ok(Self { path: String::new(), bytes, modified_ns, blake3 })
    }

    /// Looks what became of the file. Its content is read only where its time has changed.
    pub fn check(&self, root: &Path) -> Condition {
        match size_and_time(&root.join(&self.path)) {
            Err(_) => Condition::Missing,
            Ok((bytes, _)) if bytes != self.bytes => Condition::Damaged,
            Ok((_, modified_ns)) if modified_ns == self.modified_ns => Condition::Intact,
            Ok(_) => self.verify(root),
        }
    }

    /// Reads the file and compares its content.
    pub fn verify(&self, root: &Path) -> Condition {
        match Self::take(root, &root.join(&self.path)) {
            Err(_) => Condition::Missing,
            Ok(now) if now == *self => Condition::Intact,
            Ok(now) if now.blake3 == self.blake3 => Condition::Touched(now),
            Ok(_) => Condition::Damaged,
        }
    }
}

pub(crate) fn size_and_time(path: &Path) -> std::io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    let since = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((meta.len(), since.as_nanos() as u64))
}

/// The folder that `path` lies in; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file in `folder` that anybody may read whom the umask lets; by itself `tempfile` keeps others out.
pub(crate) fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Makes the names in `folder` durable.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_folder_holds_only_the_new_files() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, live) = (dir.path().join("staged"), dir.path().join("deep/live"));
        for name in ["first", "second"] {
            fs::create_dir_all(&staged).unwrap();
            write_atomic(&staged.join(name), b"x").unwrap();
            replace_folder(&staged, &live).unwrap();
        }
        let names: Vec<_> = fs::read_dir(&live).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["second"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_stamp_tells_a_touched_file_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/file");
        write_atomic(&path, b"content").unwrap();
        let stamp = FileStamp::take(dir.path(), &path).unwrap();
        assert_eq!((stamp.path.as_str(), stamp.check(dir.path())), ("deep/file", Condition::Intact));
        let later = fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(5);
        let touch = || File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        touch();
        assert!(
            matches!(stamp.check(dir.path()), Condition::Touched(now) if now.check(dir.path()) == Condition::Intact)
        );
        fs::write(&path, b"cOntent").unwrap();
        touch();
        assert_eq!(stamp.check(dir.path()), Condition::Damaged);
        fs::remove_file(&path).unwrap();
        assert_eq!(stamp.check(dir.path()), Condition::Missing);
    }
}

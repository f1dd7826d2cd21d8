//! Putting a recording where it belongs, whole and for good.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::DatasetError;
use crate::files::{folder_of, sync_folder};
use crate::key::ContentHash;

/// How the name of a recording that is not complete yet begins and ends. It is hidden, so that nobody takes it for a recording.
const UNFINISHED: (&str, &str) = (".ingest-", ".tmp");

/// What came of putting a recording somewhere.
#[derive(Debug)]
pub enum Placed {
    /// It is there now, locked until the file is dropped: who finds it unlocked but not confirmed knows that its process is gone.
    New(File),
    /// The same bytes were there.
    Same,
    /// Other bytes have that name.
    Taken,
    /// What was read now is not what was read before.
    Changed,
}

/// Copies what `source` gives to `path`, if it has this `hash` and nothing is there. Once that is answered, it survives the loss of power.
pub fn put_original(path: &Path, source: &mut impl Read, hash: &ContentHash) -> Result<Placed, DatasetError> {
    put(path, source, hash).map_err(DatasetError::at("write recording", path))
}

fn put(path: &Path, source: &mut impl Read, hash: &ContentHash) -> std::io::Result<Placed> {
    let folder = folder_of(path);
    make_folder(folder)?;
    if path.symlink_metadata().is_ok() {
        return there(path, hash);
    }
    let mut file = unfinished_in(folder)?;
    let mut reader = Tee { source, file: file.as_file_mut() };
    if ContentHash::of_reader(&mut reader)? != *hash {
        return Ok(Placed::Changed);
    }
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(file) => sync_folder(folder).map(|()| Placed::New(file)),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            drop(error.file);
            there(path, hash)
        }
        Err(error) => Err(error.error),
    }
}

/// Whether what is at `path` is the same; if so, its name is made durable, which whoever wrote it may not have come to.
fn there(path: &Path, hash: &ContentHash) -> std::io::Result<Placed> {
    if !path.is_file() || ContentHash::of_reader(File::open(path)?)? != *hash {
        return Ok(Placed::Taken);
    }
    sync_folder(folder_of(path)).map(|()| Placed::Same)
}

/// Makes `folder` and those above it durable.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    missing.iter().filter(|made| !made.as_os_str().is_empty()).try_for_each(|made| sync_folder(folder_of(made)))
}

/// A file that is locked as long as this process lives, and so told apart from what a process left that does not.
fn unfinished_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder)?;
        // Some network file systems have no locks; there, remains are told by their age alone.
        let _ = file.as_file().try_lock();
        // Before it was locked it looked like remains.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Gives what it reads to a file as well.
struct Tee<'a, R> {
    source: &'a mut R,
    file: &'a mut File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.file.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// Removes from `folder` what killed processes have left of recordings; how many others are at work there.
pub fn remove_remains(folder: &Path) -> Result<usize, DatasetError> {
    let mut at_work = 0;
    for path in unfinished(folder).map_err(DatasetError::at("list folder", folder))? {
        let remove = || match File::open(&path)?.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(1),
            Err(TryLockError::Error(_)) => Ok(0),
            Ok(()) => fs::remove_file(&path).map(|()| 0),
        };
        match remove() {
            Ok(count) => at_work += count,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(DatasetError::new("remove", path.display().to_string(), error)),
        }
    }
    Ok(at_work)
}

/// Whether another process holds the file at `path`.
pub fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn unfinished(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> ContentHash {
        ContentHash::of_reader(bytes).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_recording_appears_once_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("extracted_audio/dog");
        let path = folder.join("a.wav");
        let put = |bytes: &[u8], hash: &ContentHash| put_original(&path, &mut &bytes[..], hash).unwrap();
        assert!(matches!(put(b"one", &hash(b"two")), Placed::Changed));
        assert!(matches!(put(b"one", &hash(b"one")), Placed::New(_)));
        assert!(matches!(put(b"one", &hash(b"one")), Placed::Same));
        assert!(matches!(put(b"two", &hash(b"two")), Placed::Taken));
        assert_eq!((fs::read(&path).unwrap(), names(&folder)), (b"one".to_vec(), vec!["a.wav".to_owned()]));
    }

    #[test]
    fn remains_go_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".ingest-dead.tmp"), "half").unwrap();
        fs::write(dir.path().join(".other.tmp"), "of somebody else").unwrap();
        let alive = unfinished_in(dir.path()).unwrap();
        assert_eq!(remove_remains(dir.path()).unwrap(), 1);
        let mut expected =
            vec![".other.tmp".to_owned(), alive.path().file_name().unwrap().to_str().unwrap().to_owned()];
        expected.sort();
        assert_eq!(names(dir.path()), expected);
        drop(alive);
        assert_eq!(remove_remains(&dir.path().join("nowhere")).unwrap(), 0);
    }
}

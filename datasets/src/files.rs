//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::DatasetError;

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

/// Puts the folder `staged` where `live` is (or will be), and removes what was there before.
///
/// Between the two renames a reader can find `live` missing for a moment, never mixed; a crash there costs a recomputation.
pub fn replace_folder(staged: &Path, live: &Path) -> Result<(), DatasetError> {
    let replace = || -> std::io::Result<()> {
        let parent = folder_of(live);
        fs::create_dir_all(parent)?;
        let old = staged.with_extension("old");
        if live.exists() {
            fs::rename(live, &old)?;
        }
        fs::rename(staged, live)?;
        sync_folder(parent)?;
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    };
    replace().map_err(DatasetError::at("replace folder", live))
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
}

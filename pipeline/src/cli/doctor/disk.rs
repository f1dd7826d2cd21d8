//! Where things are written: whether that is allowed, and how much room there is.

use std::path::{Path, PathBuf};

use super::Finding;

/// Less is soon full: a clip with five variants takes about 40 kB of embeddings.
const ENOUGH_BYTES: u64 = 1 << 30;

/// Less does not hold a run.
const LEAST_BYTES: u64 = 100 << 20;

/// Whether files can be made below `root`, which is not created.
pub(in crate::cli) fn writable(root: &Path) -> Finding {
    const CHECK: &str = "data root";
    let shown = root.display();
    let Some(folder) = nearest(root) else {
        return Finding::fail(CHECK, format!("no folder above `{shown}` exists"), "name another: `--data-root DIR`");
    };
    if let Err(error) = tempfile::Builder::new().prefix(".doctor-").tempfile_in(&folder) {
        let found = format!("`{}` cannot be written: {error}", folder.display());
        return Finding::fail(CHECK, found, "check its permissions, or name another folder: `--data-root DIR`");
    }
    if root.is_dir() {
        Finding::ok(CHECK, format!("`{shown}` can be written"))
    } else {
        Finding::ok(CHECK, format!("`{shown}` does not exist yet; it can be made"))
    }
}

/// Whether the disk that `path` lies on, or will, has room; `setting` names another place.
pub(in crate::cli) fn space(check: &'static str, path: &Path, setting: &str) -> Finding {
    let Some(bytes) = nearest(path).and_then(|folder| free(&folder)) else {
        return Finding::ok(check, "how much is free cannot be found out on this system");
    };
    let found = format!("{} free at `{}`", size(bytes), path.display());
    let fix = format!("free some space, or name a folder on another disk: `{setting}`");
    match bytes {
        ENOUGH_BYTES.. => Finding::ok(check, found),
        LEAST_BYTES.. => Finding::warn(check, found, fix),
        _ => Finding::fail(check, found, fix),
    }
}

/// `path`, or the nearest above it that exists, as an absolute path. What stands in the way of a folder is found, too.
fn nearest(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|folder| folder.symlink_metadata().is_ok()).map(Path::to_owned)
}

/// Bytes that this user may still write.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

fn size(bytes: u64) -> String {
    if bytes < 10 << 30 { format!("{} MB", bytes >> 20) } else { format!("{} GB", bytes >> 30) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::finding::State;

    #[test]
    fn a_root_that_is_not_there_is_judged_by_the_folder_above_it_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("deep/er");
        assert_eq!(writable(&root).state, State::Ok);
        assert_eq!(nearest(&root).unwrap(), dir.path());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing stays behind");
    }

    #[test]
    fn a_file_in_the_way_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for root in [file.clone(), file.join("below")] {
            assert_eq!(writable(&root).state, State::Fail, "{}", root.display());
        }
    }

    #[test]
    fn sizes_are_in_the_unit_that_one_thinks_in() {
        assert_eq!((size(99 << 20), size(70 << 30)), ("99 MB".to_owned(), "70 GB".to_owned()));
    }
}

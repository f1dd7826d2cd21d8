//! Files and folders as they are found, without following symbolic links.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;

/// What a file or folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Files, links among them.
    pub(super) files: u64,
    /// Their size in bytes.
    pub(super) bytes: u64,
    /// Symbolic links.
    pub(super) links: u64,
}

/// Whether `path` is a folder itself, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// What lies in `folder`, in the order of the names.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(DatasetError::at("list folder", folder))?.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

/// Folders of runs or models, the oldest first. Their names begin with the second of their start; of two in one second the one whose
/// file `written` was written last is the newer.
pub(super) fn oldest_first(mut folders: Vec<PathBuf>, written: &str) -> Vec<PathBuf> {
    folders.sort_by_cached_key(|folder| {
        let name = name_of(folder);
        let second: String = name.chars().take("20260101-000000".len()).collect();
        let modified = folder.join(written).metadata().and_then(|meta| meta.modified());
        (second, modified.unwrap_or(SystemTime::UNIX_EPOCH), name)
    });
    folders
}

/// The size of everything at and below `path`.
pub(super) fn size_of(path: &Path) -> Result<Size, DatasetError> {
    let meta = path.symlink_metadata().map_err(DatasetError::at("look at", path))?;
    if !meta.is_dir() {
        return Ok(Size { files: 1, bytes: meta.len(), links: u64::from(meta.is_symlink()) });
    }
    let mut size = Size::default();
    for path in below(path)? {
        let Size { files, bytes, links } = size_of(&path)?;
        size = Size { files: size.files + files, bytes: size.bytes + bytes, links: size.links + links };
    }
    Ok(size)
}

/// Whether a file has the name of one that is being written: `.….tmp`.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = name_of(path);
    name.starts_with('.') && name.len() > 5 && path.extension().is_some_and(|extension| extension == "tmp")
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path below the data root, with `/` between its parts.
pub(super) fn relative(layout: &Layout, path: &Path) -> String {
    let below = path.strip_prefix(layout.root()).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_runs_in_one_second_the_one_that_wrote_last_is_the_newer() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["20260101-000000-ffff", "20260101-000000-0000", "20250101-000000-aaaa"];
        let start = SystemTime::UNIX_EPOCH;
        for (age, name) in names.iter().enumerate() {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let file = std::fs::File::create(folder.join("x")).unwrap();
            file.set_modified(start + std::time::Duration::from_secs(age as u64)).unwrap();
        }
        let found: Vec<_> = oldest_first(below(dir.path()).unwrap(), "x").iter().map(|path| name_of(path)).collect();
        assert_eq!(found, [names[2], names[0], names[1]]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_counted_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
        for folder in [&inside, &outside] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("file"), [0; 100]).unwrap();
        }
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let Size { files, bytes, links } = size_of(&inside).unwrap();
        assert!((files, links) == (2, 1) && bytes < 200 + 4096, "{bytes}");
        assert!(is_folder(&inside) && !is_folder(&inside.join("link")));
    }

    #[test]
    fn only_names_of_files_being_written_are_temporary() {
        for (name, expected) in
            [(".a1b2.tmp", true), (".1.tmp", true), (".tmp", false), ("a.tmp", false), (".lock", false)]
        {
            assert_eq!(is_temporary(Path::new(name)), expected, "{name}");
        }
    }
}

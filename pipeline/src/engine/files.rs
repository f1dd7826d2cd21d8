//! Files and folders as they are found, without following symbolic links.

use std::path::{Path, PathBuf};

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

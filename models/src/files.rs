//! Files that appear whole or not at all, and files that people name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Opens a file that a person has named. Pipes, sockets and devices, whose reading may never end, are refused.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    File::open(path)
}

/// Replaces `path` by `bytes`: a temporary file beside it, synced, then renamed. Missing folders are made.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Anybody may read it whom the umask lets; by itself `tempfile` keeps others out.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is durable only once the folder is. Windows cannot open folders, and needs no such step.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

//! The zip archive.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::ImportErrorKind;

/// Largest `config.json`, unpacked; those of classifiers have some kilobytes.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Largest `model.weights.h5`, unpacked; the replaced system's has 3 MB, with the state of its optimiser 9 MB.
const MAX_WEIGHTS_BYTES: u64 = 128 * 1024 * 1024;

/// First bytes of an HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// What is read of the archive.
pub(super) struct Members {
    pub(super) config: Vec<u8>,
    pub(super) weights: Vec<u8>,
}

pub(super) fn open(bytes: &[u8]) -> Result<Members, ImportErrorKind> {
    if bytes.starts_with(HDF5_SIGNATURE) {
        return Err(ImportErrorKind::Hdf5File);
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    Ok(Members {
        config: member(&mut archive, "config.json", MAX_CONFIG_BYTES)?,
        weights: member(&mut archive, "model.weights.h5", MAX_WEIGHTS_BYTES)?,
    })
}

/// Unpacks a file, but never more than `limit` bytes of it, whatever size the archive declares.
fn member(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &'static str, limit: u64) -> Result<Vec<u8>, ImportErrorKind> {
    let file = match archive.by_name(name) {
        Err(ZipError::FileNotFound) => return Err(ImportErrorKind::MissingMember(name)),
        file => file.map_err(damaged)?,
    };
    let mut content = Vec::new();
    let failed = |error: std::io::Error| ImportErrorKind::Zip(format!("`{name}`: {error}"));
    let read = file.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    if read as u64 > limit { Err(ImportErrorKind::TooLarge { part: name, limit }) } else { Ok(content) }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn damaged(error: ZipError) -> ImportErrorKind {
    ImportErrorKind::Zip(error.to_string())
}

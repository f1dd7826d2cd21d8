//! Whether this program can read what lies in a data root: a later version may have written it in a format that is not known yet. Taking such a file for
//! damaged or missing would compute, compare and publish anew, over what the later version has made.

use std::path::{Path, PathBuf};

use ecosight_datasets::layout::Layout;
use ecosight_datasets::snapshot::{SCHEMA_VERSION as SNAPSHOT_VERSION, SNAPSHOT_FILE};
use ecosight_models::artefact::{CHECKSUMS_FILE, MODEL_FILE, SCHEMA_VERSION as MODEL_VERSION};
use serde::Deserialize;

use super::state::SCHEMA_VERSION as STATE_VERSION;

/// Version of the formats that have had one version so far: pointers to models, pins, checksums.
const FIRST_VERSION: u32 = 1;

/// A file was written by a later version of EcoSight.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` was written by a later version of EcoSight (format {found}; this version reads up to {known})")]
pub struct LaterFormat {
    /// The file.
    pub path: String,
    /// The version of its format.
    pub found: u64,
    /// The latest version of the format that this program reads.
    pub known: u32,
}

/// The one field that all formats have.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u64,
}

/// Reads the versions of the formats of `index/*.json`, the latest snapshot of the tables, the pointers to models, and all models.
///
/// # Errors
///
/// [`LaterFormat`] for the first file, in the order of their names, that only a later version of the program can read. Files that are missing or
/// unreadable are passed over here: who needs them says so.
pub fn check_formats(layout: &Layout) -> Result<(), LaterFormat> {
    for path in entries(&layout.index()).iter().filter(|path| path.extension().is_some_and(|it| it == "json")) {
        check(path, STATE_VERSION)?;
    }
    check(&layout.snapshot(), SNAPSHOT_VERSION)?;
    for path in entries(&layout.models()) {
        if path.is_dir() {
            check(&path.join(SNAPSHOT_FILE), SNAPSHOT_VERSION)?;
            check(&path.join(MODEL_FILE), MODEL_VERSION)?;
            check(&path.join(CHECKSUMS_FILE), FIRST_VERSION)?;
        } else if path.extension().is_some_and(|it| it == "json") {
            check(&path, FIRST_VERSION)?;
        }
    }
    Ok(())
}

/// What lies in a folder, in order; nothing where it cannot be listed.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn check(path: &Path, known: u32) -> Result<(), LaterFormat> {
    let Ok(bytes) = std::fs::read(path) else { return Ok(()) };
    match serde_json::from_slice(&bytes) {
        Ok(Versioned { schema_version: found }) if found > u64::from(known) => {
            Err(LaterFormat { path: path.display().to_string(), found, known })
        }
        _ => Ok(()),
    }
}

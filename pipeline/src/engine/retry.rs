//! Another try for the clips that were quarantined.

use std::collections::{BTreeSet, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{QuarantineRow, read_files_index, read_rows, write_files_index, write_rows};

use super::{Lock, State};

/// The rows of `quarantine`; none where there is no such table.
pub fn quarantined(layout: &Layout) -> Result<Vec<QuarantineRow>, DatasetError> {
    let folder = layout.table("quarantine");
    if folder.is_dir() { read_rows(&folder) } else { Ok(Vec::new()) }
}

/// Forgets with what the clips in `quarantine` were tried, so that the next run tries them again. Gives the stages that will.
///
/// The rows stay until that run replaces them: the reasons are still wanted.
pub fn retry(layout: &Layout, _lock: &Lock) -> Result<BTreeSet<String>, DatasetError> {
    let mut rows = quarantined(layout)?;
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    for row in &mut rows {
        row.key = None;
    }
    write_rows(layout, &rows)?;
    forget_files(layout, &rows)?;
    let stages: BTreeSet<String> = rows.iter().map(|row| row.stage.clone()).collect();
    for stage in &stages {
        // A stage that has no state runs anyway.
        if let Some(state) = State::read(layout, stage) {
            State { is_provisional: true, ..state }.write(layout, stage)?;
        }
    }
    Ok(stages)
}

/// Forgets what was found in the files of `rows`, so that they are read again.
fn forget_files(layout: &Layout, rows: &[QuarantineRow]) -> Result<(), DatasetError> {
    let failed: HashSet<&str> = rows.iter().map(|row| row.uri.as_str()).collect();
    // What cannot be read is made anew by the next run.
    let Ok(mut files) = read_files_index(layout) else { return Ok(()) };
    let before = files.len();
    files.retain(|file| !failed.contains(file.uri.as_str()));
    if files.len() == before { Ok(()) } else { write_files_index(layout, &files) }
}

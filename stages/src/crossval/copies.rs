//! Copies of one recording: what is known of them before anything is embedded, and what is left of them in different folds.

use std::collections::{BTreeSet, HashMap};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{LeakRow, Row, read_rows};

use crate::StageErrorKind;
use crate::copies::{self, Pair};

/// The pairs in the index of copies, and those that the last audit found and was allowed to leave.
pub(super) fn known(layout: &Layout) -> Result<Vec<Pair>, StageErrorKind> {
    let table = layout.table(LeakRow::TABLE.name);
    let left: Vec<LeakRow> = if table.is_dir() { read_rows(&table)? } else { Vec::new() };
    let indexed = copies::known(layout).into_iter().map(|row| row.clips);
    Ok(indexed.chain(left.into_iter().map(|leak| leak.clips)).collect())
}

/// The pairs whose clips are in different folds.
pub(super) fn parted(pairs: &[Pair], folds: &HashMap<ClipId, String>) -> BTreeSet<Pair> {
    let is_parted = |[a, b]: &&Pair| folds.get(a).zip(folds.get(b)).is_some_and(|(a, b)| a != b);
    pairs.iter().filter(is_parted).copied().collect()
}

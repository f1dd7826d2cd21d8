//! Small tables as outputs of stages.

use std::hash::Hash;

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{Row, read_rows, write_rows};

use crate::stage::{Output, RowCounts};

/// The rows that are there before a stage runs; none where they cannot be read, for they will be replaced.
pub(crate) fn read_before<R: Row>(layout: &Layout) -> Vec<R> {
    read_rows(&layout.table(R::TABLE.name)).unwrap_or_default()
}

/// Replaces the table of `R`, and counts what became of its rows.
pub(crate) fn replace<R: Row + PartialEq, K: Eq + Hash>(
    layout: &Layout,
    rows: &[R],
    identity: impl Fn(&R) -> K,
) -> Result<Output, DatasetError> {
    let counts = RowCounts::between(&read_before(layout), rows, identity);
    let written = write_rows(layout, rows)?;
    Ok(Output { columns: written.columns, files: vec![written.stamp], rows: counts, is_provisional: false })
}

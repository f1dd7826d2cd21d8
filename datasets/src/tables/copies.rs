//! Rows of the index of copies: pairs of clips of which one is a copy of the other, wholly or in part.

use arrow_array::ArrayRef;
use polars::prelude::DataFrame;

use super::read::Columns;
use super::rows::{Row, optional_f64, text};
use super::schema::{self, Table};
use crate::DatasetError;
use crate::key::ClipId;

/// A row of the index of copies. Each pair of clips has at most one row.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyRow {
    /// The clips, in ascending order.
    pub clips: [ClipId; 2],
    /// `file`, `audio` or `near`.
    pub kind: String,
    /// Agreement of their spectrograms, 0 to 1; only for `near`.
    pub similarity: Option<f64>,
    /// Where the second begins in the first, seconds; only for `near`.
    pub offset_s: Option<f64>,
    /// How long they agree, seconds; only for `near`.
    pub overlap_s: Option<f64>,
}

impl Row for CopyRow {
    const TABLE: Table = schema::COPIES_INDEX;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clips[0]),
            text(rows, |r| r.clips[1]),
            text(rows, |r| &r.kind),
            optional_f64(rows, |r| r.similarity),
            optional_f64(rows, |r| r.offset_s),
            optional_f64(rows, |r| r.overlap_s),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (a, b, kind) = (columns.clip_ids("clip_a")?, columns.clip_ids("clip_b")?, columns.text("kind")?);
        let [similarity, offset, overlap] =
            ["similarity", "offset_s", "overlap_s"].map(|name| columns.optional_f64(name));
        let (similarity, offset, overlap) = (similarity?, offset?, overlap?);
        let row = |i: usize| Self {
            clips: [a[i], b[i]],
            kind: kind[i].clone(),
            similarity: similarity[i],
            offset_s: offset[i],
            overlap_s: overlap[i],
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

//! Rows about the clips that a model was trained beside.

use arrow_array::ArrayRef;
use polars::prelude::DataFrame;

use super::read::Columns;
use super::rows::{Row, Side, optional_text, text};
use super::schema::{self, Table};
use crate::DatasetError;
use crate::key::ClipId;

/// A row of a model's `recordings.parquet`: a clip that the source held when the model was trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClipRow {
    /// The clip.
    pub clip_id: ClipId,
    /// Its path below the source; none in files of earlier versions.
    pub uri: Option<String>,
    /// Its label; none in files of earlier versions.
    pub label: Option<String>,
    /// Its recording.
    pub recording_id: String,
    /// The group that the split kept together.
    pub group_id: String,
    /// The side of the split that it was on.
    pub side: Side,
}

impl Row for KnownClipRow {
    const TABLE: Table = schema::KNOWN_CLIPS;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clip_id),
            optional_text(rows, |r| r.uri.as_deref()),
            optional_text(rows, |r| r.label.as_deref()),
            text(rows, |r| &r.recording_id),
            text(rows, |r| &r.group_id),
            text(rows, |r| r.side.word()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, recording, side) =
            (columns.clip_ids("clip_id")?, columns.text("recording_id")?, columns.text("split")?);
        let (uri, label) = (columns.later_text("uri")?, columns.later_text("label")?);
        let group = columns.later_text("group_id")?;
        let row = |i: usize| {
            Ok(Self {
                clip_id: ids[i],
                uri: uri[i].clone(),
                label: label[i].clone(),
                recording_id: recording[i].clone(),
                group_id: group[i].clone().unwrap_or_else(|| recording[i].clone()),
                side: Side::of_word(&side[i]).ok_or_else(|| columns.invalid("split", &side[i]))?,
            })
        };
        (0..frame.height()).map(row).collect()
    }
}

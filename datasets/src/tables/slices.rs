//! Rows about parts of the test side, and about how clips sound.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt64Array};
use polars::prelude::DataFrame;
use serde::Serialize;

use super::read::Columns;
use super::rows::{Row, optional_f64, text};
use super::schema::{self, Table};
use crate::DatasetError;
use crate::key::ClipId;

/// A row of a model's `slices.parquet`: test clips that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceRow {
    /// What clips are sliced by.
    pub by: String,
    /// What these have in common.
    pub slice: String,
    /// Their number.
    pub clips: u64,
    /// Number of their recordings.
    pub recordings: u64,
    /// Share that is predicted rightly.
    pub accuracy: f64,
    /// Lower end of its interval.
    pub accuracy_low: Option<f64>,
    /// Upper end.
    pub accuracy_high: Option<f64>,
    /// Mean recall of the classes that are there.
    pub balanced_accuracy: f64,
    /// Macro F1.
    pub macro_f1: f64,
}

impl Row for SliceRow {
    const TABLE: Table = schema::SLICES;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| &r.by),
            text(rows, |r| &r.slice),
            Arc::new(rows.iter().map(|r| r.clips).collect::<UInt64Array>()),
            Arc::new(rows.iter().map(|r| r.recordings).collect::<UInt64Array>()),
            optional_f64(rows, |r| Some(r.accuracy)),
            optional_f64(rows, |r| r.accuracy_low),
            optional_f64(rows, |r| r.accuracy_high),
            optional_f64(rows, |r| Some(r.balanced_accuracy)),
            optional_f64(rows, |r| Some(r.macro_f1)),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (by, slice) = (columns.text("by")?, columns.text("slice")?);
        let (clips, recordings) = (columns.u64("clips")?, columns.u64("recordings")?);
        let (low, high) = (columns.optional_f64("accuracy_low")?, columns.optional_f64("accuracy_high")?);
        let [accuracy, balanced_accuracy, macro_f1] =
            ["accuracy", "balanced_accuracy", "macro_f1"].map(|name| columns.f64(name));
        let (accuracy, balanced_accuracy, macro_f1) = (accuracy?, balanced_accuracy?, macro_f1?);
        let row = |i: usize| Self {
            by: by[i].clone(),
            slice: slice[i].clone(),
            clips: clips[i],
            recordings: recordings[i],
            accuracy: accuracy[i],
            accuracy_low: low[i],
            accuracy_high: high[i],
            balanced_accuracy: balanced_accuracy[i],
            macro_f1: macro_f1[i],
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

/// A row of the index of sounds: what was heard of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoundRow {
    /// The clip.
    pub clip_id: ClipId,
    /// Its length, seconds.
    pub duration_s: f64,
    /// How far its sounds rise above the noise, dB; none in silence.
    pub snr_db: Option<f64>,
}

impl Row for SoundRow {
    const TABLE: Table = schema::SOUNDS_INDEX;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![text(rows, |r| r.clip_id), optional_f64(rows, |r| Some(r.duration_s)), optional_f64(rows, |r| r.snr_db)]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, duration, snr) =
            (columns.clip_ids("clip_id")?, columns.f64("duration_s")?, columns.optional_f64("snr_db")?);
        let row = |i: usize| Self { clip_id: ids[i], duration_s: duration[i], snr_db: snr[i] };
        Ok((0..frame.height()).map(row).collect())
    }
}

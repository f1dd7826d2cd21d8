//! Rows of the small tables as Rust values, and their way into Arrow and back from Polars.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};

use super::read::Columns;
use super::schema::{self, Table, Vectors};
use crate::DatasetError;
use crate::audio::Span;
use crate::key::{ClipId, UnitKey};
use crate::store::Version;

/// A row of one of the small tables.
pub trait Row: Sized {
    /// The table it belongs to.
    const TABLE: Table;

    /// The rows as arrays, in the table's order of columns.
    fn arrays(rows: &[Self]) -> Vec<ArrayRef>;

    /// The rows of a frame that has the table's columns.
    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError>;

    /// The rows as one Arrow batch.
    fn batch(rows: &[Self]) -> Result<RecordBatch, DatasetError> {
        RecordBatch::try_new(Self::TABLE.arrow(Vectors::NONE), Self::arrays(rows))
            .map_err(|e| DatasetError::new("build table", Self::TABLE.name, e))
    }
}

/// A row of `manifest`: one labelled clip.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipRow {
    /// Identity.
    pub clip_id: ClipId,
    /// Identity of the whole file.
    pub file_id: ClipId,
    /// Path below the source.
    pub uri: String,
    /// Class.
    pub label: String,
    /// Recording, where the source names it.
    pub recording_id: Option<String>,
    /// Fold, where the source names it.
    pub fold: Option<String>,
    /// Place of the recorder, where the source names it.
    pub site: Option<String>,
    /// Recorder, where the source names it.
    pub device: Option<String>,
    /// When it was recorded, where the source names it.
    pub recorded_at: Option<String>,
    /// Part of the file; `None` for all of it.
    pub span: Option<Span>,
    /// Container, recognised by content.
    pub container: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Entity tag.
    pub etag: Option<String>,
}

impl ClipRow {
    /// What the file was when it was listed.
    pub fn version(&self) -> Option<Version> {
        Some(Version { etag: self.etag.clone()?, size_bytes: self.size_bytes })
    }
}

impl Row for ClipRow {
    const TABLE: Table = schema::MANIFEST;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clip_id),
            text(rows, |r| r.file_id),
            text(rows, |r| &r.uri),
            text(rows, |r| &r.label),
            optional_text(rows, |r| r.recording_id.as_deref()),
            optional_text(rows, |r| r.fold.as_deref()),
            optional_text(rows, |r| r.site.as_deref()),
            optional_text(rows, |r| r.device.as_deref()),
            optional_text(rows, |r| r.recorded_at.as_deref()),
            optional_f64(rows, |r| r.span.map(|s| s.start_s)),
            optional_f64(rows, |r| r.span.and_then(|s| s.end_s)),
            text(rows, |r| &r.container),
            Arc::new(rows.iter().map(|r| r.size_bytes).collect::<UInt64Array>()),
            optional_text(rows, |r| r.etag.as_deref()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, uri, label) = (columns.clip_ids("clip_id")?, columns.text("uri")?, columns.text("label")?);
        let file_id = columns.clip_ids("file_id")?;
        let (recording, fold) = (columns.optional_text("recording_id")?, columns.optional_text("fold")?);
        let (start, end) = (columns.optional_f64("start_s")?, columns.optional_f64("end_s")?);
        let (container, etag) = (columns.text("container")?, columns.optional_text("etag")?);
        let size = columns.u64("size_bytes")?;
        let site = columns.later_text("site")?;
        let (device, recorded_at) = (columns.later_text("device")?, columns.later_text("recorded_at")?);
        let row = |i: usize| Self {
            clip_id: ids[i],
            file_id: file_id[i],
            uri: uri[i].clone(),
            label: label[i].clone(),
            recording_id: recording[i].clone(),
            fold: fold[i].clone(),
            site: site[i].clone(),
            device: device[i].clone(),
            recorded_at: recorded_at[i].clone(),
            span: start[i].map(|start_s| Span { start_s, end_s: end[i] }),
            container: container[i].clone(),
            size_bytes: size[i],
            etag: etag[i].clone(),
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

/// The side of the split that a recording is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Fitted on.
    Train,
    /// Selected on.
    Val,
    /// Reported on.
    Test,
}

impl Side {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// `train`, `val` or `test`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The side named by a word, in any case; `validation` and `valid` mean `val`.
    pub fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// A row of `split`: the side of one clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRow {
    /// The clip.
    pub clip_id: ClipId,
    /// Its recording.
    pub recording_id: String,
    /// What is never parted over sides.
    pub group_id: String,
    /// Place of the recorder.
    pub site: Option<String>,
    /// Recorder.
    pub device: Option<String>,
    /// Its cross-validation fold.
    pub fold: Option<String>,
    /// Its side.
    pub side: Side,
}

impl SplitRow {
    /// The clip of a recording that is a group of its own.
    pub fn new(clip_id: ClipId, recording_id: String, side: Side) -> Self {
        let group_id = recording_id.clone();
        Self { clip_id, recording_id, group_id, site: None, device: None, fold: None, side }
    }
}

impl Row for SplitRow {
    const TABLE: Table = schema::SPLIT;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clip_id),
            text(rows, |r| &r.recording_id),
            text(rows, |r| &r.group_id),
            optional_text(rows, |r| r.site.as_deref()),
            optional_text(rows, |r| r.device.as_deref()),
            optional_text(rows, |r| r.fold.as_deref()),
            text(rows, |r| r.side.word()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, recording) = (columns.clip_ids("clip_id")?, columns.text("recording_id")?);
        let (fold, side) = (columns.optional_text("fold")?, columns.text("split")?);
        let group = columns.later_text("group_id")?;
        let (site, device) = (columns.later_text("site")?, columns.later_text("device")?);
        let row = |i: usize| {
            let side = Side::of_word(&side[i]).ok_or_else(|| columns.invalid("split", &side[i]))?;
            Ok(Self {
                clip_id: ids[i],
                recording_id: recording[i].clone(),
                // Before there were others, each recording was a group.
                group_id: group[i].clone().unwrap_or_else(|| recording[i].clone()),
                site: site[i].clone(),
                device: device[i].clone(),
                fold: fold[i].clone(),
                side,
            })
        };
        (0..frame.height()).map(row).collect()
    }
}

/// A row of `augment`: how one variant of a clip is made.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipeRow {
    /// The clip.
    pub clip_id: ClipId,
    /// 0 for the original.
    pub variant: u32,
    /// Name of the effect.
    pub effect: String,
    /// The effect's steps as JSON.
    pub parameters: String,
    /// Seed of the effect.
    pub seed: u64,
}

impl Row for RecipeRow {
    const TABLE: Table = schema::AUGMENT;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clip_id),
            Arc::new(rows.iter().map(|r| r.variant).collect::<UInt32Array>()),
            text(rows, |r| &r.effect),
            text(rows, |r| &r.parameters),
            Arc::new(rows.iter().map(|r| r.seed).collect::<UInt64Array>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, variant, seed) = (columns.clip_ids("clip_id")?, columns.u64("variant")?, columns.u64("seed")?);
        let (effect, parameters) = (columns.text("effect")?, columns.text("parameters")?);
        let row = |i: usize| Self {
            clip_id: ids[i],
            variant: variant[i] as u32,
            effect: effect[i].clone(),
            parameters: parameters[i].clone(),
            seed: seed[i],
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

/// A row of `quarantine`: a clip that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct QuarantineRow {
    /// The clip, where its bytes could be read.
    pub clip_id: Option<ClipId>,
    /// Path below the source.
    pub uri: String,
    /// Stage that rejected it.
    pub stage: String,
    /// Reason as one word.
    pub code: String,
    /// Reason in words.
    pub message: String,
    /// What it was tried with; with that it is not tried again.
    pub key: Option<UnitKey>,
}

impl Row for QuarantineRow {
    const TABLE: Table = schema::QUARANTINE;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        let ids = rows.iter().map(|r| r.clip_id.map(|id| id.to_string()));
        vec![
            Arc::new(ids.collect::<StringArray>()),
            text(rows, |r| &r.uri),
            text(rows, |r| &r.stage),
            text(rows, |r| &r.code),
            text(rows, |r| &r.message),
            Arc::new(rows.iter().map(|r| r.key.map(|key| key.to_string())).collect::<StringArray>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, uri, stage) = (columns.optional_text("clip_id")?, columns.text("uri")?, columns.text("stage")?);
        let (code, message) = (columns.text("code")?, columns.text("message")?);
        let key = columns.later_text("key")?;
        let row = |i: usize| Self {
            clip_id: ids[i].as_ref().and_then(|id| id.parse().ok()),
            uri: uri[i].clone(),
            stage: stage[i].clone(),
            code: code[i].clone(),
            message: message[i].clone(),
            key: key[i].as_ref().and_then(|key| key.parse().ok()),
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

/// A row of `predictions`: what a head that was fitted without the clip's recording makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRow {
    /// The clip.
    pub clip_id: ClipId,
    /// Its side.
    pub side: Side,
    /// Class that it was given.
    pub label: String,
    /// Most probable class.
    pub predicted: String,
    /// Probability of the predicted class.
    pub confidence: f64,
    /// Probability of the class that it was given.
    pub probability: f64,
    /// −ln of that, nats.
    pub surprisal: f64,
    /// Distance of the two most probable classes.
    pub margin: f64,
    /// Entropy of the probabilities, nats.
    pub entropy: f64,
}

impl Row for PredictionRow {
    const TABLE: Table = schema::PREDICTIONS;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clip_id),
            text(rows, |r| r.side.word()),
            text(rows, |r| &r.label),
            text(rows, |r| &r.predicted),
            optional_f64(rows, |r| Some(r.confidence)),
            optional_f64(rows, |r| Some(r.probability)),
            optional_f64(rows, |r| Some(r.surprisal)),
            optional_f64(rows, |r| Some(r.margin)),
            optional_f64(rows, |r| Some(r.entropy)),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, side) = (columns.clip_ids("clip_id")?, columns.text("split")?);
        let (label, predicted) = (columns.text("label")?, columns.text("predicted")?);
        let (confidence, probability) = (columns.f64("confidence")?, columns.f64("probability")?);
        let (surprisal, margin) = (columns.f64("surprisal")?, columns.f64("margin")?);
        let entropy = columns.f64("entropy")?;
        let row = |i: usize| {
            Ok(Self {
                clip_id: ids[i],
                side: Side::of_word(&side[i]).ok_or_else(|| columns.invalid("split", &side[i]))?,
                label: label[i].clone(),
                predicted: predicted[i].clone(),
                confidence: confidence[i],
                probability: probability[i],
                surprisal: surprisal[i],
                margin: margin[i],
                entropy: entropy[i],
            })
        };
        (0..frame.height()).map(row).collect()
    }
}

/// A row of `audit`: two clips on different sides of which one is a copy of the other.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakRow {
    /// The clips.
    pub clips: [ClipId; 2],
    /// Their paths below the source.
    pub uris: [String; 2],
    /// Their sides.
    pub sides: [Side; 2],
    /// `file`, `audio` or `near`.
    pub kind: String,
    /// Agreement of their spectrograms, 0 to 1.
    pub similarity: Option<f64>,
    /// Where the second begins in the first, in seconds.
    pub offset_s: Option<f64>,
    /// How long they agree, in seconds.
    pub overlap_s: Option<f64>,
}

impl Row for LeakRow {
    const TABLE: Table = schema::LEAKS;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.clips[0]),
            text(rows, |r| r.clips[1]),
            text(rows, |r| &r.uris[0]),
            text(rows, |r| &r.uris[1]),
            text(rows, |r| r.sides[0].word()),
            text(rows, |r| r.sides[1].word()),
            text(rows, |r| &r.kind),
            optional_f64(rows, |r| r.similarity),
            optional_f64(rows, |r| r.offset_s),
            optional_f64(rows, |r| r.overlap_s),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (a, b) = (columns.clip_ids("clip_a")?, columns.clip_ids("clip_b")?);
        let (uri_a, uri_b) = (columns.text("uri_a")?, columns.text("uri_b")?);
        let (side_a, side_b) = (columns.text("split_a")?, columns.text("split_b")?);
        let (kind, similarity) = (columns.text("kind")?, columns.optional_f64("similarity")?);
        let (offset, overlap) = (columns.optional_f64("offset_s")?, columns.optional_f64("overlap_s")?);
        let side = |word: &str| Side::of_word(word).ok_or_else(|| columns.invalid("split", word));
        let row = |i: usize| {
            Ok(Self {
                clips: [a[i], b[i]],
                uris: [uri_a[i].clone(), uri_b[i].clone()],
                sides: [side(&side_a[i])?, side(&side_b[i])?],
                kind: kind[i].clone(),
                similarity: similarity[i],
                offset_s: offset[i],
                overlap_s: overlap[i],
            })
        };
        (0..frame.height()).map(row).collect()
    }
}

/// A row of a model's `training_history.parquet`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRow {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Training objective.
    pub loss: f64,
    /// Share of train rows classified correctly.
    pub accuracy: f64,
    /// Cross-entropy on val rows.
    pub val_loss: Option<f64>,
    /// Share of val rows classified correctly.
    pub val_accuracy: Option<f64>,
}

impl Row for EpochRow {
    const TABLE: Table = schema::TRAINING_HISTORY;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            Arc::new(rows.iter().map(|r| r.epoch).collect::<UInt32Array>()),
            optional_f64(rows, |r| Some(r.loss)),
            optional_f64(rows, |r| Some(r.accuracy)),
            optional_f64(rows, |r| r.val_loss),
            optional_f64(rows, |r| r.val_accuracy),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (epoch, loss, accuracy) = (columns.u64("epoch")?, columns.f64("loss")?, columns.f64("accuracy")?);
        let (val_loss, val_accuracy) = (columns.optional_f64("val_loss")?, columns.optional_f64("val_accuracy")?);
        let row = |i: usize| Self {
            epoch: epoch[i] as u32,
            loss: loss[i],
            accuracy: accuracy[i],
            val_loss: val_loss[i],
            val_accuracy: val_accuracy[i],
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

pub(super) fn text<'a, R, T: ToString>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(|r| value(r).to_string())))
}

pub(super) fn optional_text<'a, R>(rows: &'a [R], value: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

pub(super) fn optional_f64<R>(rows: &[R], value: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<Float64Array>())
}

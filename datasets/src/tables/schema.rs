//! Every table and every column, with its meaning and unit, in one place.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// 64-bit floating point.
    Float64,
    /// Fixed-size list of floating point; length and width are the embedder's.
    Embedding,
}

/// Width of the values of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit floating point.
    Float32,
    /// 16-bit floating point.
    Float16,
}

/// The vectors of an embedding column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// Values of a vector.
    pub dim: usize,
    /// Their type.
    pub values: ValueType,
}

impl Vectors {
    /// For tables without such a column.
    pub const NONE: Self = Self { dim: 0, values: ValueType::Float32 };

    /// The field of one value.
    pub(super) fn item(self) -> Arc<Field> {
        let data_type = match self.values {
            ValueType::Float32 => DataType::Float32,
            ValueType::Float16 => DataType::Float16,
        };
        Arc::new(Field::new("element", data_type, false))
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name; columns with a unit carry it (`duration_s`).
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// What it means.
    pub doc: &'static str,
}

/// A table: a folder below `tables/` and its columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The folder's name, which is the stage's name.
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    /// The columns in order.
    pub columns: &'static [Column],
}

impl Table {
    /// The Arrow schema; `vectors` are those of the embedding column, for tables that have one.
    pub fn arrow(&self, vectors: Vectors) -> SchemaRef {
        let fields = self.columns.iter().map(|column| {
            let data_type = match column.kind {
                ColumnKind::Text => DataType::Utf8,
                ColumnKind::UInt32 => DataType::UInt32,
                ColumnKind::UInt64 => DataType::UInt64,
                ColumnKind::Float64 => DataType::Float64,
                ColumnKind::Embedding => DataType::FixedSizeList(vectors.item(), vectors.dim as i32),
            };
            Field::new(column.name, data_type, column.nullable)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

const fn column(name: &'static str, kind: ColumnKind, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, doc }
}

const fn optional(name: &'static str, kind: ColumnKind, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, doc }
}

use ColumnKind::{Embedding, Float64, Text, UInt32, UInt64};

const CLIP_ID: Column =
    column("clip_id", Text, "identity of the clip: BLAKE3 of its audio bytes (and span), 32 hexadecimal digits");
const VARIANT: Column = column("variant", UInt32, "0 for the original, 1 and up for augmented variants");

/// One row per labelled clip.
pub const MANIFEST: Table = Table {
    name: "manifest",
    doc: "one row per labelled clip, or per labelled span of a longer recording",
    columns: &[
        CLIP_ID,
        column("file_id", Text, "BLAKE3 of the whole file's bytes; equal to `clip_id` unless the clip is a span"),
        column("uri", Text, "path below the source"),
        column("label", Text, "class"),
        optional("recording_id", Text, "recording that the clip was cut from, where the source names it"),
        optional(
            "fold",
            Text,
            "fold, where the source names it: `train`, `val`, `test`, or a name of a cross-validation fold",
        ),
        optional("site", Text, "place of the recorder, where the source names it"),
        optional("device", Text, "recorder, where the source names it"),
        optional("recorded_at", Text, "date or date-time of the recording (ISO 8601), where the source names it"),
        optional("start_s", Float64, "start of the span in seconds; null for a whole file"),
        optional("end_s", Float64, "end of the span in seconds; null for the end of the file"),
        column("container", Text, "audio container, recognised by content: `wav`, `flac`, …"),
        column("size_bytes", UInt64, "size of the file in bytes"),
        optional("etag", Text, "entity tag of the file when it was read"),
    ],
};

/// One row per clip: its side.
pub const SPLIT: Table = Table {
    name: "split",
    doc: "one row per clip: the recording it belongs to and the side that recording is on",
    columns: &[
        CLIP_ID,
        column("recording_id", Text, "recording; all clips of one are on one side"),
        column(
            "group_id",
            Text,
            "what is never parted over sides: the recording, or what `split.group_by` says (site, device, day)",
        ),
        optional("site", Text, "place of the recorder, of the manifest or of `split.pattern`"),
        optional("device", Text, "recorder, of the manifest or of `split.pattern`"),
        optional("fold", Text, "cross-validation fold"),
        column("split", Text, "`train`, `val` or `test`"),
    ],
};

/// One row per clip and variant: the recipe.
pub const AUGMENT: Table = Table {
    name: "augment",
    doc: "one row per clip and variant: how the variant is made; no audio",
    columns: &[
        CLIP_ID,
        VARIANT,
        column("effect", Text, "name of the effect; `original` for variant 0"),
        column("parameters", Text, "the effect's steps as JSON; `[]` for variant 0"),
        column("seed", UInt64, "seed of the effect's random numbers"),
    ],
};

/// One row per clip, variant and patch: the embedding.
pub const EMBED: Table = Table {
    name: "embed",
    doc: "one row per clip, variant and patch; the folder `embedder=<id>` names what made it",
    columns: &[
        CLIP_ID,
        VARIANT,
        column("patch", UInt32, "number of the patch within the clip, from 0"),
        column("start_s", Float64, "start of the patch in seconds from the start of the clip (of the variant)"),
        column(
            "embedding",
            Embedding,
            "the embedding, a fixed-size list of floats: 32 bits, or 16 where the identity ends in `-f16`",
        ),
    ],
};

/// One row per pair of clips of which one is a copy of the other, on another side.
pub const LEAKS: Table = Table {
    name: "audit",
    doc: "one row per pair of clips on different sides of the split of which one is a copy of the other",
    columns: &[
        column(
            "clip_a",
            Text,
            "identity of the clip on the train side, or on the val side where the other is on the test side",
        ),
        column("clip_b", Text, "identity of the other"),
        column("uri_a", Text, "path below the source of the one"),
        column("uri_b", Text, "path below the source of the other"),
        column("split_a", Text, "side of the one"),
        column("split_b", Text, "side of the other"),
        column(
            "kind",
            Text,
            "`file`: spans of one file; `audio`: equal once decoded; `near`: found by aligning their spectrograms",
        ),
        optional(
            "similarity",
            Float64,
            "share of agreement of the spectrograms where they overlap, beyond chance, 0 to 1; only for `near`",
        ),
        optional("offset_s", Float64, "where the other begins in the one, in seconds"),
        optional("overlap_s", Float64, "how long they agree, in seconds"),
    ],
};

/// One row per clip: what the model trained last makes of it.
pub const PREDICTIONS: Table = Table {
    name: "predictions",
    doc: "one row per original clip: what a head that was fitted without its recording makes of it",
    columns: &[
        CLIP_ID,
        column(
            "split",
            Text,
            "`train` (scored in a cross-validation over recordings, unless its class is in no other fold), `val` (by the head fitted on the train side) or `test` (by the model)",
        ),
        column("label", Text, "class that it was given"),
        column(
            "predicted",
            Text,
            "what the model answers: a class, several, the background where no class reaches its threshold, or `unknown`",
        ),
        column("confidence", Float64, "probability of the most probable class"),
        column("probability", Float64, "probability of the class that it was given"),
        column("surprisal", Float64, "−ln of that, nats: high where the label may be wrong"),
        column("margin", Float64, "probability of the most probable class less that of the next"),
        column("entropy", Float64, "entropy of the probabilities, nats: high where the model does not know"),
    ],
};

/// One row per clip that could not be used.
pub const QUARANTINE: Table = Table {
    name: "quarantine",
    doc: "one row per clip that could not be used in the last run, with the reason",
    columns: &[
        optional("clip_id", Text, "identity of the clip, where its bytes could be read"),
        column("uri", Text, "path below the source"),
        column("stage", Text, "stage that rejected it"),
        column("code", Text, "reason as one word: `empty`, `truncated`, `label_conflict`, …"),
        column("message", Text, "reason in words"),
        optional(
            "key",
            Text,
            "hash of what it was tried with: with that it is not tried again, unless `failed --retry` asks for it",
        ),
    ],
};

/// One row per training epoch; lies in the model's folder as `training_history.parquet`.
pub const TRAINING_HISTORY: Table = Table {
    name: "training_history",
    doc: "one row per epoch of training",
    columns: &[
        column("epoch", UInt32, "number of the epoch, from 1"),
        column("loss", Float64, "training objective"),
        column("accuracy", Float64, "share of train rows classified correctly"),
        optional("val_loss", Float64, "cross-entropy on val rows"),
        optional("val_accuracy", Float64, "share of val rows classified correctly"),
    ],
};

/// One row per unit of `embed`; lies in the index as `embed.parquet`.
pub const EMBED_INDEX: Table = Table {
    name: "index of embed",
    doc: "one row per clip and variant in `embed`: what decides its rows, and the part that holds them",
    columns: &[
        CLIP_ID,
        VARIANT,
        column("key", Text, "hash of everything that decides the rows, 32 hexadecimal digits"),
        column("recipe", Text, "the steps that make the variant, as JSON with the version of each"),
        column("part", UInt32, "number of the part in the list of the file's metadata, from 0"),
    ],
};

/// One row per file of the source; lies in the index as `files.parquet`.
pub const FILES_INDEX: Table = Table {
    name: "index of files",
    doc: "one row per file of the source that was read: it is not read again unless its entity tag or size changes",
    columns: &[
        column("uri", Text, "path below the source"),
        column("etag", Text, "entity tag of the file when it was read"),
        column("size_bytes", UInt64, "size of the file in bytes"),
        column("blake3", Text, "BLAKE3 of the file's bytes, 64 hexadecimal digits"),
        optional("container", Text, "audio container, recognised by content; null where it is no audio"),
    ],
};

/// One row per clip that was decoded; lies in the index as `sounds.parquet`.
pub const SOUNDS_INDEX: Table = Table {
    name: "index of sounds",
    doc: "one row per clip, measured when it was decoded",
    columns: &[
        CLIP_ID,
        column("duration_s", Float64, "length of the clip in seconds"),
        optional(
            "snr_db",
            Float64,
            "how far its sounds rise above the noise, estimated from quantiles of its energy, dB; null in silence",
        ),
    ],
};

/// One row per pair of clips that are copies; lies in the index as `copies.parquet`.
pub const COPIES_INDEX: Table = Table {
    name: "index of copies",
    doc: "one row per pair of clips of which `audit` found one to be a copy of the other; `split` keeps them on one side (`split.copies`). Where the file \
          is removed, the next run finds them again",
    columns: &[
        column("clip_a", Text, "identity of the one clip, the lower of the two"),
        column("clip_b", Text, "identity of the other"),
        column("kind", Text, "`file`, `audio` or `near`, as in `audit`"),
        optional("similarity", Float64, "as in `audit`"),
        optional("offset_s", Float64, "where the other begins in the one, in seconds"),
        optional("overlap_s", Float64, "how long they agree, in seconds"),
    ],
};

/// One row per part of the test side; lies in the model's folder as `slices.parquet`.
pub const SLICES: Table = Table {
    name: "slices",
    doc: "one row per part of the test side that has at least five clips",
    columns: &[
        column("by", Text, "what clips are sliced by: `source`, `site`, `device`, `duration`, `signal to noise`"),
        column("slice", Text, "what these have in common"),
        column("clips", UInt64, "number of test clips"),
        column("recordings", UInt64, "number of their recordings"),
        column(
            "accuracy",
            Float64,
            "share that is predicted rightly; where clips can be of several classes, the subset accuracy",
        ),
        optional(
            "accuracy_low",
            Float64,
            "lower end of its 95 % interval, by what the split keeps together; null for fewer than five of these",
        ),
        optional("accuracy_high", Float64, "upper end"),
        column(
            "balanced_accuracy",
            Float64,
            "mean recall of the classes that are there; where clips can be of several classes, the mean of sensitivity and specificity",
        ),
        column("macro_f1", Float64, "mean F1 of the classes that are there or predicted"),
    ],
};

/// One row per clip that the source held when a model was trained; lies in the model's folder as `recordings.parquet`.
pub const KNOWN_CLIPS: Table = Table {
    name: "recordings",
    doc: "one row per clip that the source held when the model was trained: later runs compare the source with it",
    columns: &[
        CLIP_ID,
        optional("uri", Text, "path below the source"),
        optional("label", Text, "label that it was trained and tested with"),
        column("recording_id", Text, "its recording"),
        column("group_id", Text, "what the split kept together"),
        column("split", Text, "`train`, `val` or `test`"),
    ],
};

/// All tables below `tables/`.
pub const ALL: [Table; 7] = [MANIFEST, SPLIT, AUGMENT, EMBED, LEAKS, PREDICTIONS, QUARANTINE];

/// One row per file and patch: what `ecosight embed` writes.
pub const FILE_EMBEDDINGS: Table = Table {
    name: "embeddings",
    doc: "one row per file and patch: the embedding",
    columns: &[
        column("path", Text, "path as it was given"),
        column("patch", UInt32, "number of the patch within the file, from 0"),
        column("start_s", Float64, "start of the patch in seconds"),
        column(
            "embedding",
            Embedding,
            "the embedding, a fixed-size list of floats: 32 bits, or 16 where the identity ends in `-f16`",
        ),
    ],
};

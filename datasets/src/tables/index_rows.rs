//! Rows of the index: what is known of units of embeddings and of files of the source.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array, UInt64Array};
use polars::prelude::DataFrame;

use super::read::Columns;
use super::rows::{Row, optional_text, text};
use super::schema::{self, Table};
use super::unit::Unit;
use crate::DatasetError;
use crate::key::{ContentHash, UnitKey};

/// A row of the index of `embed`: a unit, and the part that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexRow {
    /// Clip and variant.
    pub unit: Unit,
    /// Key of the unit.
    pub key: UnitKey,
    /// How the variant is made.
    pub recipe: String,
    /// Number of the part.
    pub part: u32,
}

impl Row for IndexRow {
    const TABLE: Table = schema::EMBED_INDEX;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| r.unit.clip_id),
            Arc::new(rows.iter().map(|r| r.unit.variant).collect::<UInt32Array>()),
            text(rows, |r| r.key),
            text(rows, |r| &r.recipe),
            Arc::new(rows.iter().map(|r| r.part).collect::<UInt32Array>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (ids, variant, part) = (columns.clip_ids("clip_id")?, columns.u64("variant")?, columns.u64("part")?);
        let (keys, recipe) = (columns.parsed::<UnitKey>("key")?, columns.text("recipe")?);
        let row = |(i, recipe): (usize, String)| Self {
            unit: Unit { clip_id: ids[i], variant: variant[i] as u32 },
            key: keys[i],
            recipe,
            part: part[i] as u32,
        };
        Ok(recipe.into_iter().enumerate().map(row).collect())
    }
}

/// A row of the index of files: what was found in a file of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Path below the source.
    pub uri: String,
    /// Entity tag when it was read.
    pub etag: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hash of its content.
    pub blake3: ContentHash,
    /// Audio container; none where it is no audio.
    pub container: Option<String>,
}

impl Row for FileRow {
    const TABLE: Table = schema::FILES_INDEX;

    fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            text(rows, |r| &r.uri),
            text(rows, |r| &r.etag),
            Arc::new(rows.iter().map(|r| r.size_bytes).collect::<UInt64Array>()),
            text(rows, |r| r.blake3),
            optional_text(rows, |r| r.container.as_deref()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>, DatasetError> {
        let columns = Columns { frame, table: Self::TABLE.name };
        let (uri, etag, size) = (columns.text("uri")?, columns.text("etag")?, columns.u64("size_bytes")?);
        let (blake3, container) = (columns.parsed("blake3")?, columns.optional_text("container")?);
        let row = |i: usize| Self {
            uri: uri[i].clone(),
            etag: etag[i].clone(),
            size_bytes: size[i],
            blake3: blake3[i],
            container: container[i].clone(),
        };
        Ok((0..frame.height()).map(row).collect())
    }
}

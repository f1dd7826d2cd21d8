//! The index of the table of embeddings: which parts it has, and which units of rows lie in which.
//!
//! The index is what makes a part count: it is replaced, in one step, after the parts that it names are on disk. Between the folder's
//! change and its own it lies beside itself as `embed.parquet.next`, and is taken from there if the program ends in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::index_rows::IndexRow;
use super::read::{footer_value, read_file};
use super::unit::UnitEntry;
use super::write::write_file;
use crate::files::{Condition, FileStamp, folder_of, sync_folder};
use crate::key::KeyHasher;
use crate::layout::Layout;
use crate::{DatasetError, DatasetErrorKind};

/// Key of the list of parts (JSON) in the index's footer.
const PARTS_KEY: &str = "ecosight.parts";

/// Key of the digest of the rows in the index's footer: a flipped bit must not make a unit count that is not there.
const ROWS_KEY: &str = "ecosight.rows";

fn digest(rows: &[IndexRow]) -> String {
    let add = |hash: KeyHasher, row: &IndexRow| {
        let hash = hash.str(&row.unit.clip_id.to_string()).u64(row.unit.variant.into());
        hash.bytes(row.key.as_bytes()).str(&row.recipe).u64(row.part.into())
    };
    rows.iter().fold(KeyHasher::new("index").u64(rows.len() as u64), add).finish().to_string()
}

/// The parts of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedParts {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the embedder that made them.
    pub embedder: String,
    /// The parts, in the order in which they are read.
    pub parts: Vec<PartStamp>,
}

/// A part of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartStamp {
    /// The file.
    pub file: FileStamp,
    /// Its rows.
    pub rows: u64,
}

/// The whole index.
pub(super) struct EmbedIndex {
    pub(super) table: EmbedParts,
    /// Units of each part.
    pub(super) units: Vec<Vec<UnitEntry>>,
}

impl EmbedParts {
    /// What is committed; nothing where there is no table.
    pub fn read(layout: &Layout) -> Result<Option<Self>, DatasetError> {
        Ok(committed(layout)?.map(|(_, table)| table))
    }
}

impl EmbedIndex {
    /// What is committed; nothing where there is no table.
    pub(super) fn read(layout: &Layout) -> Result<Option<Self>, DatasetError> {
        let Some((path, table)) = committed(layout)? else { return Ok(None) };
        let mut units = vec![Vec::new(); table.parts.len()];
        // One text for all units that are made in the same way.
        let mut recipes = std::collections::HashMap::<String, Arc<str>>::new();
        let rows = read_file::<IndexRow>(&path)?;
        if footer_value(&path, ROWS_KEY)?.is_none_or(|written| written != digest(&rows)) {
            return Err(DatasetError::new("read table", path.display().to_string(), DatasetErrorKind::Damaged));
        }
        for row in rows {
            let recipe = recipes.entry(row.recipe).or_insert_with_key(|text| Arc::from(text.as_str())).clone();
            if let Some(units) = units.get_mut(row.part as usize) {
                units.push(UnitEntry { unit: row.unit, key: row.key, recipe });
            }
        }
        Ok(Some(Self { table, units }))
    }

    /// Writes it beside the one that counts.
    pub(super) fn prepare(&self, layout: &Layout) -> Result<(), DatasetError> {
        let row = |(part, entry): (usize, &UnitEntry)| IndexRow {
            unit: entry.unit,
            key: entry.key,
            recipe: entry.recipe.to_string(),
            part: part as u32,
        };
        let units = self.units.iter().enumerate().flat_map(|(part, units)| units.iter().map(move |unit| (part, unit)));
        let rows: Vec<IndexRow> = units.map(row).collect();
        let table = serde_json::to_string(&self.table).expect("a list of parts is plain data");
        write_file(&next(layout), &rows, &[(PARTS_KEY, table), (ROWS_KEY, digest(&rows))])
    }
}

/// Makes the prepared index the one that counts.
pub(super) fn commit(layout: &Layout) -> Result<(), DatasetError> {
    let path = layout.embed_index();
    let commit = || {
        std::fs::rename(next(layout), &path)?;
        sync_folder(folder_of(&path))
    };
    commit().map_err(DatasetError::at("write table", &path))
}

/// Completes a commit that was cut off, or forgets it.
pub(super) fn recover(layout: &Layout) -> Result<(), DatasetError> {
    let next = next(layout);
    match committed(layout) {
        Ok(Some((path, _))) if path == next => commit(layout),
        _ if next.exists() => std::fs::remove_file(&next).map_err(DatasetError::at("write table", &next)),
        _ => Ok(()),
    }
}

/// The index that fits the folder, with its list of parts.
fn committed(layout: &Layout) -> Result<Option<(PathBuf, EmbedParts)>, DatasetError> {
    let next = next(layout);
    if next.exists() {
        // A file that was cut off while it was written does not count.
        let table = parts_of(&next).ok().flatten();
        let is_there =
            |part: &PartStamp| !matches!(part.file.check(layout.root()), Condition::Missing | Condition::Damaged);
        if let Some(table) = table.filter(|table| table.parts.iter().all(is_there)) {
            return Ok(Some((next, table)));
        }
    }
    let path = layout.embed_index();
    if !path.exists() {
        return Ok(None);
    }
    Ok(parts_of(&path)?.map(|table| (path, table)))
}

fn parts_of(path: &Path) -> Result<Option<EmbedParts>, DatasetError> {
    let Some(text) = footer_value(path, PARTS_KEY)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(DatasetError::at("read table", path))
}

fn next(layout: &Layout) -> PathBuf {
    layout.embed_index().with_extension("parquet.next")
}

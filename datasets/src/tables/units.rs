//! The table of embeddings read back, unit by unit, never all in memory.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use half::slice::HalfFloatSliceExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::embed::Unit;
use super::read::parts;
use super::schema;
use crate::{DatasetError, layout::Layout};

/// All rows of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRows {
    /// Which clip and variant.
    pub unit: Unit,
    /// Start of each patch in seconds, `[patches]`.
    pub start_s: Vec<f64>,
    /// `[patches, dim]`, row-major.
    pub embeddings: Vec<f32>,
}

/// Reads the table of embeddings unit by unit, in the order in which they were written.
pub struct EmbedReader {
    folder: PathBuf,
    parts: std::vec::IntoIter<PathBuf>,
    batches: Option<ParquetRecordBatchReader>,
    pending: Option<UnitRows>,
    ready: std::collections::VecDeque<UnitRows>,
}

impl EmbedReader {
    /// The live table; an error where there is none.
    pub fn open(layout: &Layout) -> Result<Self, DatasetError> {
        let folder = embedder_folder(layout)?;
        let parts = parts(&folder)?.into_iter();
        Ok(Self { folder, parts, batches: None, pending: None, ready: std::collections::VecDeque::new() })
    }

    /// The folder `embedder=<id>` that is read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn advance(&mut self) -> Result<Option<UnitRows>, DatasetError> {
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Ok(Some(rows));
            }
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                let batch = batch.map_err(DatasetError::at("read table", &self.folder))?;
                self.take(&batch)?;
            } else if let Some(part) = self.parts.next() {
                let open = || {
                    let file = File::open(&part)?;
                    ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(1024).build()
                };
                self.batches = Some(open().map_err(DatasetError::at("read table", &part))?);
            } else {
                return Ok(self.pending.take());
            }
        }
    }

    /// Cuts a batch into units; the last one may go on in the next batch.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), DatasetError> {
        let malformed = || DatasetError::invalid("read table", self.folder.display().to_string(), "unexpected columns");
        if batch.schema().fields().len() != schema::EMBED.columns.len() {
            return Err(malformed());
        }
        let ids = batch.column(0).as_string_opt::<i32>().ok_or_else(malformed)?;
        let variants = batch.column(1).as_primitive_opt::<UInt32Type>().ok_or_else(malformed)?;
        let starts = batch.column(3).as_primitive_opt::<Float64Type>().ok_or_else(malformed)?;
        let lists = batch.column(4).as_fixed_size_list_opt().ok_or_else(malformed)?;
        let dim = lists.value_length() as usize;
        let values = values(lists.values()).ok_or_else(malformed)?;
        for row in 0..batch.num_rows() {
            let clip_id = ids.value(row).parse().map_err(|_| malformed())?;
            let unit = Unit { clip_id, variant: variants.value(row) };
            if self.pending.as_ref().is_none_or(|rows| rows.unit != unit) {
                let new = UnitRows { unit, start_s: Vec::new(), embeddings: Vec::new() };
                self.ready.extend(self.pending.replace(new));
            }
            if let Some(rows) = &mut self.pending {
                rows.start_s.push(starts.value(row));
                rows.embeddings.extend_from_slice(&values[row * dim..(row + 1) * dim]);
            }
        }
        Ok(())
    }
}

/// The values of the vectors as 32-bit floats, whatever they are kept in.
fn values(array: &ArrayRef) -> Option<Cow<'_, [f32]>> {
    if let Some(values) = array.as_primitive_opt::<Float32Type>() {
        return Some(Cow::Borrowed(values.values()));
    }
    let halves = array.as_primitive_opt::<Float16Type>()?.values();
    let mut values = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut values);
    Some(Cow::Owned(values))
}

impl Iterator for EmbedReader {
    type Item = Result<UnitRows, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The one folder `embedder=<id>` of the live table.
fn embedder_folder(layout: &Layout) -> Result<PathBuf, DatasetError> {
    let table = layout.table(schema::EMBED.name);
    let entries = std::fs::read_dir(&table).map_err(DatasetError::at("read table", &table))?;
    let is_embedder = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("embedder="));
    let mut folders = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_embedder);
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder),
        _ => Err(DatasetError::invalid("read table", table.display().to_string(), "expected one folder `embedder=…`")),
    }
}

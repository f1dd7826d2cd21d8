//! The table of embeddings read back, never all in memory.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use half::slice::HalfFloatSliceExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::embed::Unit;
use super::patches::Patches;
use super::read::parts;
use super::schema;
use crate::{DatasetError, layout::Layout};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1024;

/// Reads the table of embeddings in the order in which it was written, in runs of rows of one unit. The runs of a unit follow one
/// another; one of more than about a thousand rows comes in several.
pub struct EmbedReader {
    folder: PathBuf,
    parts: std::vec::IntoIter<PathBuf>,
    batches: Option<ParquetRecordBatchReader>,
    ready: std::vec::IntoIter<(Unit, Patches)>,
}

impl EmbedReader {
    /// The live table; an error where there is none.
    pub fn open(layout: &Layout) -> Result<Self, DatasetError> {
        let folder = embedder_folder(layout)?;
        let parts = parts(&folder)?.into_iter();
        Ok(Self { folder, parts, batches: None, ready: Vec::new().into_iter() })
    }

    /// The folder `embedder=<id>` that is read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn advance(&mut self) -> Result<Option<(Unit, Patches)>, DatasetError> {
        loop {
            if let Some(run) = self.ready.next() {
                return Ok(Some(run));
            }
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                let batch = batch.map_err(DatasetError::at("read table", &self.folder))?;
                let malformed =
                    || DatasetError::invalid("read table", self.folder.display().to_string(), "unexpected columns");
                self.ready = runs(&batch).ok_or_else(malformed)?.into_iter();
            } else if let Some(part) = self.parts.next() {
                let open = || {
                    let file = File::open(&part)?;
                    ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS).build()
                };
                self.batches = Some(open().map_err(DatasetError::at("read table", &part))?);
            } else {
                return Ok(None);
            }
        }
    }
}

/// Cuts a batch into runs of one unit; nothing where the columns are not those of the table.
fn runs(batch: &RecordBatch) -> Option<Vec<(Unit, Patches)>> {
    if batch.schema().fields().len() != schema::EMBED.columns.len() {
        return None;
    }
    let ids = batch.column(0).as_string_opt::<i32>()?;
    let variants = batch.column(1).as_primitive_opt::<UInt32Type>()?.values();
    let numbers = batch.column(2).as_primitive_opt::<UInt32Type>()?.values();
    let starts = batch.column(3).as_primitive_opt::<Float64Type>()?.values();
    let lists = batch.column(4).as_fixed_size_list_opt()?;
    let dim = lists.value_length() as usize;
    let values = values(lists.values())?;
    let mut runs = Vec::new();
    let mut from = 0;
    while from < batch.num_rows() {
        let is_same = |row: &usize| ids.value(*row) == ids.value(from) && variants[*row] == variants[from];
        let to = (from..batch.num_rows()).take_while(is_same).last()? + 1;
        let unit = Unit { clip_id: ids.value(from).parse().ok()?, variant: variants[from] };
        let (start_s, embeddings) = (starts[from..to].to_vec(), values[from * dim..to * dim].to_vec());
        runs.push((unit, Patches { first: numbers[from], start_s, embeddings }));
        from = to;
    }
    Some(runs)
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
    type Item = Result<(Unit, Patches), DatasetError>;

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

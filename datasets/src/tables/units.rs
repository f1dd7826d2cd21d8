//! The table of embeddings read back, never all in memory.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use half::slice::HalfFloatSliceExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::index::EmbedParts;
use super::patches::Patches;
use super::read::footer_value;
use super::schema;
use super::unit::Unit;
use crate::files::{Condition, FileStamp};
use crate::layout::Layout;
use crate::{DatasetError, DatasetErrorKind};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1024;

/// Reads the table of embeddings in the order in which it was written, in runs of rows of one unit. The runs of a unit follow one
/// another; one of more than about a thousand rows comes in several.
pub struct EmbedReader {
    root: PathBuf,
    parts: std::vec::IntoIter<FileStamp>,
    path: PathBuf,
    batches: Option<ParquetRecordBatchReader>,
    ready: std::vec::IntoIter<(Unit, Patches)>,
}

impl EmbedReader {
    /// The live table; an error where there is none.
    pub fn open(layout: &Layout) -> Result<Self, DatasetError> {
        let table = layout.table(schema::EMBED.name);
        let none = || DatasetError::invalid("read table", table.display().to_string(), "there is no such table");
        let parts = EmbedParts::read(layout)?.ok_or_else(none)?.parts;
        Ok(Self::of_parts(layout.root(), parts.into_iter().map(|part| part.file).collect()))
    }

    /// The value stored under `key` in the footer of the first part.
    pub fn metadata(&self, key: &str) -> Result<Option<String>, DatasetError> {
        self.parts.as_slice().first().map_or(Ok(None), |part| footer_value(&self.root.join(&part.path), key))
    }

    /// These parts below `root`. The content of each is checked before the first row is taken from it.
    pub(super) fn of_parts(root: &Path, parts: Vec<FileStamp>) -> Self {
        let (parts, ready) = (parts.into_iter(), Vec::new().into_iter());
        Self { root: root.to_owned(), parts, path: PathBuf::new(), batches: None, ready }
    }

    fn advance(&mut self) -> Result<Option<(Unit, Patches)>, DatasetError> {
        loop {
            if let Some(run) = self.ready.next() {
                return Ok(Some(run));
            }
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                let batch = batch.map_err(DatasetError::at("read table", &self.path))?;
                let malformed =
                    || DatasetError::invalid("read table", self.path.display().to_string(), "unexpected columns");
                self.ready = runs(&batch).ok_or_else(malformed)?.into_iter();
            } else if let Some(part) = self.parts.next() {
                self.path = self.root.join(&part.path);
                if matches!(part.verify(&self.root), Condition::Missing | Condition::Damaged) {
                    return Err(DatasetError::new("read table", part.path, DatasetErrorKind::Damaged));
                }
                let open = || {
                    let file = File::open(&self.path)?;
                    ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS).build()
                };
                self.batches = Some(open().map_err(DatasetError::at("read table", &self.path))?);
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

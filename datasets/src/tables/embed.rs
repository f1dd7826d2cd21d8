//! The table of embeddings: written clip by clip, read back unit by unit, never all in memory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::read::parts;
use super::schema::{self, Table};
use super::write::{PartWriter, fresh_staging};
use crate::files::replace_folder;
use crate::key::ClipId;
use crate::{DatasetError, layout::Layout};

/// Rows after which a new part begins, between two units.
const PART_ROWS: usize = 65_536;

/// A clip and the number of its variant: what `embed` computes as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The clip.
    pub clip_id: ClipId,
    /// 0 for the original.
    pub variant: u32,
}

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

/// Writes the table of embeddings of one embedder; it replaces the live table only when [`finish`](Self::finish) is called.
pub struct EmbedWriter {
    layout: Layout,
    staged: PathBuf,
    folder: PathBuf,
    schema: SchemaRef,
    metadata: Vec<(&'static str, String)>,
    dim: usize,
    part: Option<PartWriter>,
    parts: usize,
    rows_in_part: usize,
}

impl EmbedWriter {
    /// A new table for the embedder `id` (a folder name) with vectors of `dim` values; `metadata` goes into every part.
    pub fn create(
        layout: &Layout,
        id: &str,
        dim: usize,
        metadata: Vec<(&'static str, String)>,
    ) -> Result<Self, DatasetError> {
        let staged = fresh_staging(layout, schema::EMBED.name)?;
        let folder = staged.join(format!("embedder={id}"));
        std::fs::create_dir_all(&folder).map_err(DatasetError::at("create table", &folder))?;
        Ok(Self {
            layout: layout.clone(),
            staged,
            folder,
            schema: schema::EMBED.arrow(dim),
            metadata,
            dim,
            part: None,
            parts: 0,
            rows_in_part: 0,
        })
    }

    /// Appends the rows of one unit; they all lie in one part.
    pub fn write(&mut self, rows: &UnitRows) -> Result<(), DatasetError> {
        let batch = batch(&self.schema, self.dim, rows)?;
        self.part()?.write(&batch)?;
        self.rows_in_part += batch.num_rows();
        if self.rows_in_part >= PART_ROWS {
            self.finish_part()?;
        }
        Ok(())
    }

    /// Completes the table and puts it in place of the live one.
    pub fn finish(mut self) -> Result<(), DatasetError> {
        // A table without rows still says what its columns are.
        if self.parts == 0 {
            self.part()?;
        }
        self.finish_part()?;
        replace_folder(&self.staged, &self.layout.table(schema::EMBED.name))
    }

    fn part(&mut self) -> Result<&mut PartWriter, DatasetError> {
        if self.part.is_none() {
            let path = self.folder.join(format!("part-{:05}.parquet", self.parts));
            self.part = Some(PartWriter::create(&path, self.schema.clone(), &self.metadata)?);
            self.parts += 1;
            self.rows_in_part = 0;
        }
        Ok(self.part.as_mut().expect("the part was just created"))
    }

    fn finish_part(&mut self) -> Result<(), DatasetError> {
        self.part.take().map_or(Ok(()), PartWriter::finish)
    }
}

fn batch(schema: &SchemaRef, dim: usize, rows: &UnitRows) -> Result<RecordBatch, DatasetError> {
    let n = rows.start_s.len();
    let id = rows.unit.clip_id.to_string();
    let embeddings = embedding_array(rows.embeddings.clone(), dim)?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(id, n))),
        Arc::new(UInt32Array::from(vec![rows.unit.variant; n])),
        Arc::new(UInt32Array::from_iter_values(0..n as u32)),
        Arc::new(Float64Array::from(rows.start_s.clone())),
        embeddings,
    ];
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| DatasetError::new("build table", schema::EMBED.name, e))
}

/// `[rows, dim]` values as a column of fixed-size lists.
pub(super) fn embedding_array(values: Vec<f32>, dim: usize) -> Result<ArrayRef, DatasetError> {
    let list = FixedSizeListArray::try_new(Table::item(), dim as i32, Arc::new(Float32Array::from(values)), None);
    Ok(Arc::new(list.map_err(|e| DatasetError::new("build table", schema::EMBED.name, e))?))
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
        let values = lists.values().as_primitive_opt::<Float32Type>().ok_or_else(malformed)?.values();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ContentHash;

    fn unit(n: u8, variant: u32, patches: usize) -> UnitRows {
        let clip_id = ClipId::of_file(&ContentHash::of_reader(&[n][..]).unwrap());
        let start_s = (0..patches).map(|k| k as f64 * 0.48).collect();
        let embeddings = (0..patches * 3).map(|k| k as f32 + f32::from(n)).collect();
        UnitRows { unit: Unit { clip_id, variant }, start_s, embeddings }
    }

    #[test]
    fn units_come_back_as_they_were_written_across_batches_and_parts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let units = [unit(1, 0, 3), unit(1, 1, 66_000), unit(2, 0, 1), unit(3, 0, 2000)];
        let mut writer = EmbedWriter::create(&layout, "test-v1", 3, vec![("who", "me".into())]).unwrap();
        for rows in &units {
            writer.write(rows).unwrap();
        }
        writer.finish().unwrap();
        let reader = EmbedReader::open(&layout).unwrap();
        assert_eq!(super::super::read_metadata(reader.folder(), "who").unwrap().as_deref(), Some("me"));
        assert_eq!(parts(reader.folder()).unwrap().len(), 2);
        let back: Vec<_> = reader.map(Result::unwrap).collect();
        assert!(back == units, "rows differ");
    }

    #[test]
    fn a_truncated_part_is_an_error_not_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut writer = EmbedWriter::create(&layout, "test-v1", 3, vec![]).unwrap();
        writer.write(&unit(1, 0, 500)).unwrap();
        writer.finish().unwrap();
        let part = parts(EmbedReader::open(&layout).unwrap().folder()).unwrap().remove(0);
        let bytes = std::fs::read(&part).unwrap();
        for keep in [0, 4, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&part, &bytes[..keep]).unwrap();
            assert!(EmbedReader::open(&layout).unwrap().any(|rows| rows.is_err()), "{keep} bytes");
        }
    }
}

//! Parquet files that a user asked for by name: embeddings of files, predictions.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempPath;

use super::patches::Patches;
use super::schema::{self, Vectors};
use super::write::PartWriter;
use crate::DatasetError;
use crate::files::{folder_of, temporary_in};

/// Writes embeddings of files; the destination appears when [`finish`](Self::finish) is called.
///
/// A file too long to be held in memory lies in a temporary one until it is complete, and is then copied: rows once written cannot be
/// taken back, and those of each file stand behind those of the file before.
pub struct FileEmbeddings {
    destination: PathBuf,
    temporary: TempPath,
    writer: PartWriter,
    vectors: Vectors,
    long: HashMap<usize, (TempPath, PartWriter)>,
}

impl FileEmbeddings {
    /// Begins `destination`; `metadata` goes into the Parquet footer.
    pub fn create(destination: &Path, vectors: Vectors, metadata: &[(&str, String)]) -> Result<Self, DatasetError> {
        let temporary = temporary_beside(destination)?;
        let writer = PartWriter::create(&temporary, schema::FILE_EMBEDDINGS.arrow(vectors), metadata)?;
        Ok(Self { destination: destination.to_owned(), temporary, writer, vectors, long: HashMap::new() })
    }

    /// Appends all patches of one file.
    pub fn write(&mut self, path: &str, patches: Patches) -> Result<(), DatasetError> {
        let batch = self.batch(path, patches)?;
        self.writer.write(&batch)
    }

    /// Takes the next patches of the file with this number, which is too long to be held.
    pub fn write_long(&mut self, number: usize, path: &str, patches: Patches) -> Result<(), DatasetError> {
        let batch = self.batch(path, patches)?;
        if !self.long.contains_key(&number) {
            let temporary = temporary_beside(&self.destination)?;
            let writer = PartWriter::create(&temporary, batch.schema(), &[])?;
            self.long.insert(number, (temporary, writer));
        }
        self.long.get_mut(&number).map_or(Ok(()), |(_, writer)| writer.write(&batch))
    }

    /// The long file is complete: its rows are the next ones.
    pub fn keep_long(&mut self, number: usize) -> Result<(), DatasetError> {
        let Some((temporary, writer)) = self.long.remove(&number) else { return Ok(()) };
        writer.finish()?;
        let open = || ParquetRecordBatchReaderBuilder::try_new(File::open(&temporary)?)?.with_batch_size(1024).build();
        for batch in open().map_err(DatasetError::at("read table", &temporary))? {
            self.writer.write(&batch.map_err(DatasetError::at("read table", &temporary))?)?;
        }
        Ok(())
    }

    /// The long file cannot be used: its rows vanish. Nothing happens where it has none.
    pub fn drop_long(&mut self, number: usize) {
        self.long.remove(&number);
    }

    /// Completes the file.
    pub fn finish(self) -> Result<(), DatasetError> {
        self.writer.finish()?;
        persist(self.temporary, &self.destination)
    }

    fn batch(&self, path: &str, patches: Patches) -> Result<RecordBatch, DatasetError> {
        let paths = StringArray::from_iter_values(std::iter::repeat_n(path, patches.len()));
        let columns: Vec<ArrayRef> =
            [Arc::new(paths) as ArrayRef].into_iter().chain(patches.columns(self.vectors)?).collect();
        RecordBatch::try_new(schema::FILE_EMBEDDINGS.arrow(self.vectors), columns)
            .map_err(DatasetError::at("build table", &self.destination))
    }
}

/// A column of a table whose columns are known only when it is written.
pub enum OutColumn {
    /// Text.
    Text(Vec<String>),
    /// Seconds and the like.
    Float64(Vec<f64>),
    /// Probabilities.
    Float32(Vec<f32>),
}

/// Writes `columns` to `destination` as Parquet.
pub fn write_columns(destination: &Path, columns: Vec<(String, OutColumn)>) -> Result<(), DatasetError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (name, column) in columns {
        let array: ArrayRef = match column {
            OutColumn::Text(values) => Arc::new(StringArray::from(values)),
            OutColumn::Float64(values) => Arc::new(Float64Array::from(values)),
            OutColumn::Float32(values) => Arc::new(Float32Array::from(values)),
        };
        let data_type: DataType = array.data_type().clone();
        fields.push(Field::new(name, data_type, false));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(DatasetError::at("build table", destination))?;
    let temporary = temporary_beside(destination)?;
    let mut writer = PartWriter::create(&temporary, schema, &[])?;
    writer.write(&batch)?;
    writer.finish()?;
    persist(temporary, destination)
}

fn temporary_beside(destination: &Path) -> Result<TempPath, DatasetError> {
    let folder = folder_of(destination);
    std::fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
    let file = temporary_in(folder);
    Ok(file.map_err(DatasetError::at("write file", destination))?.into_temp_path())
}

fn persist(temporary: TempPath, destination: &Path) -> Result<(), DatasetError> {
    temporary
        .persist(destination)
        .map_err(|e| DatasetError::new("write file", destination.display().to_string(), e.error))
}

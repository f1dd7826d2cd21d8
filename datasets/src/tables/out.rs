//! Parquet files that a user asked for by name: embeddings of files, predictions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use super::embed::embedding_array;
use super::schema;
use super::write::PartWriter;
use crate::DatasetError;
use crate::files::{folder_of, temporary_in};

/// Writes embeddings of files; the destination appears when [`finish`](Self::finish) is called.
pub struct FileEmbeddings {
    destination: PathBuf,
    temporary: tempfile::TempPath,
    writer: PartWriter,
    dim: usize,
}

impl FileEmbeddings {
    /// Begins `destination`, for vectors of `dim` values; `metadata` goes into the Parquet footer.
    pub fn create(destination: &Path, dim: usize, metadata: &[(&str, String)]) -> Result<Self, DatasetError> {
        let temporary = temporary_beside(destination)?;
        let writer = PartWriter::create(&temporary, schema::FILE_EMBEDDINGS.arrow(dim), metadata)?;
        Ok(Self { destination: destination.to_owned(), temporary, writer, dim })
    }

    /// Appends the patches of one file: `start_s` is `[patches]`, `embeddings` is `[patches, dim]`.
    pub fn write(&mut self, path: &str, start_s: Vec<f64>, embeddings: Vec<f32>) -> Result<(), DatasetError> {
        let n = start_s.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(path, n))),
            Arc::new(UInt32Array::from_iter_values(0..n as u32)),
            Arc::new(Float64Array::from(start_s)),
            embedding_array(embeddings, self.dim)?,
        ];
        let batch = RecordBatch::try_new(schema::FILE_EMBEDDINGS.arrow(self.dim), columns)
            .map_err(DatasetError::at("build table", &self.destination))?;
        self.writer.write(&batch)
    }

    /// Completes the file.
    pub fn finish(self) -> Result<(), DatasetError> {
        self.writer.finish()?;
        persist(self.temporary, &self.destination)
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

fn temporary_beside(destination: &Path) -> Result<tempfile::TempPath, DatasetError> {
    let folder = folder_of(destination);
    std::fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
    let file = temporary_in(folder);
    Ok(file.map_err(DatasetError::at("write file", destination))?.into_temp_path())
}

fn persist(temporary: tempfile::TempPath, destination: &Path) -> Result<(), DatasetError> {
    temporary
        .persist(destination)
        .map_err(|e| DatasetError::new("write file", destination.display().to_string(), e.error))
}

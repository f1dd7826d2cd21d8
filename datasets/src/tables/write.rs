//! Writing Parquet parts.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::rows::Row;
use super::schema::Vectors;
use crate::files::{folder_of, replace_folder, sync_folder};
use crate::{DatasetError, layout::Layout};

/// Rows of a row group: 4096 embeddings of 1024 values are 16 MiB, which bounds the writer's memory.
const ROW_GROUP_ROWS: usize = 4096;

/// Writes one Parquet part, zstd compressed; the file is complete and synced once [`finish`](Self::finish) returns.
pub struct PartWriter {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl PartWriter {
    /// Creates `path`; `metadata` goes into the Parquet footer.
    pub fn create(path: &Path, schema: SchemaRef, metadata: &[(&str, String)]) -> Result<Self, DatasetError> {
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(DatasetError::at("create table", folder))?;
        let file = File::create(path).map_err(DatasetError::at("create table", path))?;
        let pairs = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let embedding = ColumnPath::new(["embedding", "list", "element"].map(str::to_owned).to_vec());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(DatasetError::at("create table", path))?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            // Embeddings hardly repeat, and their least and largest value say nothing: both only cost time and space. Their many zeros
            // are what compresses, and do so best where they lie side by side, so the bytes are not split into streams either.
            .set_column_dictionary_enabled(embedding.clone(), false)
            .set_column_statistics_enabled(embedding, EnabledStatistics::None)
            .set_key_value_metadata(Some(pairs))
            .build();
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(DatasetError::at("create table", path))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DatasetError> {
        self.writer.write(batch).map_err(DatasetError::at("write table", &self.path))
    }

    /// Completes the file and makes it durable.
    pub fn finish(self) -> Result<(), DatasetError> {
        let file = self.writer.into_inner().map_err(DatasetError::at("write table", &self.path))?;
        file.sync_all().map_err(DatasetError::at("write table", &self.path))?;
        sync_folder(folder_of(&self.path)).map_err(DatasetError::at("write table", &self.path))
    }
}

/// Replaces the whole table of `R` by `rows`.
pub fn write_rows<R: Row>(layout: &Layout, rows: &[R]) -> Result<(), DatasetError> {
    let staged = fresh_staging(layout, R::TABLE.name)?;
    let mut part = PartWriter::create(&staged.join("part-00000.parquet"), R::TABLE.arrow(Vectors::NONE), &[])?;
    part.write(&R::batch(rows)?)?;
    part.finish()?;
    replace_folder(&staged, &layout.table(R::TABLE.name))
}

/// An empty staging folder for `name`: what a killed run left there is removed.
pub(super) fn fresh_staging(layout: &Layout, name: &str) -> Result<PathBuf, DatasetError> {
    let staged = layout.staging(name);
    // A run that was killed between the two renames of `replace_folder` has left the live table here.
    let (old, live) = (staged.with_extension("old"), layout.table(name));
    if old.exists() && !live.exists() {
        replace_folder(&old, &live)?;
    }
    for leftover in [&staged, &staged.with_extension("old")] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(DatasetError::at("clear staging folder", leftover))?;
        }
    }
    std::fs::create_dir_all(&staged).map_err(DatasetError::at("create staging folder", &staged))?;
    Ok(staged)
}

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

use super::digest::{Digests, column_digests};
use super::index_rows::FileRow;
use super::read::read_file;
use super::rows::Row;
use super::schema::Vectors;
use crate::files::{FileStamp, folder_of, sync_folder, temporary_in};
use crate::{DatasetError, layout::Layout};

/// The part of a table that has one.
pub(super) const PART: &str = "part-00000.parquet";

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

    /// Adds to the Parquet footer what is known only at the end.
    pub fn note(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    /// Completes the file and makes it durable.
    pub fn finish(self) -> Result<(), DatasetError> {
        let file = self.writer.into_inner().map_err(DatasetError::at("write table", &self.path))?;
        file.sync_all().map_err(DatasetError::at("write table", &self.path))?;
        sync_folder(folder_of(&self.path)).map_err(DatasetError::at("write table", &self.path))
    }
}

/// A table that was written as one part.
#[derive(Clone, Debug)]
pub struct Written {
    /// The part.
    pub stamp: FileStamp,
    /// Digest of each column.
    pub columns: Digests,
}

/// Replaces the whole table of `R` by `rows`: one part, in one step.
pub fn write_rows<R: Row>(layout: &Layout, rows: &[R]) -> Result<Written, DatasetError> {
    let batch = R::batch(rows)?;
    let name = R::TABLE.name;
    let staged = layout.staging(name).join(PART);
    let mut part = PartWriter::create(&staged, batch.schema(), &[])?;
    part.write(&batch)?;
    part.finish()?;
    Ok(Written { stamp: put_part(layout, name, &staged)?, columns: column_digests(&batch) })
}

/// Makes the Parquet file `staged` the only part of the table `name`, in one step.
pub fn put_part(layout: &Layout, name: &str, staged: &Path) -> Result<FileStamp, DatasetError> {
    let (folder, live) = (layout.table(name), layout.table(name).join(PART));
    let put = || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        std::fs::File::open(staged)?.sync_all()?;
        std::fs::rename(staged, &live)?;
        sync_folder(&folder)
    };
    put().map_err(DatasetError::at("write table", &live))?;
    set_strangers_aside(layout, name).map_err(DatasetError::at("write table", &folder))?;
    // Nothing depends on an empty folder.
    let _ = std::fs::remove_dir(folder_of(staged));
    FileStamp::take(layout.root(), &live)
}

/// Moves whatever else lies in the folder of the table `name` to `retired/`: who reads all of the folder reads the table.
fn set_strangers_aside(layout: &Layout, name: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(layout.table(name))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|file| file != PART) {
            let aside = layout.retired().join("unknown/tables").join(name);
            std::fs::create_dir_all(&aside)?;
            std::fs::rename(&path, aside.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// What is known of the files of the source; nothing before the first run.
pub fn read_files_index(layout: &Layout) -> Result<Vec<FileRow>, DatasetError> {
    let path = layout.files_index();
    if path.exists() { read_file(&path) } else { Ok(Vec::new()) }
}

/// Replaces what is known of the files of the source.
pub fn write_files_index(layout: &Layout, rows: &[FileRow]) -> Result<(), DatasetError> {
    write_file(&layout.files_index(), rows, &[])
}

/// Replaces the file `path` by `rows`, in one step; `metadata` goes into the Parquet footer.
pub(super) fn write_file<R: Row>(path: &Path, rows: &[R], metadata: &[(&str, String)]) -> Result<(), DatasetError> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(DatasetError::at("write table", folder))?;
    let temporary = temporary_in(folder).map_err(DatasetError::at("write table", path))?.into_temp_path();
    let mut part = PartWriter::create(&temporary, R::TABLE.arrow(Vectors::NONE), metadata)?;
    part.write(&R::batch(rows)?)?;
    part.finish()?;
    temporary.persist(path).map_err(|e| DatasetError::new("write table", path.display().to_string(), e.error))?;
    sync_folder(folder).map_err(DatasetError::at("write table", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ClipId, ContentHash};
    use crate::tables::{Side, SplitRow, read_rows};

    #[test]
    fn a_strange_part_is_not_read_and_leaves_with_the_next_write() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let clip_id = ClipId::of_file(&ContentHash::of_reader(&b"x"[..]).unwrap());
        let row = SplitRow::new(clip_id, "r".into(), Side::Train);
        write_rows(&layout, std::slice::from_ref(&row)).unwrap();
        let folder = layout.table("split");
        std::fs::copy(folder.join(PART), folder.join("part-copy.parquet")).unwrap();
        assert_eq!(read_rows::<SplitRow>(&folder).unwrap(), std::slice::from_ref(&row));
        write_rows(&layout, &[row]).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert!(layout.retired().join("unknown/tables/split/part-copy.parquet").exists());
    }
}

//! Reading the small tables through Polars, and a table's own metadata.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use polars::prelude::{DataFrame, DataType, ParquetReader, SerReader};

use super::rows::Row;
use super::write::PART;
use crate::DatasetError;
use crate::key::ClipId;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1024;

/// The part files of a table folder, in order of their names; folders within it (`embedder=…`) are not entered.
pub(super) fn parts(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = std::fs::read_dir(folder).map_err(DatasetError::at("read table", folder))?;
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(DatasetError::at("read table", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("part-") && path.extension().is_some_and(|e| e == "parquet") {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

/// All rows of the table in `folder`, which has one part.
pub fn read_rows<R: Row>(folder: &Path) -> Result<Vec<R>, DatasetError> {
    read_file(&folder.join(PART))
}

/// All rows of one file.
pub fn read_file<R: Row>(path: &Path) -> Result<Vec<R>, DatasetError> {
    let file = File::open(path).map_err(DatasetError::at("read table", path))?;
    let frame = ParquetReader::new(file).finish().map_err(DatasetError::at("read table", path))?;
    R::from_frame(&frame)
}

/// The value stored under `key` in the Parquet metadata of the first part of `folder`.
pub fn read_metadata(folder: &Path, key: &str) -> Result<Option<String>, DatasetError> {
    parts(folder)?.into_iter().next().map_or(Ok(None), |part| footer_value(&part, key))
}

/// The value stored under `key` in the footer of a Parquet file.
pub(super) fn footer_value(path: &Path, key: &str) -> Result<Option<String>, DatasetError> {
    let reader = open(path)?;
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    Ok(pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key)).and_then(|pair| pair.value.clone()))
}

/// Rows of a Parquet file, as its footer says.
pub fn row_count(path: &Path) -> Result<u64, DatasetError> {
    Ok(open(path)?.metadata().file_metadata().num_rows() as u64)
}

/// Decodes all rows of a Parquet file, whatever its columns are, and gives their number; an error where a page cannot be decoded.
pub fn decode(path: &Path) -> Result<u64, DatasetError> {
    let open = || ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS).build();
    let batches = open().map_err(DatasetError::at("read table", path))?;
    let mut rows = 0;
    for batch in batches {
        rows += batch.map_err(DatasetError::at("read table", path))?.num_rows() as u64;
    }
    Ok(rows)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, DatasetError> {
    let file = File::open(path).map_err(DatasetError::at("read table", path))?;
    SerializedFileReader::new(file).map_err(DatasetError::at("read table", path))
}

/// Typed access to the columns of a frame; a missing column or a null where none may be is an error that names both.
pub(crate) struct Columns<'a> {
    pub(crate) frame: &'a DataFrame,
    pub(crate) table: &'a str,
}

impl Columns<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.frame.column(name).is_ok()
    }

    /// Any column as text: numbers are written as Polars writes them.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Vec<Option<String>>, DatasetError> {
        let column = self.cast(name, &DataType::String)?;
        let text = column.str().map_err(|e| self.error(e))?;
        Ok(text.iter().map(|value| value.map(str::to_owned)).collect())
    }

    /// A column that tables of earlier versions do not have.
    pub(crate) fn later_text(&self, name: &str) -> Result<Vec<Option<String>>, DatasetError> {
        if self.has(name) { self.optional_text(name) } else { Ok(vec![None; self.frame.height()]) }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Vec<String>, DatasetError> {
        self.required(name, self.optional_text(name)?)
    }

    pub(crate) fn optional_f64(&self, name: &str) -> Result<Vec<Option<f64>>, DatasetError> {
        let column = self.cast(name, &DataType::Float64)?;
        Ok(column.f64().map_err(|e| self.error(e))?.iter().collect())
    }

    pub(crate) fn f64(&self, name: &str) -> Result<Vec<f64>, DatasetError> {
        self.required(name, self.optional_f64(name)?)
    }

    pub(crate) fn u64(&self, name: &str) -> Result<Vec<u64>, DatasetError> {
        let column = self.cast(name, &DataType::UInt64)?;
        self.required(name, column.u64().map_err(|e| self.error(e))?.iter().collect())
    }

    pub(crate) fn clip_ids(&self, name: &str) -> Result<Vec<ClipId>, DatasetError> {
        self.parsed(name)
    }

    /// A column of identities or keys.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Vec<T>, DatasetError> {
        let column = self.cast(name, &DataType::String)?;
        let text = column.str().map_err(|e| self.error(e))?;
        let parse = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            text.parse().map_err(|_| self.invalid(name, text))
        };
        text.iter().map(parse).collect()
    }

    pub(crate) fn invalid(&self, name: &str, value: &str) -> DatasetError {
        DatasetError::invalid("read table", self.table, format!("column `{name}` holds `{value}`"))
    }

    fn cast(&self, name: &str, to: &DataType) -> Result<polars::prelude::Column, DatasetError> {
        self.frame.column(name).and_then(|column| column.strict_cast(to)).map_err(|e| self.error(e))
    }

    fn required<T>(&self, name: &str, values: Vec<Option<T>>) -> Result<Vec<T>, DatasetError> {
        let lacking = |row: usize| {
            DatasetError::invalid("read table", self.table, format!("column `{name}` has no value in row {}", row + 1))
        };
        values.into_iter().enumerate().map(|(row, value)| value.ok_or_else(|| lacking(row))).collect()
    }

    fn error(&self, error: polars::error::PolarsError) -> DatasetError {
        DatasetError::new("read table", self.table, error)
    }
}

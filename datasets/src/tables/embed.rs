//! The table of embeddings, written clip by clip, never all in memory.
//!
//! Parts hold the clips in the order in which they are completed. A clip too long to be held in memory has a part of its own, which
//! becomes one of the table's when the clip is complete, and is deleted if it turns out to be unusable.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::SchemaRef;

use super::patches::Patches;
use super::schema::{self, Vectors};
use super::write::{PartWriter, fresh_staging};
use crate::files::replace_folder;
use crate::key::ClipId;
use crate::{DatasetError, layout::Layout};

/// Rows after which a new part begins, between two clips.
const PART_ROWS: usize = 65_536;

/// A clip and the number of its variant: what `embed` computes as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The clip.
    pub clip_id: ClipId,
    /// 0 for the original.
    pub variant: u32,
}

/// Writes the table of embeddings of one embedder; it replaces the live table only when [`finish`](Self::finish) is called.
pub struct EmbedWriter {
    layout: Layout,
    staged: PathBuf,
    folder: PathBuf,
    schema: SchemaRef,
    metadata: Vec<(&'static str, String)>,
    vectors: Vectors,
    part: Option<PartWriter>,
    parts: usize,
    rows_in_part: usize,
    long: HashMap<ClipId, (PathBuf, PartWriter)>,
}

impl EmbedWriter {
    /// A new table for the embedder `id` (a folder name) with `vectors`; `metadata` goes into every part.
    pub fn create(
        layout: &Layout,
        id: &str,
        vectors: Vectors,
        metadata: Vec<(&'static str, String)>,
    ) -> Result<Self, DatasetError> {
        let staged = fresh_staging(layout, schema::EMBED.name)?;
        let folder = staged.join(format!("embedder={id}"));
        std::fs::create_dir_all(&folder).map_err(DatasetError::at("create table", &folder))?;
        Ok(Self {
            layout: layout.clone(),
            staged,
            folder,
            schema: schema::EMBED.arrow(vectors),
            metadata,
            vectors,
            part: None,
            parts: 0,
            rows_in_part: 0,
            long: HashMap::new(),
        })
    }

    /// Appends all rows of one clip, variant by variant; they lie in one part.
    pub fn write(
        &mut self,
        clip_id: ClipId,
        variants: impl IntoIterator<Item = (u32, Patches)>,
    ) -> Result<(), DatasetError> {
        for (variant, patches) in variants {
            let batch = self.batch(Unit { clip_id, variant }, patches)?;
            self.part()?.write(&batch)?;
            self.rows_in_part += batch.num_rows();
        }
        if self.rows_in_part >= PART_ROWS { self.finish_part() } else { Ok(()) }
    }

    /// Takes the next rows of a clip that is too long to be held; several such clips may be on their way at a time.
    pub fn write_long(&mut self, unit: Unit, patches: Patches) -> Result<(), DatasetError> {
        let batch = self.batch(unit, patches)?;
        let id = unit.clip_id;
        if !self.long.contains_key(&id) {
            let path = self.folder.join(format!("long-{id}.parquet"));
            let part = PartWriter::create(&path, self.schema.clone(), &self.metadata)?;
            self.long.insert(id, (path, part));
        }
        self.long.get_mut(&id).map_or(Ok(()), |(_, part)| part.write(&batch))
    }

    /// The long clip is complete: its rows become the next part.
    pub fn keep_long(&mut self, clip_id: ClipId) -> Result<(), DatasetError> {
        let Some((path, part)) = self.long.remove(&clip_id) else { return Ok(()) };
        self.finish_part()?;
        part.finish()?;
        std::fs::rename(&path, self.next_path()).map_err(DatasetError::at("write table", &path))
    }

    /// The long clip cannot be used: its rows vanish. Nothing happens where it has none.
    pub fn drop_long(&mut self, clip_id: ClipId) -> Result<(), DatasetError> {
        let Some((path, part)) = self.long.remove(&clip_id) else { return Ok(()) };
        drop(part);
        std::fs::remove_file(&path).map_err(DatasetError::at("write table", &path))
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
            let path = self.next_path();
            self.part = Some(PartWriter::create(&path, self.schema.clone(), &self.metadata)?);
            self.rows_in_part = 0;
        }
        Ok(self.part.as_mut().expect("the part was just created"))
    }

    fn next_path(&mut self) -> PathBuf {
        self.parts += 1;
        self.folder.join(format!("part-{:05}.parquet", self.parts - 1))
    }

    fn finish_part(&mut self) -> Result<(), DatasetError> {
        self.part.take().map_or(Ok(()), PartWriter::finish)
    }

    fn batch(&self, unit: Unit, patches: Patches) -> Result<RecordBatch, DatasetError> {
        let n = patches.len();
        let id = unit.clip_id.to_string();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(id, n))),
            Arc::new(UInt32Array::from(vec![unit.variant; n])),
        ];
        columns.extend(patches.columns(self.vectors)?);
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| DatasetError::new("build table", schema::EMBED.name, e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EmbedReader, read_metadata, schema::ValueType};
    use super::*;
    use crate::key::ContentHash;
    use crate::tables::read::parts;

    fn clip(n: u8) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(&[n][..]).unwrap())
    }

    fn patches(n: u8, first: u32, count: u32) -> Patches {
        let start_s = (first..first + count).map(|k| f64::from(k) * 0.48).collect();
        let embeddings = (first * 3..(first + count) * 3).map(|k| (k % 2000) as f32 + f32::from(n)).collect();
        Patches { first, start_s, embeddings }
    }

    fn writer(layout: &Layout, values: ValueType) -> EmbedWriter {
        let vectors = Vectors { dim: 3, values };
        EmbedWriter::create(layout, "test-v1", vectors, vec![("who", "me".into())]).unwrap()
    }

    /// The rows of each unit.
    fn whole(reader: EmbedReader) -> Vec<(Unit, Patches)> {
        let mut units: Vec<(Unit, Patches)> = Vec::new();
        for run in reader {
            let (unit, rows) = run.unwrap();
            assert!(rows.len() <= 1024);
            match units.last_mut() {
                Some((last, so_far)) if *last == unit => so_far.append(&rows),
                _ => units.push((unit, rows)),
            }
        }
        units
    }

    #[test]
    fn units_come_back_as_they_were_written_across_batches_and_parts_in_both_widths() {
        for values in [ValueType::Float32, ValueType::Float16] {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(dir.path());
            let units = [(1, 0, 3), (1, 1, 66_000), (2, 0, 1), (3, 0, 2000)];
            let mut writer = writer(&layout, values);
            for clips in [&units[..2], &units[2..3], &units[3..]] {
                let variants = clips.iter().map(|(n, variant, count)| (*variant, patches(*n, 0, *count)));
                writer.write(clip(clips[0].0), variants).unwrap();
            }
            writer.finish().unwrap();
            let reader = EmbedReader::open(&layout).unwrap();
            assert_eq!(read_metadata(reader.folder(), "who").unwrap().as_deref(), Some("me"));
            assert_eq!(parts(reader.folder()).unwrap().len(), 2);
            let found = whole(reader);
            let unit = |n, variant| Unit { clip_id: clip(n), variant };
            let expected = units.map(|(n, variant, count)| (unit(n, variant), patches(n, 0, count)));
            assert!(found == expected, "rows differ");
        }
    }

    #[test]
    fn long_clips_have_parts_of_their_own_in_the_order_of_completion_and_vanish_when_they_fail() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut writer = writer(&layout, ValueType::Float32);
        let unit = |n, variant| Unit { clip_id: clip(n), variant };
        writer.write_long(unit(3, 0), patches(3, 0, 5)).unwrap();
        writer.write(clip(1), [(0, patches(1, 0, 2))]).unwrap();
        writer.write_long(unit(2, 0), patches(2, 0, 4)).unwrap();
        writer.write_long(unit(3, 0), patches(3, 5, 2)).unwrap();
        writer.keep_long(clip(3)).unwrap();
        writer.drop_long(clip(2)).unwrap();
        writer.drop_long(clip(9)).unwrap();
        writer.write(clip(4), [(0, patches(4, 0, 1))]).unwrap();
        writer.finish().unwrap();
        let reader = EmbedReader::open(&layout).unwrap();
        let names: Vec<_> = std::fs::read_dir(reader.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let lengths: Vec<_> = whole(reader).iter().map(|(unit, rows)| (unit.clip_id, rows.len())).collect();
        assert_eq!(lengths, [(clip(1), 2), (clip(3), 7), (clip(4), 1)]);
    }

    #[test]
    fn a_truncated_part_is_an_error_not_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut writer = writer(&layout, ValueType::Float32);
        writer.write(clip(1), [(0, patches(1, 0, 500))]).unwrap();
        writer.finish().unwrap();
        let part = parts(EmbedReader::open(&layout).unwrap().folder()).unwrap().remove(0);
        let bytes = std::fs::read(&part).unwrap();
        for keep in [0, 4, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&part, &bytes[..keep]).unwrap();
            assert!(EmbedReader::open(&layout).unwrap().any(|rows| rows.is_err()), "{keep} bytes");
        }
    }
}

//! Parts of the table of embeddings, written clip by clip, never all in memory.
//!
//! A part is a Parquet file that holds whole units and lists them, with their keys, in its footer. It appears under a name made of its
//! content once it is complete and on disk. A clip too long to be held in memory has a part of its own, which appears when the clip is
//! complete, and is deleted if it turns out to be unusable.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::SchemaRef;

use super::patches::Patches;
use super::schema::{self, Vectors};
use super::unit::{UNITS_KEY, Unit, UnitEntry, to_footer};
use super::write::PartWriter;
use crate::DatasetError;
use crate::files::sync_folder;
use crate::key::{ClipId, ContentHash};

/// Rows after which a new part begins, between two clips: 5 MB of YAMNet's, a few seconds of work, which is all that a crash can cost.
pub(super) const PART_ROWS: usize = 8192;

/// What all parts of a table have in common.
#[derive(Clone, Debug)]
pub struct EmbedFormat {
    /// Name of the embedder, for the folder.
    pub embedder: String,
    /// Its vectors.
    pub vectors: Vectors,
    /// Goes into the footer of every part.
    pub metadata: Vec<(&'static str, String)>,
}

/// Writes parts into a folder.
pub struct EmbedWriter {
    folder: PathBuf,
    schema: SchemaRef,
    format: EmbedFormat,
    part: Option<OpenPart>,
    long: HashMap<ClipId, OpenPart>,
    finished: Vec<PathBuf>,
    /// To tell temporary files apart.
    begun: usize,
}

struct OpenPart {
    path: PathBuf,
    writer: PartWriter,
    units: Vec<UnitEntry>,
    /// A unit may be there under several keys, but only one of them in a part, whose rows say nothing of keys.
    held: HashSet<Unit>,
    rows: usize,
}

impl EmbedWriter {
    /// Parts of `format` in `folder`, which is made when there is one.
    pub fn new(folder: &Path, format: EmbedFormat) -> Self {
        let schema = schema::EMBED.arrow(format.vectors);
        let (part, long) = (None, HashMap::new());
        Self { folder: folder.to_owned(), schema, format, part, long, finished: Vec::new(), begun: 0 }
    }

    /// Appends the rows of one clip, unit by unit; they lie in one part.
    pub fn write(&mut self, units: impl IntoIterator<Item = (UnitEntry, Patches)>) -> Result<(), DatasetError> {
        for (number, (entry, patches)) in units.into_iter().enumerate() {
            if number == 0 {
                self.cut()?;
            }
            self.add(&entry, patches)?;
        }
        Ok(())
    }

    /// Appends the next rows of a unit that may be long; those of a unit follow one another.
    pub fn append(&mut self, entry: &UnitEntry, patches: Patches) -> Result<(), DatasetError> {
        if !self.goes_on(entry) {
            self.cut()?;
        }
        self.add(entry, patches)
    }

    /// Takes the next rows of a clip that is too long to be held; several such clips may be on their way at a time.
    pub fn write_long(&mut self, entry: &UnitEntry, patches: Patches) -> Result<(), DatasetError> {
        let id = entry.unit.clip_id;
        if !self.long.contains_key(&id) {
            let part = self.open()?;
            self.long.insert(id, part);
        }
        let batch = self.batch(entry, patches)?;
        self.long.get_mut(&id).map_or(Ok(()), |part| part.add(entry, &batch))
    }

    /// The long clip is complete: its part appears.
    pub fn keep_long(&mut self, clip_id: ClipId) -> Result<(), DatasetError> {
        self.long.remove(&clip_id).map_or(Ok(()), |part| self.complete(part))
    }

    /// The long clip cannot be used: its rows vanish. Nothing happens where it has none.
    pub fn drop_long(&mut self, clip_id: ClipId) -> Result<(), DatasetError> {
        let Some(part) = self.long.remove(&clip_id) else { return Ok(()) };
        drop(part.writer);
        std::fs::remove_file(&part.path).map_err(DatasetError::at("write table", &part.path))
    }

    /// Completes the part that is being written, and gives the paths of all.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, DatasetError> {
        if let Some(part) = self.part.take() {
            self.complete(part)?;
        }
        Ok(std::mem::take(&mut self.finished))
    }

    /// A part without rows: it says what the columns are.
    pub(super) fn finish_empty(mut self) -> Result<Vec<PathBuf>, DatasetError> {
        let part = self.open()?;
        self.complete(part)?;
        self.finish()
    }

    /// Between two clips: completes the part if it is long enough.
    fn cut(&mut self) -> Result<(), DatasetError> {
        match self.part.take_if(|part| part.rows >= PART_ROWS) {
            Some(part) => self.complete(part),
            None => Ok(()),
        }
    }

    /// Whether these are further rows of the unit that came last.
    fn goes_on(&self, entry: &UnitEntry) -> bool {
        self.part.as_ref().and_then(|part| part.units.last()).is_some_and(|last| last == entry)
    }

    fn add(&mut self, entry: &UnitEntry, patches: Patches) -> Result<(), DatasetError> {
        let batch = self.batch(entry, patches)?;
        if !self.goes_on(entry)
            && let Some(part) = self.part.take_if(|part| part.held.contains(&entry.unit))
        {
            self.complete(part)?;
        }
        if self.part.is_none() {
            self.part = Some(self.open()?);
        }
        self.part.as_mut().map_or(Ok(()), |part| part.add(entry, &batch))
    }

    fn open(&mut self) -> Result<OpenPart, DatasetError> {
        self.begun += 1;
        let path = self.folder.join(format!(".{}.tmp", self.begun));
        let writer = PartWriter::create(&path, self.schema.clone(), &self.format.metadata)?;
        Ok(OpenPart { path, writer, units: Vec::new(), held: HashSet::new(), rows: 0 })
    }

    fn complete(&mut self, part: OpenPart) -> Result<(), DatasetError> {
        let OpenPart { path, mut writer, units, .. } = part;
        writer.note(UNITS_KEY, to_footer(&units));
        // What cannot be completed only fills the disk.
        writer.finish().inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        let publish = || -> std::io::Result<PathBuf> {
            let hash = ContentHash::of_reader(std::fs::File::open(&path)?)?;
            let name = self.folder.join(part_name(&hash));
            std::fs::rename(&path, &name)?;
            sync_folder(&self.folder)?;
            Ok(name)
        };
        self.finished.push(publish().map_err(DatasetError::at("write table", &path))?);
        Ok(())
    }

    fn batch(&self, entry: &UnitEntry, patches: Patches) -> Result<RecordBatch, DatasetError> {
        let n = patches.len();
        let id = entry.unit.clip_id.to_string();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(id, n))),
            Arc::new(UInt32Array::from(vec![entry.unit.variant; n])),
        ];
        columns.extend(patches.columns(self.format.vectors)?);
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| DatasetError::new("build table", schema::EMBED.name, e))
    }
}

impl Drop for EmbedWriter {
    fn drop(&mut self) {
        for part in self.part.take().into_iter().chain(self.long.drain().map(|(_, part)| part)) {
            // It was not completed, and holds nothing that anybody could use.
            let _ = std::fs::remove_file(&part.path);
        }
    }
}

impl OpenPart {
    fn add(&mut self, entry: &UnitEntry, batch: &RecordBatch) -> Result<(), DatasetError> {
        if self.units.last() != Some(entry) {
            self.units.push(entry.clone());
            self.held.insert(entry.unit);
        }
        self.rows += batch.num_rows();
        self.writer.write(batch)
    }
}

/// The name of a part with this content.
pub(super) fn part_name(content: &ContentHash) -> String {
    format!("part-{}.parquet", &content.to_string()[..16])
}

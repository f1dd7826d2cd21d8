//! The table of embeddings as a set of units: which are there, and how the table becomes exactly those that are wanted.
//!
//! Guarantees: the folder below `tables/` changes in one step, from one complete table to the next. What was computed for a table that
//! was never completed waits in the staging folder and is used by the next run. Rows that are not wanted any more move to `retired/` and
//! come back from there by their key.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::embed::{EmbedFormat, EmbedWriter, PART_ROWS};
use super::index::{EmbedIndex, EmbedParts, PartStamp, commit, recover};
use super::part::{Fate, Part, Place, name_of};
use super::read::{footer_value, parts, row_count};
use super::unit::{UNITS_KEY, Unit, UnitEntry, of_footer};
use crate::DatasetError;
use crate::files::{Condition, FileStamp, link, replace_folder};
use crate::key::{Key, KeyHasher, UnitKey};
use crate::layout::Layout;

const NAME: &str = super::schema::EMBED.name;

/// Parts with fewer rows are small, and are merged once there are [`MANY`].
const SMALL_ROWS: u64 = PART_ROWS as u64 / 2;

/// So many small parts are merged into large ones.
const MANY: usize = 8;

/// Everything that was ever computed with one embedder and is still there.
pub struct EmbedTable {
    layout: Layout,
    embedder: String,
    parts: Vec<Part>,
    damaged: Vec<String>,
    /// Those of them that are there.
    unusable: HashSet<PathBuf>,
}

/// What became of the table.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Digest of the units and their keys.
    pub rows: Key,
    /// Units in the table.
    pub live: usize,
    /// Units that came back from `retired/`.
    pub returned: usize,
    /// Units that moved to `retired/`.
    pub retired: usize,
    /// The files that the table consists of.
    pub files: Vec<FileStamp>,
}

impl EmbedTable {
    /// Where parts lie until the table is complete.
    pub fn staging(layout: &Layout, embedder: &str) -> PathBuf {
        layout.staging(NAME).join(embedder)
    }

    /// Looks what there is of `embedder`. Parts that are gone or damaged are not counted, and reported. Only for who holds the lock: a
    /// commit that was cut off is completed.
    pub fn open(layout: &Layout, embedder: &str) -> Result<Self, DatasetError> {
        let (old, live) = (layout.staging("embed.old"), layout.table(NAME));
        if old.exists() && !live.exists() {
            // Two names could not be exchanged at once, and the program ended in between.
            std::fs::create_dir_all(layout.tables()).map_err(DatasetError::at("create folder", &layout.tables()))?;
            std::fs::rename(&old, &live).map_err(DatasetError::at("replace folder", &live))?;
        }
        remove_folder(&old)?;
        recover(layout)?;
        Self::look(layout, embedder)
    }

    /// As [`open`](Self::open), but changes nothing.
    pub fn look(layout: &Layout, embedder: &str) -> Result<Self, DatasetError> {
        let mut table = Self {
            layout: layout.clone(),
            embedder: embedder.to_owned(),
            parts: Vec::new(),
            damaged: Vec::new(),
            unusable: HashSet::new(),
        };
        match EmbedIndex::read(layout) {
            Ok(Some(index)) if index.table.embedder == embedder => {
                for (stamp, units) in index.table.parts.into_iter().zip(index.units) {
                    table.take_live(stamp, units);
                }
            }
            Ok(Some(_)) => {}
            // The parts say themselves what they hold.
            lost => {
                let folder = layout.table(NAME).join(format!("embedder={embedder}"));
                if folder.is_dir() {
                    let what = if lost.is_err() { "unreadable" } else { "gone" };
                    table.damaged.push(format!("the index is {what}; it is made again from the parts"));
                    table.take_folder(Place::Live, &folder)?;
                }
            }
        }
        table.take_folder(Place::Staged, &Self::staging(layout, embedder))?;
        table.take_folder(Place::Retired, &retired(layout, embedder))?;
        Ok(table)
    }

    /// Parts that are gone or damaged, in words.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Keys of all units whose rows are there, wherever they lie.
    pub fn present(&self) -> HashSet<UnitKey> {
        self.parts.iter().flat_map(|part| part.units.iter().map(|entry| entry.key)).collect()
    }

    /// The units of the live table.
    pub fn live(&self) -> impl Iterator<Item = &UnitEntry> {
        self.parts.iter().filter(|part| part.place == Place::Live).flat_map(|part| &part.units)
    }

    fn take_live(&mut self, stamp: PartStamp, units: Vec<UnitEntry>) {
        let PartStamp { mut file, rows } = stamp;
        let what = match file.check(self.layout.root()) {
            Condition::Missing => "is gone",
            Condition::Damaged => "is damaged",
            Condition::Intact => "",
            Condition::Touched(now) => {
                file = now;
                ""
            }
        };
        if what.is_empty() {
            let path = self.layout.root().join(&file.path);
            self.parts.push(Part { place: Place::Live, path, stamp: Some(file), rows, units });
        } else {
            self.unusable.insert(self.layout.root().join(&file.path));
            self.damaged.push(format!("part `{}` {what}; its {} units are computed again", file.path, units.len()));
        }
    }

    /// Parts that say themselves what they hold. One that cannot be read, or holds a unit twice, does not count.
    fn take_folder(&mut self, place: Place, folder: &Path) -> Result<(), DatasetError> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in parts(folder)? {
            let footer = footer_value(&path, UNITS_KEY).ok().flatten().and_then(|text| of_footer(&text));
            let (Some(units), Ok(rows)) = (footer, row_count(&path)) else { continue };
            let distinct: HashSet<Unit> = units.iter().map(|entry| entry.unit).collect();
            if distinct.len() == units.len() {
                self.parts.push(Part { place, path, stamp: None, rows, units });
            }
        }
        Ok(())
    }

    /// Makes the table exactly those of the units `wanted` whose rows are there. Of equal units that of the table is taken, or, where rows
    /// were `computed_anew` on purpose, one of those. Nothing has changed if `is_stopped` says so on the way.
    pub fn commit(
        mut self,
        format: &EmbedFormat,
        wanted: &HashSet<UnitKey>,
        computed_anew: bool,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Committed, DatasetError> {
        let rank = |part: &Part| (computed_anew && part.place != Place::Staged, part.place);
        self.parts.sort_by(|a, b| (rank(a), &a.path).cmp(&(rank(b), &b.path)));
        let next = self.layout.staging("embed.next");
        remove_folder(&next)?;
        let folder = next.join(format!("embedder={}", self.embedder));
        std::fs::create_dir_all(&folder).map_err(DatasetError::at("create table", &folder))?;

        let (fates, returned, retired) = self.decide(wanted);
        let mut index = self.arrange(format, &folder, &fates, is_stopped)?;
        let stays = fates.iter().flatten().filter(|fate| **fate == Fate::Stays).count();
        let found: HashSet<Unit> = index.units.iter().flatten().map(|entry| entry.unit).collect();
        if found.len() != stays {
            let why = format!("the next table would hold {} units instead of {stays}", found.len());
            return Err(DatasetError::invalid("write table", NAME, why));
        }
        self.retire_others()?;

        index.prepare(&self.layout)?;
        replace_folder(&next, &self.layout.table(NAME))?;
        commit(&self.layout)?;
        remove_folder(&Self::staging(&self.layout, &self.embedder))?;
        // Another embedder may have left something there.
        let _ = std::fs::remove_dir(self.layout.staging(NAME));
        self.forget_returned(&index)?;
        let rows = digest(index.units.iter().flatten());
        let live = index.units.iter().map(Vec::len).sum();
        let mut files: Vec<_> = std::mem::take(&mut index.table.parts).into_iter().map(|part| part.file).collect();
        files.push(FileStamp::take(self.layout.root(), &self.layout.embed_index())?);
        Ok(Committed { rows, live, returned, retired, files })
    }

    /// What becomes of each unit of each part (of equal ones the first stays), and how many return from and move to `retired/`.
    fn decide(&self, wanted: &HashSet<UnitKey>) -> (Vec<Vec<Fate>>, usize, usize) {
        let (mut taken, mut returned, mut retired) = (HashSet::new(), 0, 0);
        let mut decide = |part: &Part, entry: &UnitEntry| {
            let fate = match (wanted.contains(&entry.key), part.place) {
                (true, _) if taken.insert(entry.key) => Fate::Stays,
                (true, _) | (false, Place::Retired) => Fate::Drops,
                (false, _) => Fate::Retires,
            };
            match (fate, part.place) {
                (Fate::Retires, Place::Live) => retired += 1,
                (Fate::Stays, Place::Retired) => returned += 1,
                _ => {}
            }
            fate
        };
        let fates =
            self.parts.iter().map(|part| part.units.iter().map(|entry| decide(part, entry)).collect()).collect();
        (fates, returned, retired)
    }

    /// Fills `folder` with what stays, and `retired/` with what does not.
    fn arrange(
        &self,
        format: &EmbedFormat,
        folder: &Path,
        fates: &[Vec<Fate>],
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<EmbedIndex, DatasetError> {
        let retired = retired(&self.layout, &self.embedder);
        let all = |number: usize, fate: Fate| !fates[number].is_empty() && fates[number].iter().all(|f| *f == fate);
        let is_small = |number: usize| self.parts[number].rows < SMALL_ROWS;
        let small: Vec<usize> = (0..self.parts.len()).filter(|&n| all(n, Fate::Stays) && is_small(n)).collect();
        let merged: HashSet<usize> = if small.len() >= MANY { small.into_iter().collect() } else { HashSet::new() };

        let table = EmbedParts { schema_version: 1, embedder: self.embedder.clone(), parts: Vec::new() };
        let mut index = EmbedIndex { table, units: Vec::new() };
        let mut stay = EmbedWriter::new(folder, format.clone());
        let mut retire = EmbedWriter::new(&retired, format.clone());
        for (number, part) in self.parts.iter().enumerate() {
            if is_stopped() {
                return Err(DatasetError::invalid("write table", NAME, "interrupted"));
            }
            if all(number, Fate::Stays) && !merged.contains(&number) {
                let (path, stamp) = (folder.join(name_of(&part.path)), part.stamp(self.layout.root())?);
                link(&part.path, &path).map_err(DatasetError::at("write table", &path))?;
                index.add(&self.layout, &path, Some(stamp.blake3), part.rows, part.units.clone())?;
            } else if all(number, Fate::Retires) {
                let path = retired.join(name_of(&part.path));
                if !path.exists() {
                    std::fs::create_dir_all(&retired).map_err(DatasetError::at("create folder", &retired))?;
                    link(&part.path, &path).map_err(DatasetError::at("write table", &path))?;
                }
            } else if fates[number].iter().any(|fate| *fate != Fate::Drops) {
                part.parcel_out(self.layout.root(), &fates[number], &mut stay, &mut retire)?;
            }
        }
        retire.finish()?;
        let mut written = stay.finish()?;
        if written.is_empty() && index.units.is_empty() {
            written = EmbedWriter::new(folder, format.clone()).finish_empty()?;
        }
        for path in written {
            let units = footer_value(&path, UNITS_KEY)?.and_then(|text| of_footer(&text)).unwrap_or_default();
            index.add(&self.layout, &path, None, row_count(&path)?, units)?;
        }
        Ok(index)
    }

    /// Gives whatever else lies in the live table's folder (parts of another embedder, strange files) a second name in `retired/`.
    fn retire_others(&self) -> Result<(), DatasetError> {
        let live = self.layout.table(NAME);
        let ours: HashSet<&Path> = self.parts.iter().map(|part| part.path.as_path()).collect();
        for (folder, path) in files_below(&live)? {
            if !ours.contains(path.as_path()) {
                let is_damaged = self.unusable.contains(&path);
                let below = Path::new(NAME).join(folder);
                let below = if is_damaged { Path::new("damaged/tables").join(below) } else { below };
                let to = self.layout.retired().join(below);
                std::fs::create_dir_all(&to).map_err(DatasetError::at("create folder", &to))?;
                let to = to.join(name_of(&path));
                if !to.exists() {
                    link(&path, &to).map_err(DatasetError::at("write table", &to))?;
                }
            }
        }
        Ok(())
    }

    /// Deletes retired parts all of whose units are in the table again.
    fn forget_returned(&self, index: &EmbedIndex) -> Result<(), DatasetError> {
        let live: HashSet<UnitKey> = index.units.iter().flatten().map(|entry| entry.key).collect();
        for part in self.parts.iter().filter(|part| part.place == Place::Retired) {
            if part.units.iter().all(|entry| live.contains(&entry.key)) {
                std::fs::remove_file(&part.path).map_err(DatasetError::at("remove file", &part.path))?;
            }
        }
        Ok(())
    }
}

impl EmbedIndex {
    /// Adds the part at `path` in the next folder, as it will be in the live one.
    fn add(
        &mut self,
        layout: &Layout,
        path: &Path,
        known: Option<crate::key::ContentHash>,
        rows: u64,
        units: Vec<UnitEntry>,
    ) -> Result<(), DatasetError> {
        let mut file = match known {
            Some(hash) => FileStamp::of_known(path, hash)?,
            None => FileStamp::take(layout.root(), path)?,
        };
        file.path = format!("tables/{NAME}/embedder={}/{}", self.table.embedder, name_of(path));
        self.table.parts.push(PartStamp { file, rows });
        self.units.push(units);
        Ok(())
    }
}

/// Digest of units and their keys, in the order of their identity.
pub fn digest<'a>(units: impl Iterator<Item = &'a UnitEntry>) -> Key {
    let mut units: Vec<(Unit, UnitKey)> = units.map(|entry| (entry.unit, entry.key)).collect();
    units.sort_unstable();
    let start = KeyHasher::new("units").u64(units.len() as u64);
    units.iter().fold(start, |hash, (_, key)| hash.bytes(key.as_bytes())).finish()
}

fn retired(layout: &Layout, embedder: &str) -> PathBuf {
    layout.retired().join(NAME).join(format!("embedder={embedder}"))
}

/// The files of a table's folder and of those within it, with the name of the folder.
fn files_below(table: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut found = Vec::new();
    let list = |folder: &Path| -> Result<Vec<PathBuf>, DatasetError> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        Ok(entries.map_err(DatasetError::at("read table", folder))?.iter().map(std::fs::DirEntry::path).collect())
    };
    for path in list(table)? {
        if path.is_dir() {
            let name = name_of(&path);
            found.extend(list(&path)?.into_iter().filter(|path| path.is_file()).map(|path| (name.clone(), path)));
        } else {
            found.push((String::new(), path));
        }
    }
    Ok(found)
}

fn remove_folder(folder: &Path) -> Result<(), DatasetError> {
    let removed = match std::fs::remove_dir_all(folder) {
        // A stray file had the place of the table.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => std::fs::remove_file(folder),
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DatasetError::new("clear staging folder", folder.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;

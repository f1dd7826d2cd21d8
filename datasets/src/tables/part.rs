//! A part of the table of embeddings: where it lies, what it holds, and what becomes of that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::embed::{EmbedWriter, part_name};
use super::unit::{Unit, UnitEntry};
use super::units::EmbedReader;
use crate::files::FileStamp;
use crate::{DatasetError, DatasetErrorKind};

/// Where a part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Live,
    Staged,
    Retired,
}

/// What becomes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the next table.
    Stays,
    /// It moves from the table, or from what was computed for one, to `retired/`.
    Retires,
    /// It is there another time, or is retired already.
    Drops,
}

/// A part, with what it says of itself.
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) path: PathBuf,
    /// Known of the parts that the index names; of the others it is made when their rows are wanted.
    pub(super) stamp: Option<FileStamp>,
    pub(super) rows: u64,
    pub(super) units: Vec<UnitEntry>,
}

impl Part {
    /// What the file is; that of a part whose name is not made of its content is damaged.
    pub(super) fn stamp(&self, root: &Path) -> Result<FileStamp, DatasetError> {
        if let Some(stamp) = &self.stamp {
            return Ok(stamp.clone());
        }
        let stamp = FileStamp::take(root, &self.path)?;
        if name_of(&self.path) == part_name(&stamp.blake3) {
            Ok(stamp)
        } else {
            Err(DatasetError::new("read table", stamp.path, DatasetErrorKind::Damaged))
        }
    }

    /// Copies each unit to where it belongs now.
    pub(super) fn parcel_out(
        &self,
        root: &Path,
        fates: &[Fate],
        stay: &mut EmbedWriter,
        retire: &mut EmbedWriter,
    ) -> Result<(), DatasetError> {
        let entries: BTreeMap<Unit, (&UnitEntry, Fate)> =
            self.units.iter().zip(fates).map(|(entry, fate)| (entry.unit, (entry, *fate))).collect();
        for run in EmbedReader::of_parts(root, vec![self.stamp(root)?]) {
            let (unit, patches) = run?;
            match entries.get(&unit) {
                Some((entry, Fate::Stays)) => stay.append(entry, patches)?,
                Some((entry, Fate::Retires)) => retire.append(entry, patches)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

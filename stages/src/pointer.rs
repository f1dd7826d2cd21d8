//! Files that name a model.

use std::path::Path;

use ecosight_datasets::files::write_atomic;
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;

/// A file that names a model: `models/candidate.json`, `models/production.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Version of this format.
    pub schema_version: u32,
    /// Version of the model, the name of its folder.
    pub version: String,
    /// When the pointer was set, UTC.
    pub since: String,
    /// The model that it named before.
    pub previous: Option<String>,
}

impl Pointer {
    /// Reads a pointer; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, StageErrorKind> {
        let unreadable = |why: String| {
            StageErrorKind::data(format!("`{}` is unreadable: {why}", path.display()), "run `ecosight retrain` again")
        };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Moves the pointer at `path` to the model `version`.
    pub fn write(path: &Path, version: &str, since: &str) -> Result<Self, StageErrorKind> {
        // A damaged pointer names nothing, and is replaced; one that names this model already keeps what was before it.
        let old = Self::read(path).ok().flatten();
        let previous = old.and_then(|old| if old.version == version { old.previous } else { Some(old.version) });
        let pointer = Self { schema_version: 1, version: version.to_owned(), since: since.to_owned(), previous };
        let json = serde_json::to_vec_pretty(&pointer).expect("a pointer is plain data");
        write_atomic(path, &json)?;
        Ok(pointer)
    }
}

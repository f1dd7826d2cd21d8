//! Why an artefact cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::head::HeadError;

/// A failure, with the file or folder it concerns.
#[derive(Debug, thiserror::Error)]
#[error("model artefact `{}`", path.display())]
pub struct ArtefactError {
    /// The file or folder.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub kind: ArtefactErrorKind,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactErrorKind {
    /// The file or folder cannot be read or written; a missing file is one of these.
    #[error("cannot be read or written")]
    Io(#[source] io::Error),
    /// A file that is larger than any model.
    #[error("{bytes} bytes, and at most {limit} are read")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Not the JSON that was expected.
    #[error("not valid JSON for this file")]
    Json(#[source] serde_json::Error),
    /// Written by a version of the program with another format.
    #[error("schema version {found} is unknown; this program reads version {known}")]
    SchemaVersion {
        /// The version in the file.
        found: u64,
        /// The version of this program.
        known: u32,
    },
    /// Fields of the metadata that contradict each other or the other files.
    #[error("{0}")]
    Inconsistent(String),
    /// Not a safetensors file, or one with values other than `f32`.
    #[error("not a safetensors file of `f32` tensors: {0}")]
    Safetensors(String),
    /// The tensors do not make the head that the metadata describes.
    #[error("the tensors do not make the head that `model.json` describes")]
    Head(#[source] HeadError),
    /// A file is not what was written, as its checksum tells.
    #[error("not what was written: its checksum is another one")]
    Changed,
    /// Another model lies there already.
    #[error("another model lies there already; a version is written once")]
    Exists,
}

impl ArtefactErrorKind {
    pub(super) fn at(self, path: &Path) -> ArtefactError {
        ArtefactError { path: path.to_owned(), kind: self }
    }
}

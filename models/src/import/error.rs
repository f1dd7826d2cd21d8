//! Why a head of another program cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// A file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("classifier `{}`", path.display())]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub kind: ImportErrorKind,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportErrorKind {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It, or something in it, is larger than any classifier.
    #[error("`{part}` has more than the {limit} bytes that are read")]
    TooLarge {
        /// The file or its part.
        part: &'static str,
        /// Largest size that is read.
        limit: u64,
    },
    /// It is HDF5, as older versions of Keras write whole models.
    #[error("is an HDF5 file of an older Keras; save the model as `.keras`")]
    Hdf5File,
    /// It is no zip archive, or a damaged one.
    #[error("is not a sound zip archive, which a `.keras` file is: {0}")]
    Zip(String),
    /// The archive lacks a file.
    #[error("has no `{0}` inside, which a `.keras` file has")]
    MissingMember(&'static str),
    /// `config.json` cannot be understood.
    #[error("`config.json` does not describe a model")]
    Config(#[source] serde_json::Error),
    /// The model is more than layers one after the other.
    #[error("the model is a `{0}`; only `Sequential` ones are read")]
    Model(String),
    /// A layer or its activation is of a kind that is not read.
    #[error("layer `{layer}`: {what} is not read; {known}")]
    Unsupported {
        /// Name of the layer.
        layer: String,
        /// Its kind, its activation or its setting.
        what: String,
        /// What would be read.
        known: &'static str,
    },
    /// The layers make no classifier.
    #[error("{0}")]
    Layers(String),
    /// `model.weights.h5` is damaged, or not what Keras writes.
    #[error("`model.weights.h5` is not a sound HDF5 file: {0}")]
    Hdf5(String),
    /// A variable is not there.
    #[error("`model.weights.h5` has no `{0}`")]
    MissingVariable(String),
    /// A variable is of another shape than its layer needs.
    #[error("`{variable}` has shape {found:?} instead of {expected}")]
    Shape {
        /// Path of the variable.
        variable: String,
        /// What the layer needs.
        expected: String,
        /// The shape in the file.
        found: Vec<u64>,
    },
    /// A variable holds NaN, infinity, or a negative variance.
    #[error("`{0}` holds a value that no trained network has")]
    Value(String),
}

impl ImportErrorKind {
    pub(super) fn at(self, path: &Path) -> ImportError {
        ImportError { path: path.to_owned(), kind: self }
    }
}

//! Why weights could not be read or kept.

use std::io;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use thiserror::Error;

/// A file of weights, and what is wrong with it.
#[derive(Debug, Error)]
#[error("weights `{}`", path.display())]
pub struct WeightsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub kind: WeightsErrorKind,
}

/// What is wrong with a file of weights.
#[derive(Debug, Error)]
pub enum WeightsErrorKind {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot be written")]
    Write(#[source] io::Error),
    /// It is larger than any file of these weights.
    #[error("has {bytes} bytes, more than the {limit} that weights can have")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// Largest size that is read.
        limit: u64,
    },
    /// It is a TensorFlow `SavedModel`.
    #[error("is a TensorFlow SavedModel; the Keras weights `yamnet.h5` are needed")]
    SavedModel,
    /// It is a Keras or NumPy archive.
    #[error("is a zip archive; the Keras weights `yamnet.h5` are needed")]
    Archive,
    /// It is a TensorFlow Lite model.
    #[error("is a TensorFlow Lite model; the Keras weights `yamnet.h5` are needed")]
    TensorFlowLite,
    /// Its first bytes are of no known format.
    #[error("is neither HDF5 nor safetensors")]
    UnknownFormat,
    /// It begins like HDF5 but is damaged, or not what Keras writes.
    #[error("is not a sound HDF5 file: {0}")]
    Hdf5(String),
    /// It begins like safetensors but is damaged.
    #[error("is not a sound safetensors file")]
    Safetensors(#[source] SafeTensorError),
    /// A tensor of the network is not there.
    #[error("has no tensor `{tensor}`")]
    Missing {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor is not of the published shape.
    #[error("tensor `{tensor}` has shape {found:?} instead of {expected:?}")]
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// The published shape.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<u64>,
    },
    /// A tensor does not hold 32-bit floating-point numbers.
    #[error("tensor `{tensor}` is of type {found} instead of f32")]
    Type {
        /// Name of the tensor.
        tensor: String,
        /// The type in the file.
        found: String,
    },
    /// A tensor holds NaN, infinity, or a negative variance.
    #[error("tensor `{tensor}` holds a value that no trained network has")]
    Value {
        /// Name of the tensor.
        tensor: String,
    },
    /// A cached file is not what its name says.
    #[error("is damaged: its content hash is {found}")]
    Damaged {
        /// Hash of what the file holds.
        found: String,
    },
    /// A record in the cache cannot be understood.
    #[error("is not a record of weights")]
    Record(#[source] serde_json::Error),
    /// A record in the cache has a version that this program does not know.
    #[error("has schema version {found}; this program reads {known}")]
    Version {
        /// Version in the file.
        found: u32,
        /// Version that is read.
        known: u32,
    },
    /// A name that is no content hash.
    #[error("is not a content hash of 64 hexadecimal digits")]
    Hash,
}

impl WeightsErrorKind {
    /// The error about `path`.
    pub(super) fn at(self, path: &Path) -> WeightsError {
        WeightsError { path: path.to_owned(), kind: self }
    }
}

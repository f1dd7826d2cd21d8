//! What can go wrong with bytes at rest, as a context (what, where) and a kind.

use std::path::Path;

use crate::store::Stopped;

/// A failure of a store, a manifest or a table, with the path or address it happened at.
///
/// A clip whose audio is unreadable is no such error: that is an [`AudioError`](crate::audio::AudioError) and ends as a row in
/// `quarantine`.
#[derive(Debug, thiserror::Error)]
#[error("{action} `{at}`")]
pub struct DatasetError {
    /// What was attempted, as a verb phrase: `read table`, `list folder`.
    pub action: &'static str,
    /// Path, address or name of the thing it was attempted on.
    pub at: String,
    /// Why it failed.
    #[source]
    pub kind: DatasetErrorKind,
}

/// Why an operation on bytes at rest failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetErrorKind {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The object store refused.
    #[error(transparent)]
    Store(object_store::Error),
    /// Polars could not read or write a manifest.
    #[error(transparent)]
    Manifest(#[from] polars::error::PolarsError),
    /// Parquet could not be read or written.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Arrow arrays did not fit together.
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A JSON file of ours does not parse.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The server did not deliver.
    #[error(transparent)]
    Http(Box<ureq::Error>),
    /// A server refused, in its words.
    #[error("{0}")]
    Server(String),
    /// A database of the index refused.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// It was given up because the user asked for that.
    #[error("interrupted")]
    Interrupted,
    /// Somebody else has written there first.
    #[error("somebody else has written there")]
    Conflict,
    /// A part of a table is gone, or its content is not what was written.
    #[error("the part is gone or damaged")]
    Damaged,
    /// The content is readable but is not what it should be.
    #[error("{0}")]
    Invalid(String),
}

impl DatasetError {
    /// An error of `kind` that happened while doing `action` on `at`.
    pub fn new(action: &'static str, at: impl Into<String>, kind: impl Into<DatasetErrorKind>) -> Self {
        Self { action, at: at.into(), kind: kind.into() }
    }

    /// The content of `at` is not what it should be; `why` says in what way.
    pub fn invalid(action: &'static str, at: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(action, at, DatasetErrorKind::Invalid(why.into()))
    }

    /// For `map_err`: wraps the cause of a failed `action` on `path`.
    pub fn at<K: Into<DatasetErrorKind>>(action: &'static str, path: &Path) -> impl FnOnce(K) -> Self {
        let at = path.display().to_string();
        move |kind| Self::new(action, at, kind)
    }
}

impl From<object_store::Error> for DatasetErrorKind {
    fn from(error: object_store::Error) -> Self {
        match &error {
            object_store::Error::Generic { source, .. } if source.is::<Stopped>() => Self::Interrupted,
            _ => Self::Store(error),
        }
    }
}

impl From<ureq::Error> for DatasetErrorKind {
    fn from(error: ureq::Error) -> Self {
        Self::Http(Box::new(error))
    }
}

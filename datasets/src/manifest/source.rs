//! What a run reads: a folder with one folder per class, or a manifest written by a person.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audio::Span;
use crate::files::folder_of;
use crate::store::{Listing, Store};
use crate::{DatasetError, manifest::read_manifest_file};

/// Where labelled audio comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder: the first part of the path below it is the label.
    Folder(PathBuf),
    /// A CSV or Parquet manifest; its uris are relative to the folder it lies in.
    Manifest(PathBuf),
}

/// A labelled file (or span of a file) before its content was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path below the source.
    pub uri: String,
    /// Class; `None` for a file that lies directly in a source folder.
    pub label: Option<String>,
    /// Recording, where the source names it.
    pub recording_id: Option<String>,
    /// Fold, where the source names it.
    pub fold: Option<String>,
    /// Part of the file.
    pub span: Option<Span>,
    /// Entity tag, where the store gives one.
    pub etag: Option<String>,
    /// Size in bytes, where the file is there.
    pub size_bytes: Option<u64>,
    /// Whether a person named this very file: then a file that is no audio is a failure, not a bystander.
    pub explicit: bool,
}

/// What a source names.
pub struct Entries {
    /// Labelled files and spans.
    pub entries: Vec<Entry>,
    /// One message for each file whose name cannot be addressed.
    pub unreadable: Vec<String>,
    /// Columns of a manifest that mean nothing here.
    pub ignored_columns: Vec<String>,
}

impl Source {
    /// The source that `text` means: a folder, or a manifest where it names a `.csv` or `.parquet` file.
    pub fn of_path(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if !path.is_dir() && (extension == "csv" || extension == "parquet") {
            Self::Manifest(path.to_owned())
        } else {
            Self::Folder(path.to_owned())
        }
    }

    /// The store that the source's uris are opened in.
    pub fn store(&self) -> Result<Store, DatasetError> {
        match self {
            Self::Folder(folder) => Store::folder(folder),
            Self::Manifest(file) => Store::folder(folder_of(file)),
        }
    }

    /// Everything that the source names.
    pub async fn entries(&self, store: &Store) -> Result<Entries, DatasetError> {
        match self {
            Self::Folder(_) => {
                let Listing { objects, unreadable } = store.list().await?;
                let entry = |object: crate::store::Object| Entry {
                    label: object.uri.split_once('/').map(|(label, _)| label.to_owned()),
                    uri: object.uri,
                    recording_id: None,
                    fold: None,
                    span: None,
                    etag: object.etag,
                    size_bytes: Some(object.size_bytes),
                    explicit: false,
                };
                let entries = objects.into_iter().map(entry).collect();
                Ok(Entries { entries, unreadable, ignored_columns: Vec::new() })
            }
            Self::Manifest(file) => {
                let (mut entries, ignored_columns) = read_manifest_file(file)?;
                let mut known = BTreeMap::new();
                for entry in &mut entries {
                    if !known.contains_key(&entry.uri) {
                        // What is not there is found out, and told, when it is opened.
                        known.insert(entry.uri.clone(), store.head(&entry.uri).await.ok());
                    }
                    if let Some(Some(object)) = known.get(&entry.uri) {
                        (entry.etag, entry.size_bytes) = (object.etag.clone(), Some(object.size_bytes));
                    }
                }
                Ok(Entries { entries, unreadable: Vec::new(), ignored_columns })
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Folder(path) | Self::Manifest(path)) = self;
        path.display().fmt(f)
    }
}

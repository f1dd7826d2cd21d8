//! What a run reads: a folder with one folder per class, or a manifest written by a person.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::audio::Span;
use crate::files::read_regular;
use crate::manifest::{Beside, read_manifest_file};
use crate::store::{Access, Listing, MAX_REQUESTS, Object, OpenError, Place, Store, Version};

/// Where labelled audio comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder, here or in a bucket: the first part of the path below it is the label, unless a file with labels lies [beside](Beside) the
    /// recording.
    Folder(Place),
    /// A CSV or Parquet manifest; its uris are relative to the folder it lies in.
    Manifest(Place),
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
    /// Place of the recorder, where the source names it.
    pub site: Option<String>,
    /// Recorder, where the source names it.
    pub device: Option<String>,
    /// When it was recorded, as a [`Moment`](crate::moment::Moment) is written, where the source names it.
    pub recorded_at: Option<String>,
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
    /// Links that lead in a circle, which are left out.
    pub loops: Vec<PathBuf>,
    /// Files with labels beside recordings that are not understood, with the reason.
    pub problems: Vec<(String, String)>,
    /// Columns of a manifest that mean nothing here.
    pub ignored_columns: Vec<String>,
}

impl Entry {
    /// The file of a folder: the folder at the top is its label.
    fn of(object: Object) -> Self {
        Self {
            label: object.uri.split_once('/').map(|(label, _)| label.to_owned()),
            uri: object.uri,
            recording_id: None,
            fold: None,
            site: None,
            device: None,
            recorded_at: None,
            span: None,
            etag: object.etag,
            size_bytes: Some(object.size_bytes),
            explicit: false,
        }
    }

    /// What the file was when it was listed.
    pub fn version(&self) -> Option<Version> {
        Some(Version { etag: self.etag.clone()?, size_bytes: self.size_bytes? })
    }
}

impl Source {
    /// The source at `place`: a manifest where that is a `.csv` or `.parquet` file, else a folder.
    pub fn of(place: Place) -> Self {
        let is_table = place.extension().is_some_and(|extension| extension == "csv" || extension == "parquet");
        if is_table && !place.local().is_some_and(std::path::Path::is_dir) {
            Self::Manifest(place)
        } else {
            Self::Folder(place)
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        let (Self::Folder(place) | Self::Manifest(place)) = self;
        place
    }

    /// Where it is, to be changed.
    pub fn place_mut(&mut self) -> &mut Place {
        let (Self::Folder(place) | Self::Manifest(place)) = self;
        place
    }

    /// The store that the source's uris are opened in.
    pub fn store(&self, access: &Access) -> Result<Store, DatasetError> {
        match self {
            Self::Folder(folder) => Store::connect(folder, access),
            Self::Manifest(file) => Store::connect(&file.split().0, access),
        }
    }

    /// Everything that the source names.
    pub async fn entries(&self, store: &Store) -> Result<Entries, DatasetError> {
        match self {
            Self::Folder(_) => {
                let Listing { objects, unreadable, loops } = store.list().await?;
                let Beside { recordings, files, problems } = Beside::read(store, &objects).await?;
                let mut entries = Vec::with_capacity(objects.len());
                for object in objects.into_iter().filter(|object| !files.contains(&object.uri)) {
                    match recordings.get(&object.uri) {
                        None => entries.push(Entry::of(object)),
                        Some(marked) => entries.extend(marked.iter().map(|annotation| Entry {
                            label: Some(annotation.label.clone()),
                            span: Some(annotation.span),
                            explicit: true,
                            ..Entry::of(object.clone())
                        })),
                    }
                }
                Ok(Entries { entries, unreadable, loops, problems, ignored_columns: Vec::new() })
            }
            Self::Manifest(file) => {
                let missing = || DatasetError::invalid("read manifest", file.to_string(), "there is no such file");
                let bytes = match file {
                    Place::Local(path) => read_regular(path).map_err(DatasetError::at("read manifest", path))?,
                    Place::Bucket(_) => store.read(&file.split().1, None).await?.ok_or_else(missing)?,
                };
                let (mut entries, ignored_columns) = read_manifest_file(file, bytes)?;
                let uris: BTreeSet<String> = entries.iter().map(|entry| entry.uri.clone()).collect();
                let look = |uri: String| async move {
                    match store.head(&uri).await {
                        Ok(object) => Ok((uri, Some(object))),
                        // What is not there is found out, and told, when it is opened.
                        Err(OpenError::File { .. }) => Ok((uri, None)),
                        Err(OpenError::Store(error)) => Err(error),
                    }
                };
                let known: BTreeMap<_, _> =
                    futures::stream::iter(uris).map(look).buffer_unordered(MAX_REQUESTS).try_collect().await?;
                for entry in &mut entries {
                    if let Some(Some(object)) = known.get(&entry.uri) {
                        (entry.etag, entry.size_bytes) = (object.etag.clone(), Some(object.size_bytes));
                    }
                }
                let (unreadable, loops, problems) = Default::default();
                Ok(Entries { entries, unreadable, loops, problems, ignored_columns })
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

//! The files of the source: their listing, and what is known of them from earlier runs.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::{Entries, Entry};
use ecosight_datasets::runtime;
use ecosight_datasets::tables::{FileRow, read_files_index};

use crate::StageErrorKind;
use crate::stage::Context;

/// What a source names, without having read any of it.
pub(crate) struct Listing {
    entries: Vec<Entry>,
    /// One message for each file whose name cannot be addressed.
    pub(crate) unreadable: Vec<String>,
    /// Files with labels that are not understood, with the reason.
    pub(crate) problems: Vec<(String, String)>,
    /// Columns of a manifest that mean nothing here.
    pub(crate) ignored_columns: Vec<String>,
    /// Links that lead in a circle, which are left out.
    pub(crate) loops: Vec<PathBuf>,
}

impl Listing {
    pub(crate) fn read(context: &Context<'_>) -> Result<Self, StageErrorKind> {
        let store = context.store()?;
        let Entries { entries, unreadable, loops, problems, ignored_columns } =
            runtime::block_on(context.source.entries(&store))?;
        Ok(Self { entries, unreadable, problems, ignored_columns, loops })
    }

    /// The files with what is named in each, by their path: many spans may lie in one file, which is read once.
    pub(crate) fn files(&self) -> Vec<(&str, Vec<&Entry>)> {
        let mut by_uri: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            by_uri.entry(&entry.uri).or_default().push(entry);
        }
        by_uri.into_iter().collect()
    }

    /// Changes when a file or what is said about it does.
    pub(crate) fn digest(&self) -> String {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.uri.cmp(&b.uri));
        let optional = |key: KeyHasher, text: &Option<String>| match text {
            Some(text) => key.str(text),
            None => key.null(),
        };
        let add = |key: KeyHasher, entry: &Entry| {
            let key = key.str(&entry.uri).u64(entry.size_bytes.map_or(u64::MAX, |size| size));
            let named = [&entry.etag, &entry.label, &entry.recording_id, &entry.fold, &entry.site];
            let named = named.into_iter().chain([&entry.device, &entry.recorded_at]);
            let key = named.fold(key, optional);
            match entry.span {
                Some(span) => key.f64(span.start_s).f64(span.end_s.unwrap_or(f64::INFINITY)),
                None => key.null(),
            }
        };
        let key = self.unreadable.iter().fold(KeyHasher::new("listing"), |key, name| key.str(name));
        let key = self.problems.iter().fold(key, |key, (uri, why)| key.str(uri).str(why));
        entries.into_iter().fold(key, add).finish().to_string()[..16].to_owned()
    }
}

/// The files that were read before.
#[derive(Default)]
pub(crate) struct Known {
    rows: Vec<FileRow>,
    by_uri: HashMap<String, usize>,
    by_etag: HashMap<(String, u64), usize>,
}

impl Known {
    /// What is known; nothing where that cannot be read.
    pub(crate) fn read(layout: &Layout) -> Self {
        let rows = read_files_index(layout).unwrap_or_default();
        let by_uri = rows.iter().enumerate().map(|(index, row)| (row.uri.clone(), index)).collect();
        let by_etag = rows.iter().enumerate().map(|(index, row)| ((row.etag.clone(), row.size_bytes), index)).collect();
        Self { rows, by_uri, by_etag }
    }

    /// The file of `entry`, if it is known and has not changed since.
    pub(crate) fn find(&self, entry: &Entry) -> Option<&FileRow> {
        // A file of another name is read even if its tag is known: the tags of a folder name a place on the disk, which is used again.
        let (etag, size_bytes) = (entry.etag.as_ref()?, entry.size_bytes?);
        let row = self.by_uri.get(&entry.uri).map(|&index| &self.rows[index])?;
        (row.etag == *etag && row.size_bytes == size_bytes).then_some(row)
    }

    /// What the file of `entry` probably is, for who only wants to foresee: that with the same tag, if it was renamed.
    pub(crate) fn guess(&self, entry: &Entry) -> Option<&FileRow> {
        let tag = (entry.etag.clone()?, entry.size_bytes?);
        self.find(entry).or_else(|| self.by_etag.get(&tag).map(|&index| &self.rows[index]))
    }
}

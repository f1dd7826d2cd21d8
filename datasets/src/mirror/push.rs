//! Sending what was made here.

use std::path::Path;

use futures::{StreamExt, TryStreamExt};

use super::{AREAS, AT_ONCE, FILES, Mirror};
use crate::layout::Area;
use crate::store::{Created, Labels, Written};
use crate::{DatasetError, DatasetErrorKind};

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Files that were sent.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Objects that were removed.
    pub removed: usize,
}

/// When a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Parts, records, models.
    Content,
    /// What names parts.
    Index,
    /// What points to models, and what the last run was.
    Pointer,
}

/// A file to be sent, with its content where it must be that of this moment.
struct Outgoing {
    name: String,
    content: Option<Vec<u8>>,
}

impl Mirror {
    /// Sends everything that was made or changed here and removes from the bucket what was removed here. May be called while the engine works: what
    /// vanishes meanwhile ends the round, and the next one goes on; `false` is returned then.
    pub async fn push(&self) -> Result<(Pushed, bool), DatasetError> {
        let mut pushed = Pushed::default();
        let result = self.round(&mut pushed).await;
        self.known.lock().expect("nobody panics while holding it").write()?;
        result.map(|is_whole| (pushed, is_whole))
    }

    async fn round(&self, pushed: &mut Pushed) -> Result<bool, DatasetError> {
        // The index is taken as it is before the parts are looked for, so that all that it names is among them.
        let before = self.outgoing()?;
        let mut late = Vec::new();
        for name in before.iter().filter(|name| turn(name) != Turn::Content) {
            match std::fs::read(self.path(name)) {
                Ok(content) => late.push(Outgoing { name: name.clone(), content: Some(content) }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(DatasetError::new("read file", self.path(name).display().to_string(), error)),
            }
        }
        late.sort_by_key(|outgoing| turn(&outgoing.name));
        let content = self.outgoing()?.into_iter().filter(|name| turn(name) == Turn::Content);
        let content: Vec<String> = content.collect();
        let new: Vec<String> = {
            let known = self.known.lock().expect("nobody panics while holding it");
            content.iter().filter(|name| is_of_table(name) && !known.files.contains_key(*name)).cloned().collect()
        };
        let mut sent = futures::stream::iter(content)
            .map(|name| self.send(Outgoing { name, content: None }))
            .buffer_unordered(AT_ONCE);
        while let Some(written) = sent.try_next().await? {
            let Some(written) = written else { return Ok(false) };
            (pushed.files, pushed.bytes) = (pushed.files + 1, pushed.bytes + written.size_bytes);
        }
        drop(sent);
        for outgoing in late {
            match self.send(outgoing).await {
                Ok(Some(written)) => {
                    (pushed.files, pushed.bytes) = (pushed.files + 1, pushed.bytes + written.size_bytes);
                }
                Ok(None) => return Ok(false),
                Err(error) => {
                    // No index will ever name what was sent for nothing; a reader's glob over a table would.
                    if matches!(error.kind, DatasetErrorKind::Conflict) {
                        self.take_back(&new).await?;
                    }
                    return Err(error);
                }
            }
        }
        pushed.removed = self.remove_gone_there().await?;
        Ok(true)
    }

    /// Removes from the bucket what was just sent there.
    async fn take_back(&self, names: &[String]) -> Result<(), DatasetError> {
        let deleted = futures::stream::iter(names).map(|name| self.store.delete(name)).buffer_unordered(AT_ONCE);
        deleted.try_collect::<Vec<()>>().await?;
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.files.retain(|name, _| !names.contains(name));
        Ok(())
    }

    /// The names of all files that the bucket does not have as they are here.
    fn outgoing(&self) -> Result<Vec<String>, DatasetError> {
        let known = self.known.lock().expect("nobody panics while holding it");
        Ok(self.files(&AREAS)?.into_iter().filter(|name| !known.is_unchanged(name, &self.path(name))).collect())
    }

    /// Sends one file; nothing where it is not there any more.
    async fn send(&self, Outgoing { name, content }: Outgoing) -> Result<Option<Written>, DatasetError> {
        let path = self.path(&name);
        let was =
            self.known.lock().expect("nobody panics while holding it").files.get(&name).map(|same| same.etag.clone());
        // Seen before it is read: what changes in between is sent again.
        let Some(stamp) = stamp(&path) else { return Ok(None) };
        let labels = Labels { content_type: Some(content_type(&name).to_owned()), ..Labels::default() };
        let written = match (was, content) {
            (Some(etag), content) => {
                let content = match content.map_or_else(|| std::fs::read(&path), Ok) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    content => content.map_err(DatasetError::at("read file", &path))?,
                };
                self.store.update(&name, content, &etag).await?
            }
            (None, Some(content)) => self.store.create(&name, content, &labels).await.map(Created::written)?,
            (None, None) => match self.store.upload_new(&path, &name, &labels, &|_| {}).await {
                Err(_) if !path.exists() => return Ok(None),
                created => created?.written(),
            },
        };
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.note(&name, &path, written.etag.as_deref())?;
        if let Some(same) = known.files.get_mut(&name) {
            (same.size_bytes, same.modified_ns) = stamp;
        }
        Ok(Some(written))
    }

    /// Removes from the bucket what both sides had and is not here any more.
    async fn remove_gone_there(&self) -> Result<usize, DatasetError> {
        let here: std::collections::BTreeSet<String> = self.files(&AREAS)?.into_iter().collect();
        let gone: Vec<String> = {
            let known = self.known.lock().expect("nobody panics while holding it");
            known.files.keys().filter(|name| !here.contains(*name)).cloned().collect()
        };
        let deleted = futures::stream::iter(&gone).map(|name| self.store.delete(name)).buffer_unordered(AT_ONCE);
        deleted.try_collect::<Vec<()>>().await?;
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.files.retain(|name, _| !gone.contains(name));
        Ok(gone.len())
    }
}

/// Whether a file holds rows, which an index names; records of runs and models stand for themselves.
fn is_of_table(name: &str) -> bool {
    [Area::Tables, Area::Retired].iter().any(|area| name.split('/').next() == Some(area.name()))
}

fn turn(name: &str) -> Turn {
    let is_pointer = |below: &str| !below.contains('/');
    match name.split_once('/') {
        Some((area, _)) if area == Area::Index.name() => Turn::Index,
        Some((area, below)) if area == Area::Models.name() && is_pointer(below) => Turn::Pointer,
        None if FILES.contains(&name) => Turn::Pointer,
        _ => Turn::Content,
    }
}

fn stamp(path: &Path) -> Option<(u64, u64)> {
    crate::files::size_and_time(path).ok()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("jsonl") => "application/x-ndjson",
        Some("parquet") => "application/vnd.apache.parquet",
        Some("html") => "text/html; charset=utf-8",
        Some("md") => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

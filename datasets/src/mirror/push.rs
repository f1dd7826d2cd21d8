//! Sending what was made here.

use std::path::Path;

use futures::{StreamExt, TryStreamExt};

use super::{AREAS, AT_ONCE, FILES, Mirror, is_append_only};
use crate::layout::Area;
use crate::store::{Created, Labels};
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

/// Whether what was removed here is removed in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    /// Not while the engine may be between two states: the index in the bucket may name it.
    Later,
    /// All that is named was sent.
    Now,
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
    /// Sends everything that was made or changed here. May be called while the engine works: what vanishes meanwhile ends the round, and the next one
    /// goes on; `false` is returned then.
    pub async fn push(&self) -> Result<(Pushed, bool), DatasetError> {
        self.push_and(Removal::Later).await
    }

    /// Sends everything once the engine has ended, and removes from the bucket what was removed here.
    pub async fn push_all(&self) -> Result<Pushed, DatasetError> {
        self.push_and(Removal::Now).await.map(|(pushed, _)| pushed)
    }

    async fn push_and(&self, removal: Removal) -> Result<(Pushed, bool), DatasetError> {
        let mut pushed = Pushed::default();
        let result = self.round(&mut pushed, removal).await;
        self.known.lock().expect("nobody panics while holding it").write()?;
        result.map(|is_whole| (pushed, is_whole))
    }

    async fn round(&self, pushed: &mut Pushed, removal: Removal) -> Result<bool, DatasetError> {
        // First, whatever becomes of the rest: it cannot be made again.
        self.push_journal(pushed).await?;
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
        let content = self.outgoing()?.into_iter().filter(|name| turn(name) == Turn::Content && !is_append_only(name));
        let mut new = Vec::new();
        let mut sent = futures::stream::iter(content)
            .map(|name| async move {
                self.send(Outgoing { name: name.clone(), content: None }).await.map(|sent| (name, sent))
            })
            .buffer_unordered(AT_ONCE);
        while let Some((name, created)) = sent.try_next().await? {
            let Some(created) = created else { return Ok(false) };
            if matches!(created, Created::New(_)) && is_of_table(&name) {
                new.push(name);
            }
            let written = created.written();
            (pushed.files, pushed.bytes) = (pushed.files + 1, pushed.bytes + written.size_bytes);
        }
        drop(sent);
        for outgoing in late {
            match self.send(outgoing).await {
                Ok(Some(created)) => {
                    let written = created.written();
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
        if removal == Removal::Now {
            pushed.removed = self.remove_gone_there().await?;
        }
        Ok(true)
    }

    /// Sends the entries that the bucket lacks. Those that it has stay what they are.
    async fn push_journal(&self, pushed: &mut Pushed) -> Result<(), DatasetError> {
        let names: Vec<String> = {
            let known = self.known.lock().expect("nobody panics while holding it");
            let is_new = |name: &String| is_append_only(name) && !known.files.contains_key(name);
            self.files(&[Area::Journal])?.into_iter().filter(is_new).collect()
        };
        let mut sent = futures::stream::iter(names)
            .map(|name| self.send(Outgoing { name, content: None }))
            .buffer_unordered(AT_ONCE);
        while let Some(created) = sent.try_next().await? {
            if let Some(created) = created {
                (pushed.files, pushed.bytes) = (pushed.files + 1, pushed.bytes + created.written().size_bytes);
            }
        }
        Ok(())
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
    async fn send(&self, Outgoing { name, content }: Outgoing) -> Result<Option<Created>, DatasetError> {
        let path = self.path(&name);
        let was =
            self.known.lock().expect("nobody panics while holding it").files.get(&name).map(|same| same.etag.clone());
        // Seen before it is read: what changes in between is sent again.
        let Some(stamp) = stamp(&path) else { return Ok(None) };
        let labels = Labels { content_type: Some(content_type(&name).to_owned()), ..Labels::default() };
        let created = match (was, content) {
            (Some(etag), content) => {
                let content = match content.map_or_else(|| std::fs::read(&path), Ok) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    content => content.map_err(DatasetError::at("read file", &path))?,
                };
                Created::Same(self.store.update(&name, content, &etag).await?)
            }
            (None, Some(content)) => self.store.create(&name, content, &labels).await?,
            (None, None) => match self.store.upload_new(&path, &name, &labels, &|_| {}).await {
                Err(_) if !path.exists() => return Ok(None),
                created => created?,
            },
        };
        let etag = match &created {
            Created::New(written) | Created::Same(written) => written.etag.as_deref(),
        };
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.note(&name, &path, etag)?;
        if let Some(same) = known.files.get_mut(&name) {
            (same.size_bytes, same.modified_ns) = stamp;
        }
        drop(known);
        Ok(Some(created))
    }

    /// Removes from the bucket what both sides had and is not here any more.
    async fn remove_gone_there(&self) -> Result<usize, DatasetError> {
        let here: std::collections::BTreeSet<String> = self.files(&AREAS)?.into_iter().collect();
        let gone: Vec<String> = {
            let known = self.known.lock().expect("nobody panics while holding it");
            known.files.keys().filter(|name| !here.contains(*name) && !is_append_only(name)).cloned().collect()
        };
        if gone.is_empty() {
            return Ok(0);
        }
        let known_here = self.path(super::known::NAME);
        if !known_here.is_file() {
            let why = "the copy of the data root has gone; nothing was removed from the bucket";
            return Err(DatasetError::invalid("look at", known_here.display().to_string(), why));
        }
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

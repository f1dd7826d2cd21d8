//! Sending what was made here.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt};

use super::{AREAS, AT_ONCE, FILES, Mirror, is_append_only, is_part};
use crate::DatasetError;
use crate::layout::{Area, SNAPSHOT};
use crate::snapshot::Snapshot;
use crate::store::{Labels, Object, Written};

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
    /// Files of tables and index, records, models.
    Content,
    /// What names the files of tables and index.
    Snapshot,
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
        self.push_and(None).await
    }

    /// Makes what the engine has made until `now` a snapshot, once it has ended; sends everything, and removes from the bucket what was removed here and
    /// what nobody wants any more.
    pub async fn push_all(&self, now: DateTime<Utc>) -> Result<Pushed, DatasetError> {
        Snapshot::take(&self.layout, &now.to_rfc3339_opts(SecondsFormat::Secs, true))?;
        self.push_and(Some(now)).await.map(|(pushed, _)| pushed)
    }

    /// Sends everything. What was removed here is removed there only with the time of `now`, and not while the engine may be between two states.
    async fn push_and(&self, now: Option<DateTime<Utc>>) -> Result<(Pushed, bool), DatasetError> {
        let mut pushed = Pushed::default();
        let result = self.round(&mut pushed, now).await;
        self.known.lock().expect("nobody panics while holding it").write()?;
        result.map(|is_whole| (pushed, is_whole))
    }

    async fn round(&self, pushed: &mut Pushed, now: Option<DateTime<Utc>>) -> Result<bool, DatasetError> {
        // First, whatever becomes of the rest: it cannot be made again.
        self.push_journal(pushed).await?;
        // The snapshot is taken as it is before its files are looked for, so that all that it names is among them.
        let before = self.outgoing()?;
        // What it names may have been removed there since it was sent: nobody had named it for a day.
        let listed =
            if before.iter().any(|name| name == SNAPSHOT) { self.forget_removed_parts().await? } else { Vec::new() };
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
        let mut sent = futures::stream::iter(content)
            .map(|name| self.send(Outgoing { name, content: None }))
            .buffer_unordered(AT_ONCE);
        while let Some(written) = sent.try_next().await? {
            let Some(written) = written else { return Ok(false) };
            pushed.add(&written);
        }
        drop(sent);
        for outgoing in late {
            let Some(written) = self.send(outgoing).await? else { return Ok(false) };
            pushed.add(&written);
        }
        if let Some(now) = now {
            pushed.removed = self.remove_gone_there().await?;
            if !listed.is_empty() {
                pushed.removed += self.vacuum(listed, now).await?;
            }
        }
        Ok(true)
    }

    /// Lists the files of tables and index in the bucket, and forgets that those were sent that are not there.
    async fn forget_removed_parts(&self) -> Result<Vec<Object>, DatasetError> {
        let listed = self.store.list_below(Area::Snapshots.name()).await?.objects;
        let there: BTreeSet<&str> = listed.iter().map(|object| object.uri.as_str()).collect();
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.files.retain(|name, _| !is_part(name) || there.contains(name.as_str()));
        drop(known);
        Ok(listed)
    }

    /// Removes those of the files of tables and index that nobody wants any more at `now`, here and in the bucket. Those that were written in the last day
    /// may be about to be named.
    async fn vacuum(&self, listed: Vec<Object>, now: DateTime<Utc>) -> Result<usize, DatasetError> {
        crate::snapshot::vacuum(&self.layout, now)?;
        let named = crate::snapshot::named(&self.layout, now, &|_| true)?;
        let oldest = (now - crate::snapshot::GRACE).timestamp_millis();
        let unused = listed.into_iter().filter(|object| object.modified_ms < oldest && !named.contains(&object.uri));
        self.delete(unused.map(|object| object.uri).collect()).await
    }

    /// Deletes these objects; their number.
    async fn delete(&self, names: Vec<String>) -> Result<usize, DatasetError> {
        let deleted = futures::stream::iter(&names).map(|name| self.store.delete(name)).buffer_unordered(AT_ONCE);
        deleted.try_collect::<Vec<()>>().await?;
        let mut known = self.known.lock().expect("nobody panics while holding it");
        known.files.retain(|name, _| !names.contains(name));
        Ok(names.len())
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
        while let Some(written) = sent.try_next().await? {
            if let Some(written) = written {
                pushed.add(&written);
            }
        }
        Ok(())
    }

    /// The names of all files that the bucket does not have as they are here.
    fn outgoing(&self) -> Result<Vec<String>, DatasetError> {
        let known = self.known.lock().expect("nobody panics while holding it");
        let is_sent = |name: &String| {
            if is_part(name) { known.files.contains_key(name) } else { known.is_unchanged(name, &self.path(name)) }
        };
        Ok(self.files(&AREAS)?.into_iter().filter(|name| !is_sent(name)).collect())
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
            (None, Some(content)) => self.store.create(&name, content, &labels).await?.written(),
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
        drop(known);
        Ok(Some(written))
    }

    /// Removes from the bucket what both sides had and is not here any more.
    async fn remove_gone_there(&self) -> Result<usize, DatasetError> {
        let here: BTreeSet<String> = self.files(&AREAS)?.into_iter().collect();
        let gone: Vec<String> = {
            let known = self.known.lock().expect("nobody panics while holding it");
            let is_gone = |name: &&String| !here.contains(*name) && !is_append_only(name) && !is_part(name);
            known.files.keys().filter(is_gone).cloned().collect()
        };
        if gone.is_empty() {
            return Ok(0);
        }
        let known_here = self.path(super::known::NAME);
        if !known_here.is_file() {
            let why = "the copy of the data root has gone; nothing was removed from the bucket";
            return Err(DatasetError::invalid("look at", known_here.display().to_string(), why));
        }
        self.delete(gone).await
    }
}

impl Pushed {
    fn add(&mut self, written: &Written) {
        self.files += 1;
        self.bytes += written.size_bytes;
    }
}

fn turn(name: &str) -> Turn {
    let is_pointer = |below: &str| !below.contains('/');
    match name.split_once('/') {
        _ if name == SNAPSHOT => Turn::Snapshot,
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

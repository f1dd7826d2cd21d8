//! Fetching what is newer in the bucket.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};

use super::{AT_ONCE, BEFORE_SNAPSHOTS, FILES, Mirror, is_append_only};
use crate::layout::{Area, CORRECTIONS, SNAPSHOT};
use crate::snapshot::{Part, Snapshot};
use crate::store::Object;
use crate::{DatasetError, DatasetErrorKind};

/// What was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Files that were fetched.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Files that were removed here.
    pub removed: usize,
}

impl Mirror {
    /// Brings these areas of the copy up to date with the bucket; `progress` gets the number of files fetched, and how many are to be.
    ///
    /// What was made here and not sent yet is kept where the bucket has not moved on since; where it has, only records of runs, models and what people
    /// decided are.
    pub async fn pull(&self, areas: &[Area], progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Pulled, DatasetError> {
        let latest = if areas.contains(&Area::Snapshots) { self.store.look(SNAPSHOT).await? } else { None };
        let areas = &listed(areas, latest.is_some());
        let there = self.there(areas).await?;
        let wanted = {
            let known = self.known.lock().expect("nobody panics while holding it");
            let is_new = |object: &&Object| {
                let is_same = known.files.get(&object.uri).is_some_and(|same| Some(&same.etag) == object.etag.as_ref());
                // What was changed here since is sent later; what was lost here is fetched again.
                !is_same || !self.path(&object.uri).is_file()
            };
            there.values().filter(is_new).cloned().collect::<Vec<_>>()
        };
        let is_ahead = latest.as_ref().map_or_else(|| self.is_ahead(areas, &there), |latest| self.is_known(latest));
        let mut pulled = Pulled::default();
        let (mut done, total) = (0, wanted.len());
        let mut fetched = futures::stream::iter(wanted)
            .map(|object| async move { self.fetch(&object).await.map(|is_fetched| (object, is_fetched)) })
            .buffer_unordered(AT_ONCE);
        let result = loop {
            match fetched.try_next().await {
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
                Ok(Some((object, is_fetched))) => {
                    done += 1;
                    progress(done, total);
                    pulled.files += usize::from(is_fetched);
                    pulled.bytes += if is_fetched { object.size_bytes } else { 0 };
                }
            }
        };
        drop(fetched);
        let result = match (result, &latest) {
            (Ok(()), Some(_)) => self.fetch_snapshot(is_ahead, &mut pulled, progress).await,
            (result, _) => result,
        };
        if result.is_ok() {
            pulled.removed += self.remove_gone(areas, &there, is_ahead)?;
        }
        self.known.lock().expect("nobody panics while holding it").write()?;
        result.map(|()| pulled)
    }

    /// Everything in these areas of the bucket, by name.
    async fn there(&self, areas: &[Area]) -> Result<BTreeMap<String, Object>, DatasetError> {
        let mut there = BTreeMap::new();
        for area in areas {
            let listing = self.store.list_below(area.name()).await?;
            there.extend(listing.objects.into_iter().map(|object| (object.uri.clone(), object)));
        }
        for name in FILES {
            there.extend(self.store.look(name).await?.map(|object| (name.to_owned(), object)));
        }
        Ok(there)
    }

    /// Whether the bucket still has all that both sides had, and nothing else of what the engine replaces: then what was made here since goes on
    /// from there.
    fn is_ahead(&self, areas: &[Area], there: &BTreeMap<String, Object>) -> bool {
        let known = self.known.lock().expect("nobody panics while holding it");
        let is_of = |name: &str| areas.iter().any(|area| name.starts_with(area.name())) || FILES.contains(&name);
        let is_index = |name: &str| name.starts_with(Area::Index.name());
        let mut known_index = known.files.iter().filter(|(name, _)| is_of(name) && is_index(name));
        let is_there = known_index
            .all(|(name, same)| there.get(name).is_some_and(|object| object.etag.as_deref() == Some(&same.etag)));
        is_there && there.keys().filter(|name| is_index(name)).all(|name| known.files.contains_key(name))
    }

    /// Whether the bucket's latest snapshot is the one that both sides had.
    fn is_known(&self, latest: &Object) -> bool {
        let known = self.known.lock().expect("nobody panics while holding it");
        known.files.get(SNAPSHOT).is_some_and(|same| latest.etag.as_ref() == Some(&same.etag))
    }

    /// Makes tables and index what the bucket's latest snapshot says, unless they are newer here. Where both sides had that snapshot, only what was lost
    /// here is fetched again.
    async fn fetch_snapshot(
        &self,
        is_ahead: bool,
        pulled: &mut Pulled,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(), DatasetError> {
        let path = self.layout.snapshot();
        let (snapshot, fetched) = if is_ahead && path.is_file() {
            let is_unchanged = self.known.lock().expect("nobody panics while holding it").is_unchanged(SNAPSHOT, &path);
            match Snapshot::read(&self.layout) {
                Ok(Some(here)) if is_unchanged && !here.is_outdated(&self.layout)? => (here, None),
                _ => return Ok(()),
            }
        } else {
            let address = self.store.address(SNAPSHOT);
            let moved =
                || DatasetError::invalid("fetch", address.clone(), "somebody is writing the data root; try again");
            let (bytes, etag) = self.store.read_tagged(SNAPSHOT, None).await?.ok_or_else(moved)?;
            (Snapshot::parse(&bytes, &address)?, Some((bytes, etag)))
        };
        let missing: Vec<&Part> = snapshot.parts().filter(|part| !self.has(part)).collect();
        let total = missing.len();
        let mut parts = futures::stream::iter(missing)
            .map(|part| async move { self.fetch_part(part).await.map(|is_fetched| (part, is_fetched)) })
            .buffer_unordered(AT_ONCE);
        let mut done = 0;
        while let Some((part, is_fetched)) = parts.try_next().await? {
            done += 1;
            progress(done, total);
            pulled.files += usize::from(is_fetched);
            pulled.bytes += if is_fetched { part.size_bytes } else { 0 };
        }
        drop(parts);
        pulled.removed += snapshot.restore(&self.layout)?;
        // Last, so that a pull that is cut off begins again.
        let Some((bytes, etag)) = fetched else { return Ok(()) };
        crate::files::write_atomic(&path, &bytes)?;
        (pulled.files, pulled.bytes) = (pulled.files + 1, pulled.bytes + bytes.len() as u64);
        self.known.lock().expect("nobody panics while holding it").note(SNAPSHOT, &path, etag.as_deref())
    }

    /// Whether the file of a table or of the index is here. What both sides had, and nobody has changed here, need not be read.
    fn has(&self, part: &Part) -> bool {
        let known = self.known.lock().expect("nobody panics while holding it");
        let is_unchanged = known.is_unchanged(&part.path, &self.path(&part.path));
        drop(known);
        is_unchanged || part.is_whole(self.layout.root()).unwrap_or(false)
    }

    /// Fetches a file of a table or of the index. One that is not there any more, or not what was written, is left out: the next run makes it again.
    async fn fetch_part(&self, part: &Part) -> Result<bool, DatasetError> {
        let path = self.path(&part.path);
        if !self.store.download(&part.path, &path, &|_| {}).await? {
            return Ok(false);
        }
        if !part.is_whole(self.layout.root())? {
            std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
            return Ok(false);
        }
        // Its name says what it holds, so that no tag need be compared.
        self.known.lock().expect("nobody panics while holding it").note(&part.path, &path, None)?;
        Ok(true)
    }

    /// Fetches one object, unless what is here is the same already.
    async fn fetch(&self, object: &Object) -> Result<bool, DatasetError> {
        let path = self.path(&object.uri);
        let is_here = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == object.size_bytes)
            && self.store.is_copy_of(&object.uri, &path).await?;
        if !is_here && !self.store.download(&object.uri, &path, &|_| {}).await? {
            let moved = "somebody is writing the data root; try again";
            return Err(DatasetError::new(
                "fetch",
                self.store.address(&object.uri),
                DatasetErrorKind::Invalid(moved.into()),
            ));
        }
        // It may have been replaced since it was listed; then its tag is another one, and it is fetched again the next time.
        self.known.lock().expect("nobody panics while holding it").note(&object.uri, &path, object.etag.as_deref())?;
        Ok(!is_here)
    }

    /// Removes what the bucket does not have any more, and, where it has moved on, what it never had.
    fn remove_gone(
        &self,
        areas: &[Area],
        there: &BTreeMap<String, Object>,
        is_ahead: bool,
    ) -> Result<usize, DatasetError> {
        let mut known = self.known.lock().expect("nobody panics while holding it");
        let mut removed = 0;
        let is_missing = |name: &String| !there.contains_key(name) && !is_append_only(name);
        for name in self.files(areas)?.into_iter().filter(is_missing) {
            let path = self.path(&name);
            let is_of_area = [Area::Runs, Area::Models].iter().any(|area| name.starts_with(area.name()));
            let is_record = is_of_area || name == CORRECTIONS;
            let is_gone = if known.files.contains_key(&name) {
                known.is_unchanged(&name, &path)
            } else {
                !is_ahead && !is_record
            };
            if is_gone {
                std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
                crate::snapshot::remove_empty(&path, self.layout.root());
                removed += 1;
            }
        }
        let is_of = |name: &str| areas.iter().any(|area| name.starts_with(area.name())) || FILES.contains(&name);
        known.files.retain(|name, _| !is_of(name) || there.contains_key(name));
        Ok(removed)
    }
}

/// The areas that are listed to bring `areas` up to date. The files of tables and index are fetched as the latest snapshot names them; a bucket that has
/// none was written by an earlier version of the program.
fn listed(areas: &[Area], has_snapshot: bool) -> Vec<Area> {
    let before: &[Area] = if areas.contains(&Area::Snapshots) && !has_snapshot { &BEFORE_SNAPSHOTS } else { &[] };
    areas.iter().filter(|area| **area != Area::Snapshots).chain(before).copied().collect()
}

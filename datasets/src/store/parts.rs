//! Uploads in parts, a few parts at a time.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use object_store::path::Path as Location;
use object_store::{
    CopyMode, CopyOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayload,
};

use super::sum::{Sum, Summer};
use super::{Created, Labels, PART_BYTES, Store};
use crate::DatasetError;
use crate::key::KeyHasher;
use crate::layout::Area;

/// Parts of one file on their way at a time.
const PARTS_AT_ONCE: usize = 4;

impl Store {
    /// Writes the file at `path`, which is larger than a part, as `name` if nothing is there when it is complete.
    pub(super) async fn create_in_parts(
        &self,
        path: &Path,
        name: &str,
        labels: &Labels,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, DatasetError> {
        let location = self.location(name)?;
        let Some(creator) = &self.creator else {
            return self.create_by_copy(path, name, &location, labels, progress).await;
        };
        match self.send_file(creator, path, &location, labels, progress).await {
            Ok(sum) => Ok(Created::New(self.compare(name, &location, &sum).await?)),
            Err(SendError::Completion(error, sum)) => self.created_before(name, &location, &sum, error).await,
            Err(error) => Err(self.send_error(path, name, error)),
        }
    }

    /// The same for stores that have no conditional uploads in parts: under a temporary name first, whose copy is conditional.
    async fn create_by_copy(
        &self,
        path: &Path,
        name: &str,
        location: &Location,
        labels: &Labels,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, DatasetError> {
        let id = KeyHasher::new("upload").str(name).u64(u64::from(std::process::id())).finish();
        let temporary = if self.place.local().is_some() {
            let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            self.location(&format!("{folder}.upload-{id}.tmp"))?
        } else {
            self.location(&Area::Temp.key(&format!("uploads/{id}")))?
        };
        let sum = match self.send_file(&self.sender, path, &temporary, labels, progress).await {
            Ok(sum) => sum,
            Err(error) => return Err(self.send_error(path, name, error)),
        };
        let options = CopyOptions { mode: CopyMode::Create, ..CopyOptions::default() };
        let copied = self.again(|| self.files.copy_opts(&temporary, location, options.clone())).await;
        // Where this fails, `storage gc` or the bucket's rule for `temp/` removes it.
        let _ = self.files.delete(&temporary).await;
        match copied {
            Ok(()) => Ok(Created::New(self.compare(name, location, &sum).await?)),
            Err(error) => self.created_before(name, location, &sum, error).await,
        }
    }

    /// What became of a creation that failed in its last step with `error`: the same bytes may be there, from this try or another.
    async fn created_before(
        &self,
        name: &str,
        location: &Location,
        sum: &Sum,
        error: object_store::Error,
    ) -> Result<Created, DatasetError> {
        use object_store::Error::{AlreadyExists, NotModified, Precondition};
        match self.same(name, location, sum).await {
            Ok(Some(written)) => Ok(Created::Same(written)),
            Ok(None) if matches!(error, AlreadyExists { .. } | NotModified { .. } | Precondition { .. }) => {
                Err(self.conflict("create", name))
            }
            Ok(None) | Err(_) => Err(self.write_error(name, error)),
        }
    }

    /// Sends the file at `path` to `location` of `store` in parts. If it fails, nothing of it stays.
    pub(super) async fn send_file(
        &self,
        store: &Arc<dyn ObjectStore>,
        path: &Path,
        location: &Location,
        labels: &Labels,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Sum, SendError> {
        let mut file = File::open(path).map_err(SendError::Read)?;
        // The hash is announced with the first request. Most files are in memory when they are read once more.
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file).map_err(SendError::Read)?;
        file.rewind().map_err(SendError::Read)?;
        let hash = hasher.finalize();
        let attributes = self.attributes(labels, &hash);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begin = || store.put_multipart_opts(location, options.clone());
        let mut parts = self.again(begin).await.map_err(SendError::Store)?;
        let sent = match send(&mut *parts, &mut file, progress, &|| self.is_stopped()).await {
            Ok(sum) if sum.blake3 != hash => {
                Err(SendError::Read(std::io::Error::new(ErrorKind::InvalidData, "it changed while it was sent")))
            }
            Ok(sum) => match parts.complete().await {
                Ok(_) => Ok(sum),
                Err(error) => Err(SendError::Completion(error, sum)),
            },
            Err(error) => Err(error),
        };
        if sent.is_err() {
            // Parts that stay behind are paid for; where this fails too, the bucket's rule for incomplete uploads removes them.
            let _ = parts.abort().await;
        }
        sent
    }

    pub(super) fn send_error(&self, path: &Path, name: &str, error: SendError) -> DatasetError {
        match error {
            SendError::Read(error) => DatasetError::new("read file", path.display().to_string(), error),
            SendError::Store(error) | SendError::Completion(error, _) => self.write_error(name, error),
            SendError::Stopped => self.stopped("write object", name),
        }
    }
}

pub(super) enum SendError {
    Read(std::io::Error),
    Store(object_store::Error),
    /// All parts were sent, but they are no object, as far as the server has answered.
    Completion(object_store::Error, Sum),
    Stopped,
}

/// Sends `file` in parts, a few at a time.
async fn send(
    parts: &mut dyn MultipartUpload,
    file: &mut File,
    progress: &(dyn Fn(u64) + Sync),
    is_stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Sum, SendError> {
    let mut sum = Summer::default();
    let mut under_way = FuturesUnordered::new();
    let mut sent = 0;
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        file.by_ref().take(PART_BYTES as u64).read_to_end(&mut part).map_err(SendError::Read)?;
        if is_stopped() {
            return Err(SendError::Stopped);
        }
        if part.is_empty() {
            break;
        }
        sum.add(&part);
        let size = part.len() as u64;
        let upload = parts.put_part(PutPayload::from(part));
        under_way.push(async move { upload.await.map(|()| size) });
        if under_way.len() >= PARTS_AT_ONCE
            && let Some(done) = under_way.next().await
        {
            sent += done.map_err(SendError::Store)?;
            progress(sent);
        }
    }
    while let Some(done) = under_way.next().await {
        sent += done.map_err(SendError::Store)?;
        progress(sent);
    }
    Ok(sum.finish())
}

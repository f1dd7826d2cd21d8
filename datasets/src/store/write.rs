//! Writing to a store. What is written was compared with what was sent before it counts as written.
//!
//! Up to 8 MiB go in one request, more in parts of that size, a few at a time, so that memory stays bounded however large a file is. The server
//! gets a checksum with every request, and the BLAKE3 of the content as metadata of the object. What a HEAD says afterwards of size, entity tag
//! and that metadata is compared with what was sent. The tag is an MD5 only where objects are not encrypted with keys of the Key Management
//! Service; the metadata says the same of all, so that nothing is read back.
//!
//! A creation is conditional whatever its size: in one request by `If-None-Match: *`, in parts by the same header of the request that completes
//! them. Servers without it, and folders, get the content under a temporary name, which is copied to its own if nothing is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use futures::StreamExt;
use object_store::path::Path as Location;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, UpdateVersion,
};

use super::cache::CacheKey;
use super::parts::SendError;
use super::read::is_missing;
use super::sum::{Sum, Summer, is_sum};
use super::{Access, Object, Store};
use crate::key::ContentHash;
use crate::{DatasetError, DatasetErrorKind};

/// Size of a part; what is larger is written in several.
pub const PART_BYTES: usize = 8 << 20;

/// Name of the metadata that holds the BLAKE3 of the content, in hexadecimal digits.
pub(super) const HASH: &str = "blake3";

/// What is said of an object beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `audio/wav` and the like.
    pub content_type: Option<String>,
    /// `x-amz-meta-…` and its relatives: names in lower case, values in ASCII.
    pub metadata: BTreeMap<String, String>,
}

/// An object that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// What came of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New(Written),
    /// The very same bytes were there already, or the answer to the first try was lost.
    Same(Written),
}

impl Created {
    /// The object.
    pub fn written(self) -> Written {
        match self {
            Self::New(written) | Self::Same(written) => written,
        }
    }
}

impl Store {
    /// Writes `bytes` as `name`, whatever was there.
    pub async fn put(&self, name: &str, bytes: Vec<u8>, labels: &Labels) -> Result<Written, DatasetError> {
        let location = self.location(name)?;
        let sum = Sum::of(&bytes);
        let options = PutOptions { attributes: self.attributes(labels, &sum.blake3), ..PutOptions::default() };
        let bytes = PutPayload::from(bytes);
        let put = self.again(|| self.sender.put_opts(&location, bytes.clone(), options.clone())).await;
        put.map_err(|error| self.write_error(name, error))?;
        self.compare(name, &location, &sum).await
    }

    /// Writes `bytes` as `name` if nothing is there. Other bytes there are a [`Conflict`](DatasetErrorKind::Conflict).
    pub async fn create(&self, name: &str, bytes: Vec<u8>, labels: &Labels) -> Result<Created, DatasetError> {
        let location = self.location(name)?;
        let sum = Sum::of(&bytes);
        let options = PutOptions {
            mode: PutMode::Create,
            attributes: self.attributes(labels, &sum.blake3),
            ..PutOptions::default()
        };
        let bytes = PutPayload::from(bytes);
        match self.again(|| self.sender.put_opts(&location, bytes.clone(), options.clone())).await {
            Ok(_) => Ok(Created::New(self.compare(name, &location, &sum).await?)),
            // Our own first try may be what is there: its answer was lost.
            Err(object_store::Error::AlreadyExists { .. }) => {
                self.same(name, &location, &sum).await?.map(Created::Same).ok_or_else(|| self.conflict("create", name))
            }
            Err(error) => Err(self.write_error(name, error)),
        }
    }

    /// Writes `bytes` as `name` if what is there has the tag `etag`. Anything else there is a [`Conflict`](DatasetErrorKind::Conflict), unless it
    /// is the same bytes.
    pub async fn update(&self, name: &str, bytes: Vec<u8>, etag: &str) -> Result<Written, DatasetError> {
        let location = self.location(name)?;
        let sum = Sum::of(&bytes);
        if let Some(folder) = self.place.local() {
            // No file system writes under a condition: whoever does takes turns.
            let local = |error: std::io::Error| DatasetError::new("update", self.address(name), error);
            let lock = File::open(folder).map_err(local)?;
            lock.lock().map_err(local)?;
            let there = self.look(name).await?;
            if there.is_none_or(|object| object.etag.as_deref() != Some(etag)) {
                let same = self.same(name, &location, &sum).await?;
                return same.ok_or_else(|| self.conflict("update", name));
            }
            return self.put(name, bytes, &Labels::default()).await;
        }
        let version = if self.counts_generations() {
            // Google's condition is the generation, not the tag.
            match self.again(|| self.files.head(&location)).await {
                Ok(meta) if meta.e_tag.as_deref() == Some(etag) => meta.version,
                Ok(_) => {
                    return self.same(name, &location, &sum).await?.ok_or_else(|| self.conflict("update", name));
                }
                Err(error) if is_missing(&error) => return Err(self.conflict("update", name)),
                Err(error) => return Err(self.write_error(name, error)),
            }
        } else {
            None
        };
        let version = UpdateVersion { e_tag: Some(etag.to_owned()), version };
        let attributes = self.attributes(&Labels::default(), &sum.blake3);
        let options = PutOptions { mode: PutMode::Update(version), attributes, ..PutOptions::default() };
        let bytes = PutPayload::from(bytes);
        match self.again(|| self.sender.put_opts(&location, bytes.clone(), options.clone())).await {
            Ok(_) => self.compare(name, &location, &sum).await,
            Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                self.same(name, &location, &sum).await?.ok_or_else(|| self.conflict("update", name))
            }
            Err(error) => Err(self.write_error(name, error)),
        }
    }

    /// Writes the file at `path` as `name`, whatever was there; `progress` gets the bytes that have been sent.
    pub async fn upload(
        &self,
        path: &Path,
        name: &str,
        labels: &Labels,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Written, DatasetError> {
        let local = |error: std::io::Error| DatasetError::new("read file", path.display().to_string(), error);
        if path.metadata().map_err(local)?.len() <= PART_BYTES as u64 {
            let written = self.put(name, std::fs::read(path).map_err(local)?, labels).await?;
            progress(written.size_bytes);
            return Ok(written);
        }
        let location = self.location(name)?;
        match self.send_file(&self.sender, path, &location, labels, progress).await {
            Ok(sum) => self.compare(name, &location, &sum).await,
            // It was completed if only the answer was lost; a second try then finds no upload to complete.
            Err(SendError::Completion(error, sum)) => {
                let same = self.same(name, &location, &sum).await.ok().flatten();
                same.ok_or_else(|| self.write_error(name, error))
            }
            Err(error) => Err(self.send_error(path, name, error)),
        }
    }

    /// Writes the file at `path` as `name` if nothing is there; the same bytes there are fine, others a
    /// [`Conflict`](DatasetErrorKind::Conflict).
    pub async fn upload_new(
        &self,
        path: &Path,
        name: &str,
        labels: &Labels,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, DatasetError> {
        let local = |error: std::io::Error| DatasetError::new("read file", path.display().to_string(), error);
        let size = path.metadata().map_err(local)?.len();
        if size <= PART_BYTES as u64 {
            let created = self.create(name, std::fs::read(path).map_err(local)?, labels).await?;
            progress(size);
            return Ok(created);
        }
        // What is there already need not be sent to find that out.
        if self.look(name).await?.is_some() {
            let sum = Sum::of_file(path).map_err(local)?;
            let same = self.same(name, &self.location(name)?, &sum).await?;
            return same.map(Created::Same).ok_or_else(|| self.conflict("create", name));
        }
        self.create_in_parts(path, name, labels, progress).await
    }

    /// Copies `from` to `to` within this store, if nothing is there.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), DatasetError> {
        let (source, target) = (self.location(from)?, self.location(to)?);
        if self.look(to).await?.is_some() {
            return Err(self.conflict("copy to", to));
        }
        let options = CopyOptions { mode: CopyMode::Overwrite, ..CopyOptions::default() };
        let copied = self.again(|| self.files.copy_opts(&source, &target, options.clone())).await;
        copied.map_err(|error| DatasetError::new("copy", self.address(from), error))
    }

    /// Removes `name`; that it is not there is fine.
    pub async fn delete(&self, name: &str) -> Result<(), DatasetError> {
        let location = self.location(name)?;
        match self.again(|| self.files.delete(&location)).await {
            Err(error) if !is_missing(&error) => Err(DatasetError::new("delete", self.address(name), error)),
            _ => Ok(()),
        }
    }

    /// Removes the copy of `object` from this machine's cache, where there is one.
    pub fn forget_cached(&self, object: &Object) -> Result<(), DatasetError> {
        let (Some(Access { cache, .. }), Some(etag)) = (&self.access, &object.etag) else { return Ok(()) };
        let address = self.address(&object.uri);
        let key = CacheKey::new(&address, etag, object.size_bytes);
        cache.forget(&key).map_err(|error| DatasetError::new("remove from the cache", address, error))
    }

    /// Whether the object `name` holds what the file at `path` does.
    pub async fn is_copy_of(&self, name: &str, path: &Path) -> Result<bool, DatasetError> {
        let sum = Sum::of_file(path).map_err(DatasetError::at("read file", path))?;
        Ok(self.same(name, &self.location(name)?, &sum).await?.is_some())
    }

    /// Whether `object` holds what the file at `path` does; as [`is_copy_of`](Self::is_copy_of), but asks nobody where size or tag tell.
    pub async fn has_copy_of(&self, object: &Object, path: &Path) -> Result<bool, DatasetError> {
        let sum = Sum::of_file(path).map_err(DatasetError::at("read file", path))?;
        if sum.size != object.size_bytes || sum.has_tag(object.etag.as_deref()) {
            return Ok(sum.size == object.size_bytes);
        }
        Ok(self.same(&object.uri, &self.location(&object.uri)?, &sum).await?.is_some())
    }

    /// What is said of the object `name`; nothing where there is none. Folders say nothing.
    pub async fn labels(&self, name: &str) -> Result<Option<Labels>, DatasetError> {
        let location = self.location(name)?;
        let attributes = match self.head_of(&location).await {
            Ok(result) => result.attributes,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(DatasetError::new("look at", self.address(name), error)),
        };
        let mut labels = Labels::default();
        for (attribute, value) in &attributes {
            match attribute {
                Attribute::ContentType => labels.content_type = Some(value.to_string()),
                Attribute::Metadata(name) => drop(labels.metadata.insert(name.to_string(), value.to_string())),
                _ => {}
            }
        }
        Ok(Some(labels))
    }

    /// Labels and the hash of the content. Folders keep neither.
    pub(super) fn attributes(&self, labels: &Labels, hash: &blake3::Hash) -> Attributes {
        if self.place.local().is_some() {
            return Attributes::new();
        }
        let content_type = labels.content_type.iter().map(|kind| (Attribute::ContentType, kind.clone()));
        let metadata = labels.metadata.iter().filter(|(name, _)| *name != HASH);
        let metadata = metadata.map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
        let hash = (Attribute::Metadata(HASH.into()), ContentHash::of(*hash).to_string());
        content_type.chain(metadata).chain([hash]).collect()
    }

    /// What a HEAD says of `location`.
    async fn head_of(&self, location: &Location) -> object_store::Result<GetResult> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        self.again(|| self.files.get_opts(location, options.clone())).await
    }

    /// What is at `location` once it was compared with what was sent there.
    pub(super) async fn compare(&self, name: &str, location: &Location, sum: &Sum) -> Result<Written, DatasetError> {
        let GetResult { meta, attributes, .. } =
            self.head_of(location).await.map_err(|error| self.write_error(name, error))?;
        if meta.size != sum.size {
            let why = format!("{} bytes were sent and {} are there", sum.size, meta.size);
            return Err(DatasetError::invalid("write object", self.address(name), why));
        }
        let is_same = match has_hash(&attributes, sum) {
            _ if sum.has_tag(meta.e_tag.as_deref()) => true,
            Some(is_same) => is_same,
            // Another sum than ours is that of an encrypted object, or of another one: only its content tells.
            None if meta.e_tag.as_deref().is_some_and(is_sum) => self.same(name, location, sum).await?.is_some(),
            None => true,
        };
        if !is_same {
            let why = "other bytes are there than were sent";
            return Err(DatasetError::invalid("write object", self.address(name), why));
        }
        Ok(Written { etag: meta.e_tag, size_bytes: meta.size })
    }

    /// What is at `location`, if it has this sum. Read where neither its tag nor its metadata tell.
    pub(super) async fn same(
        &self,
        name: &str,
        location: &Location,
        sum: &Sum,
    ) -> Result<Option<Written>, DatasetError> {
        let failed = |error| DatasetError::new("read object", self.address(name), DatasetErrorKind::Store(error));
        let GetResult { meta, attributes, .. } = match self.head_of(location).await {
            Err(error) if is_missing(&error) => return Ok(None),
            result => result.map_err(failed)?,
        };
        let written = Written { etag: meta.e_tag.clone(), size_bytes: meta.size };
        let is_same = match has_hash(&attributes, sum) {
            _ if meta.size != sum.size => Some(false),
            _ if sum.has_tag(meta.e_tag.as_deref()) => Some(true),
            known => known,
        };
        if let Some(is_same) = is_same {
            return Ok(is_same.then_some(written));
        }
        let result = match self.again(|| self.files.get(location)).await {
            Err(error) if is_missing(&error) => return Ok(None),
            result => result.map_err(failed)?,
        };
        let written = Written { etag: result.meta.e_tag.clone(), size_bytes: result.meta.size };
        let mut hasher = Summer::default();
        let mut stream = result.into_stream();
        while let Some(bytes) = stream.next().await {
            hasher.add(&bytes.map_err(failed)?);
        }
        Ok((hasher.finish().blake3 == sum.blake3).then_some(written))
    }

    /// Whether what is written under a condition names a generation.
    fn counts_generations(&self) -> bool {
        self.place.bucket().is_some_and(|bucket| bucket.scheme == super::Scheme::Gcs)
    }

    pub(super) fn write_error(&self, name: &str, error: object_store::Error) -> DatasetError {
        DatasetError::new("write object", self.address(name), error)
    }

    pub(super) fn conflict(&self, action: &'static str, name: &str) -> DatasetError {
        DatasetError::new(action, self.address(name), DatasetErrorKind::Conflict)
    }
}

/// Whether the metadata of an object names this hash; nothing where it names none.
fn has_hash(attributes: &Attributes, sum: &Sum) -> Option<bool> {
    let named = attributes.get(&Attribute::Metadata(HASH.into()))?;
    Some(named.as_ref() == ContentHash::of(sum.blake3).to_string())
}

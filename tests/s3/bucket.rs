//! What `s3s-fs` leaves out and the real one does: entity tags in lists, reads under a condition, and one writer of a key at a time, so that
//! conditional writes are what they say.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hyper::http;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ETag, ETagCondition, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, Object, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// A folder that is served as buckets.
pub(super) struct Buckets {
    files: FileSystem,
    folder: PathBuf,
    /// Whose turn it is to read or write a key.
    keys: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Keys below a prefix as they were when the first page of their list was asked for.
    walks: Mutex<HashMap<(String, String), Arc<Keys>>>,
    /// Entity tags of files that have this time and size.
    tags: Mutex<HashMap<PathBuf, (SystemTime, u64, ETag)>>,
}

/// Keys with the paths of their files, in order.
type Keys = Vec<(String, PathBuf)>;

type Answer<T> = S3Result<S3Response<T>>;

impl Buckets {
    pub(super) fn new(folder: &Path) -> Self {
        let files = FileSystem::new(folder).expect("a folder to serve");
        Self {
            files,
            folder: folder.to_owned(),
            keys: Mutex::default(),
            walks: Mutex::default(),
            tags: Mutex::default(),
        }
    }

    async fn turn(&self, bucket: &str, key: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = self.keys.lock().unwrap().entry(format!("{bucket}/{key}")).or_default().clone();
        turn.lock_owned().await
    }

    /// A folder of the file system is no object.
    fn exists(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.folder.join(bucket).join(key).is_dir() { Err(s3_error!(NoSuchKey)) } else { Ok(()) }
    }

    /// Whether the object is there with the tag that is asked for.
    async fn check(&self, bucket: &str, key: &str, expected: Option<&ETagCondition>) -> S3Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let there = self.files.head_object(request(head(bucket, key))).await?.output.e_tag;
        let is_same = |etag: &ETag| there.as_ref().is_some_and(|there| there.value() == etag.value());
        match expected.as_etag() {
            Some(etag) if !is_same(etag) => Err(s3_error!(PreconditionFailed)),
            _ => Ok(()),
        }
    }

    /// [`keys_below`](Self::keys_below), walked anew for the first page of a list alone.
    fn walk(&self, bucket: &str, prefix: &str, is_further_page: bool) -> Arc<Keys> {
        let name = (bucket.to_owned(), prefix.to_owned());
        let known = self.walks.lock().unwrap().get(&name).filter(|_| is_further_page).cloned();
        known.unwrap_or_else(|| {
            let keys = Arc::new(self.keys_below(bucket, prefix));
            self.walks.lock().unwrap().insert(name, keys.clone());
            keys
        })
    }

    /// Keys below `prefix` with their paths, in order.
    fn keys_below(&self, bucket: &str, prefix: &str) -> Keys {
        let root = self.folder.join(bucket);
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (mut folders, mut keys) = (vec![root.join(folder)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let key = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if key.starts_with(prefix) {
                    keys.push((key, path));
                }
            }
        }
        keys.sort();
        keys
    }

    /// What a list says of an object; nothing if it has just gone.
    async fn listed(&self, bucket: &str, key: String, path: PathBuf) -> Option<Object> {
        let state = |path: &Path| path.metadata().ok().map(|meta| (meta.modified().unwrap(), meta.len()));
        let (time, size) = state(&path)?;
        let known = self.tags.lock().unwrap().get(&path).filter(|known| (known.0, known.1) == (time, size)).cloned();
        let (time, size, etag) = if let Some(known) = known {
            known
        } else {
            let _turn = self.turn(bucket, &key).await;
            let (time, size) = state(&path)?;
            let etag = self.files.head_object(request(head(bucket, &key))).await.ok()?.output.e_tag?;
            self.tags.lock().unwrap().insert(path, (time, size, etag.clone()));
            (time, size, etag)
        };
        Some(Object {
            key: Some(key),
            e_tag: Some(etag),
            size: Some(size.cast_signed()),
            last_modified: Some(time.into()),
            ..Object::default()
        })
    }
}

fn head(bucket: &str, key: &str) -> HeadObjectInput {
    HeadObjectInput::builder().bucket(bucket.to_owned()).key(key.to_owned()).build().unwrap()
}

/// A request of the server to itself.
fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::default(),
        headers: http::HeaderMap::default(),
        extensions: http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[async_trait::async_trait]
impl S3 for Buckets {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.files.create_bucket(req).await
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.files.delete_bucket(req).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.files.head_bucket(req).await
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        self.files.list_buckets(req).await
    }

    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        self.files.get_bucket_location(req).await
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        if !self.folder.join(&bucket).exists() {
            return Err(s3_error!(NoSuchBucket));
        }
        let _turn = self.turn(&bucket, &key).await;
        self.exists(&bucket, &key)?;
        self.check(&bucket, &key, req.input.if_match.as_ref()).await?;
        self.files.get_object(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let _turn = self.turn(&bucket, &key).await;
        self.exists(&bucket, &key)?;
        self.check(&bucket, &key, req.input.if_match.as_ref()).await?;
        self.files.head_object(req).await
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let ListObjectsV2Input { bucket, prefix, delimiter, max_keys, continuation_token, start_after, .. } = req.input;
        if !self.folder.join(&bucket).exists() {
            return Err(s3_error!(NoSuchBucket));
        }
        let start = prefix.clone().unwrap_or_default();
        let behind = continuation_token.clone().max(start_after).unwrap_or_default();
        let limit = max_keys.unwrap_or(1000).clamp(1, 1000) as usize;
        let (mut contents, mut folders) = (Vec::new(), Vec::<String>::new());
        let (mut last, mut is_truncated) = (String::new(), false);
        let keys = self.walk(&bucket, &start, continuation_token.is_some());
        let begin = keys.partition_point(|(key, _)| *key <= behind);
        for (key, path) in keys[begin..].iter().cloned() {
            let folder = delimiter.as_ref().and_then(|delimiter| {
                let end = key[start.len()..].find(delimiter.as_str())?;
                Some(key[..start.len() + end + delimiter.len()].to_owned())
            });
            let name = folder.as_ref().unwrap_or(&key);
            if *name <= behind || *name == last {
                continue;
            }
            if contents.len() + folders.len() == limit {
                is_truncated = true;
                break;
            }
            last.clone_from(name);
            match folder {
                Some(folder) => folders.push(folder),
                None => contents.extend(self.listed(&bucket, key, path).await),
            }
        }
        let key_count = (contents.len() + folders.len()) as i32;
        let common_prefixes = folders.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(bucket),
            prefix,
            delimiter,
            continuation_token,
            key_count: Some(key_count),
            max_keys: Some(limit as i32),
            is_truncated: Some(is_truncated),
            next_continuation_token: is_truncated.then_some(last),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        if !self.folder.join(&req.input.bucket).exists() {
            return Err(s3_error!(NoSuchBucket));
        }
        let _turn = self.turn(&req.input.bucket, &req.input.key).await;
        self.files.put_object(req).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let _turn = self.turn(&req.input.bucket, &req.input.key).await;
        self.files.copy_object(req).await
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let _turn = self.turn(&req.input.bucket, &req.input.key).await;
        self.files.delete_object(req).await
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        self.files.delete_objects(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.files.upload_part(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.files.list_parts(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let _turn = self.turn(&req.input.bucket, &req.input.key).await;
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.files.abort_multipart_upload(req).await
    }
}

//! Objects by their raw keys, which may be such as no path can be: with empty parts, or a slash in front.

use std::path::Path;

use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};

use super::Admin;
use super::client::server_error;
use crate::store::Labels;
use crate::{DatasetError, DatasetErrorKind};

/// An object as the server names it, below the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawObject {
    /// Its key without the prefix of the place.
    pub key: String,
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written last, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// An upload in parts that was begun and not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The key that it would have, without the prefix of the place.
    pub key: String,
    /// The server's name for it.
    pub id: String,
    /// When it was begun, in milliseconds since 1970.
    pub begun_ms: i64,
}

impl Admin {
    /// All objects of the place.
    pub async fn list_raw(&self) -> Result<Vec<RawObject>, DatasetError> {
        let prefix = self.below_place();
        // Documents of XML cannot hold all characters of keys.
        let request = self.s3.list_objects_v2().bucket(self.bucket()).prefix(&prefix).encoding_type(EncodingType::Url);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.refused("list"))?;
            // Some servers ignore what they are asked for.
            let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
            for object in page.contents() {
                let key = object.key().unwrap_or_default();
                let key = if is_encoded { decoded(key) } else { key.to_owned() };
                found.push(RawObject {
                    key: key.strip_prefix(&prefix).unwrap_or(&key).to_owned(),
                    etag: object.e_tag().map(str::to_owned),
                    size_bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    modified_ms: object.last_modified().and_then(|at| at.to_millis().ok()).unwrap_or_default(),
                });
            }
        }
        Ok(found)
    }

    /// Copies the object with this raw key to the file `path`; what is said of it. With another `etag` it is another object, which a server finds
    /// that takes parts such as `..` out of the address of a request.
    pub async fn fetch_raw(&self, key: &str, etag: Option<&str>, path: &Path) -> Result<Labels, DatasetError> {
        let at = || format!("{}/{key}", self.wishes().place);
        let request = self.s3.get_object().bucket(self.bucket()).key(self.full(key));
        let request = request.set_if_match(etag.map(str::to_owned));
        let mut object = request.send().await.map_err(|error| server_error("download", at(), &error))?;
        let local = |error: std::io::Error| DatasetError::new("write file", path.display().to_string(), error);
        let mut file = std::fs::File::create(path).map_err(local)?;
        let mut written = 0;
        let broken = |why: String| DatasetError::new("download", at(), DatasetErrorKind::Server(why));
        while let Some(bytes) = object.body.try_next().await.map_err(|error| broken(error.to_string()))? {
            std::io::Write::write_all(&mut file, &bytes).map_err(local)?;
            written += bytes.len() as u64;
        }
        if object.content_length().and_then(|length| u64::try_from(length).ok()).is_some_and(|size| size != written) {
            return Err(broken(format!("only {written} bytes arrived")));
        }
        let metadata = object.metadata().into_iter().flatten();
        Ok(Labels {
            content_type: object.content_type().map(str::to_owned),
            metadata: metadata.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// Removes the object with this raw key.
    pub async fn delete_raw(&self, key: &str) -> Result<(), DatasetError> {
        let at = format!("{}/{key}", self.wishes().place);
        if key.contains(char::is_control) {
            let request = self.s3.delete_object().bucket(self.bucket()).key(self.full(key));
            return request.send().await.map_err(|error| server_error("delete", at, &error)).map(drop);
        }
        // Its name stands in a document, as nothing on the way may take it for a path and remove another object.
        let invalid = |error: aws_sdk_s3::error::BuildError| DatasetError::invalid("delete", &at, error.to_string());
        let object = ObjectIdentifier::builder().key(self.full(key)).build().map_err(invalid)?;
        let delete = Delete::builder().objects(object).quiet(true).build().map_err(invalid)?;
        let answer = self.s3.delete_objects().bucket(self.bucket()).delete(delete).send().await;
        let answer = answer.map_err(|error| server_error("delete", at.clone(), &error))?;
        match answer.errors().first() {
            None => Ok(()),
            Some(error) => {
                let text = format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default());
                Err(DatasetError::new("delete", at, DatasetErrorKind::Server(text)))
            }
        }
    }

    /// All uploads in parts that were begun and not completed.
    pub async fn list_unfinished(&self) -> Result<Vec<Unfinished>, DatasetError> {
        let prefix = self.below_place();
        let (mut key_marker, mut id_marker) = (None, None);
        let mut found = Vec::new();
        loop {
            let request = self.s3.list_multipart_uploads().bucket(self.bucket()).prefix(&prefix);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let page = request.send().await.map_err(self.refused("list uploads of"))?;
            for upload in page.uploads() {
                let key = upload.key().unwrap_or_default();
                found.push(Unfinished {
                    key: key.strip_prefix(&prefix).unwrap_or(key).to_owned(),
                    id: upload.upload_id().unwrap_or_default().to_owned(),
                    begun_ms: upload.initiated().and_then(|at| at.to_millis().ok()).unwrap_or(i64::MAX),
                });
            }
            if !page.is_truncated().unwrap_or(false) {
                return Ok(found);
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_upload_id_marker().map(str::to_owned);
        }
    }

    /// Gives up an upload in parts; its parts are gone then.
    pub async fn abort(&self, upload: &Unfinished) -> Result<(), DatasetError> {
        let request = self.s3.abort_multipart_upload().bucket(self.bucket()).key(self.full(&upload.key));
        request.upload_id(&upload.id).send().await.map_err(self.refused("delete upload of")).map(drop)
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.below_place())
    }
}

/// A key as it is, of how listings write it that are asked to encode keys as in forms: `+` is a space.
fn decoded(key: &str) -> String {
    let form = format!("key={}", key.replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes()).next().map_or_else(|| key.to_owned(), |(_, key)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_keys_are_decoded() {
        for (encoded, key) in
            [("a/b+c%2Bd%26=e.wav", "a/b c+d&=e.wav"), ("%C3%BC%1B", "ü\u{1b}"), ("a&b", "a&b"), ("", "")]
        {
            assert_eq!(decoded(encoded), key);
        }
    }
}

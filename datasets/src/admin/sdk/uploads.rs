//! What only a doctor asks: unfinished uploads, earlier versions, and which class of storage objects are in.

use aws_sdk_s3::types::EncodingType;

use super::{Admin, Held};
use crate::DatasetError;

impl Admin {
    /// Uploads in parts that were begun before `before` (seconds since 1970) and never completed; the first thousand are looked at.
    pub async fn unfinished_uploads(&self, before: i64) -> Result<usize, DatasetError> {
        let prefix = self.below_place();
        let request = self.s3.list_multipart_uploads().bucket(self.bucket()).prefix(prefix);
        let found = request.send().await.map_err(self.refused("list uploads of"))?;
        let is_old = |at: &aws_sdk_s3::primitives::DateTime| at.secs() < before;
        Ok(found.uploads().iter().filter(|upload| upload.initiated().is_some_and(is_old)).count())
    }

    /// Whether the bucket keeps earlier versions.
    pub async fn keeps_versions(&self) -> Result<bool, DatasetError> {
        let answer = self.s3.get_bucket_versioning().bucket(self.bucket()).send().await;
        let found = answer.map_err(self.refused("look at versioning of"))?;
        Ok(found.status().is_some_and(|status| status.as_str() == "Enabled"))
    }

    /// What the place holds, by the first folder and the class of storage; new is what was written at `since_ms` or later.
    pub async fn held(&self, since_ms: i64) -> Result<Held, DatasetError> {
        let prefix = self.below_place();
        // Only the first folder is looked at, which reads the same when keys are encoded so that documents can hold them.
        let request = self.s3.list_objects_v2().bucket(self.bucket()).prefix(&prefix).encoding_type(EncodingType::Url);
        let mut pages = request.into_paginator().send();
        let mut held = Held::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(self.refused("list"))?.contents() {
                let key = object.key().unwrap_or_default();
                let name = key.strip_prefix(&prefix).unwrap_or(key);
                let area = name.split_once('/').map_or("", |(area, _)| area);
                let class = object.storage_class().map_or("STANDARD", |class| class.as_str());
                let modified_ms = object.last_modified().and_then(|at| at.to_millis().ok()).unwrap_or_default();
                let bytes = u64::try_from(object.size().unwrap_or(0)).unwrap_or(0);
                held.entry((area.to_owned(), class.to_owned())).or_default().add(bytes, modified_ms, since_ms);
            }
        }
        Ok(held)
    }

    /// What all keys of the place begin with.
    pub(super) fn below_place(&self) -> String {
        let prefix = &self.wishes.place.prefix;
        if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
    }
}

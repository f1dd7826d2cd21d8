//! The bucket's own policy, in which others may have statements, too.

use serde_json::Value;

use super::step::policy_of;
use super::{Admin, Look, policy};
use crate::DatasetError;

impl Admin {
    pub(super) async fn look_at_statements(&self) -> Result<Look, DatasetError> {
        let wanted = policy::bucket_statements(&self.wishes);
        if wanted.is_empty() {
            let why = "the server is reached over http://, where a policy that demands TLS would lock everybody out";
            return Ok(Look::Warning(why.to_owned()));
        }
        let without =
            if self.wishes.is_plain_http { " (nothing about TLS, as the server is reached over http://)" } else { "" };
        let names: Vec<_> = wanted.iter().filter_map(|one| one["Sid"].as_str()).collect();
        let names = names.join(", ") + without;
        Ok(match policy::merged(self.policy_of_bucket(self.bucket()).await?.as_ref(), &wanted) {
            None => Look::Right(names),
            Some(_) => Look::Wrong(format!("add {names}")),
        })
    }

    /// The policy of a bucket; none where it has none.
    pub(super) async fn policy_of_bucket(&self, bucket: &str) -> Result<Option<Value>, DatasetError> {
        let answer = self.s3.get_bucket_policy().bucket(bucket).send().await;
        policy_of(self.unless("NoSuchBucketPolicy", "read policy of", answer)?.and_then(|answer| answer.policy))
    }

    pub(super) async fn put_statements(&self) -> Result<(), DatasetError> {
        self.add_statements(self.bucket(), &policy::bucket_statements(&self.wishes)).await
    }

    /// Writes `wanted` into the policy of a bucket, beside what is there.
    pub(super) async fn add_statements(&self, bucket: &str, wanted: &[Value]) -> Result<(), DatasetError> {
        let Some(merged) = policy::merged(self.policy_of_bucket(bucket).await?.as_ref(), wanted) else { return Ok(()) };
        let answer = self.s3.put_bucket_policy().bucket(bucket).policy(merged.to_string()).send().await;
        answer.map(drop).map_err(self.refused("set policy of"))
    }
}

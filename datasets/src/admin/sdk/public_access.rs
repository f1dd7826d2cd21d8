//! Nothing in the bucket can be made public, by access lists or by policies.

use aws_sdk_s3::types::PublicAccessBlockConfiguration;

use super::{Admin, Look};
use crate::DatasetError;

impl Admin {
    pub(super) async fn look_at_public_access(&self) -> Result<Look, DatasetError> {
        let answer = self.s3.get_public_access_block().bucket(self.bucket()).send().await;
        let found = self.unless("NoSuchPublicAccessBlockConfiguration", "look at public access of", answer)?;
        let found = found.and_then(|answer| answer.public_access_block_configuration);
        let is_blocked = found.is_some_and(|found| {
            let all = [
                found.block_public_acls,
                found.ignore_public_acls,
                found.block_public_policy,
                found.restrict_public_buckets,
            ];
            all.iter().all(|blocked| *blocked == Some(true))
        });
        Ok(if is_blocked {
            Look::Right("all four blocks".to_owned())
        } else {
            Look::Wrong("block all four ways".to_owned())
        })
    }

    pub(super) async fn block_public_access(&self) -> Result<(), DatasetError> {
        let blocks = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = self.s3.put_public_access_block().bucket(self.bucket());
        let answer = request.public_access_block_configuration(blocks).send().await;
        answer.map(drop).map_err(self.refused("block public access of"))
    }
}

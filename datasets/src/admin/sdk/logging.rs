//! Who asked for what is written down in another bucket.

use aws_sdk_s3::types::{BucketLoggingStatus, LoggingEnabled};

use super::statements::{address, merged};
use super::{Admin, Look, policy};
use crate::store::Trouble;
use crate::{DatasetError, DatasetErrorKind};

/// What is attempted where the other bucket is missing.
const ACTION: &str = "look at bucket for logs";

impl Admin {
    pub(super) async fn look_at_logging(&self) -> Result<Look, DatasetError> {
        let Some(target) = &self.wishes.log_bucket else { return Ok(Look::LeftOut(self.told_logging().await)) };
        let statement = policy::log_statement(&self.wishes, target);
        let is_allowed = match self.policy_of_bucket(target).await {
            Err(error) if Trouble::of(&error) == Some(Trouble::NoSuchBucket) => {
                return Err(DatasetError::invalid(ACTION, address(target), "there is no such bucket"));
            }
            policy => merged(policy?.as_ref(), &[statement]).is_none(),
        };
        let answer = self.s3.get_bucket_logging().bucket(self.bucket()).send().await;
        let found = answer.map_err(self.refused("look at logging of"))?.logging_enabled;
        let is_logging = found.is_some_and(|found| found.target_bucket() == target);
        let shown = format!("to s3://{target}/{}", self.wishes.log_prefix());
        Ok(if is_logging && is_allowed { Look::Right(shown) } else { Look::Wrong(format!("write {shown}")) })
    }

    /// What is there where nobody asked for anything; whether that may be looked at does not matter then.
    async fn told_logging(&self) -> String {
        let answer = self.s3.get_bucket_logging().bucket(self.bucket()).send().await;
        match answer.ok().and_then(|found| found.logging_enabled) {
            Some(found) => format!("as it is: to s3://{}/{}", found.target_bucket(), found.target_prefix()),
            None => "no bucket for logs is named: --log-bucket NAME".to_owned(),
        }
    }

    pub(super) async fn put_logging(&self) -> Result<(), DatasetError> {
        let Some(target) = &self.wishes.log_bucket else { return Ok(()) };
        self.add_statements(target, &[policy::log_statement(&self.wishes, target)]).await?;
        let enabled =
            LoggingEnabled::builder().target_bucket(target).target_prefix(self.wishes.log_prefix()).build().map_err(
                |error| {
                    DatasetError::new("log requests to", self.bucket(), DatasetErrorKind::Server(error.to_string()))
                },
            )?;
        let status = BucketLoggingStatus::builder().logging_enabled(enabled).build();
        let answer = self.s3.put_bucket_logging().bucket(self.bucket()).bucket_logging_status(status).send().await;
        answer.map(drop).map_err(self.refused("log requests to"))
    }
}

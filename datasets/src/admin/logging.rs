//! Who asked for what is written down in another bucket.

use aws_sdk_s3::types::{BucketLoggingStatus, LoggingEnabled};

use super::statements::merged;
use super::{Admin, Look, policy};
use crate::{DatasetError, DatasetErrorKind};

impl Admin {
    pub(super) async fn look_at_logging(&self) -> Result<Look, DatasetError> {
        let Some(target) = &self.wishes.log_bucket else {
            return Ok(Look::LeftOut("no bucket for logs is named: --log-bucket NAME".to_owned()));
        };
        let answer = self.s3.get_bucket_logging().bucket(self.bucket()).send().await;
        let found = answer.map_err(self.refused("look at logging of"))?.logging_enabled;
        let is_logging = found.is_some_and(|found| found.target_bucket() == target);
        let statement = policy::log_statement(&self.wishes, target);
        let is_allowed = merged(self.policy_of_bucket(target).await?.as_ref(), &[statement]).is_none();
        let shown = format!("to s3://{target}/{}", self.wishes.log_prefix());
        Ok(if is_logging && is_allowed { Look::Right(shown) } else { Look::Wrong(format!("write {shown}")) })
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

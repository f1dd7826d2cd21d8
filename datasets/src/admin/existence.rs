//! The bucket itself, and where it is.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::client::server_error;
use super::{Admin, Look};
use crate::{DatasetError, DatasetErrorKind};

/// The one region whose buckets are made without naming it.
const UNNAMED_REGION: &str = "us-east-1";

/// What S3 called Ireland before regions had names.
const OLD_NAME_OF_IRELAND: &str = "EU";

impl Admin {
    pub(super) async fn look_at_existence(&self) -> Result<Look, DatasetError> {
        let wanted = &self.wishes.region;
        match self.s3.head_bucket().bucket(self.bucket()).send().await {
            Ok(head) => {
                let region = match head.bucket_region() {
                    Some(region) => Some(region.to_owned()),
                    None => self.location().await,
                };
                match region {
                    // Other servers than Amazon's call regions as they like, or by no name at all.
                    Some(region) if region != *wanted && !self.wishes.is_foreign_server => Err(self.elsewhere(&region)),
                    Some(region) => Ok(Look::Right(format!("in {region}"))),
                    None => Ok(Look::Right("there; its region is not told".to_owned())),
                }
            }
            Err(error) => {
                let response = error.raw_response();
                let status = response.map_or(0, |response| response.status().as_u16());
                let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
                match (status, region) {
                    (404, _) => Ok(Look::Wrong(format!("make it in {wanted}"))),
                    (301 | 400, Some(region)) if region != wanted => Err(self.elsewhere(region)),
                    (403, _) if error.code().is_none_or(|code| code == "Forbidden") => {
                        let why = "AccessDenied: the bucket is somebody else's, or these keys may not look at it";
                        Err(self.server_said("look at bucket", why))
                    }
                    _ => Err(server_error("look at bucket", self.wishes.place.to_string(), &error)),
                }
            }
        }
    }

    /// Where the bucket is; none where that may not be asked or the server does not say.
    async fn location(&self) -> Option<String> {
        let answer = self.s3.get_bucket_location().bucket(self.bucket()).send().await.ok()?;
        match answer.location_constraint().map(BucketLocationConstraint::as_str) {
            None | Some("") => Some(UNNAMED_REGION.to_owned()),
            Some(OLD_NAME_OF_IRELAND) => Some("eu-west-1".to_owned()),
            Some(region) => Some(region.to_owned()),
        }
    }

    fn elsewhere(&self, region: &str) -> DatasetError {
        let wanted = &self.wishes.region;
        self.server_said("look at bucket", &format!("PermanentRedirect: it is in {region}, and {wanted} is configured"))
    }

    fn server_said(&self, action: &'static str, words: &str) -> DatasetError {
        DatasetError::new(action, self.wishes.place.to_string(), DatasetErrorKind::Server(words.to_owned()))
    }

    pub(super) async fn create(&self) -> Result<(), DatasetError> {
        let mut request = self.s3.create_bucket().bucket(self.bucket());
        if self.wishes.region != UNNAMED_REGION {
            let region = BucketLocationConstraint::from(self.wishes.region.as_str());
            let configuration = CreateBucketConfiguration::builder().location_constraint(region).build();
            request = request.create_bucket_configuration(configuration);
        }
        match request.send().await {
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            answer => answer.map(drop).map_err(self.refused("make bucket")),
        }
    }
}

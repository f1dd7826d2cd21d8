//! The bucket itself, and where it is.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::client::server_error;
use super::{Admin, Look, Wishes};
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
                    Some(region) if is_elsewhere(&self.wishes, &region) => Err(self.elsewhere(&region)),
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
        Some(region_of(answer.location_constraint().map(BucketLocationConstraint::as_str)).to_owned())
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

/// The region that a location constraint stands for.
fn region_of(constraint: Option<&str>) -> &str {
    match constraint {
        None | Some("") => UNNAMED_REGION,
        Some(OLD_NAME_OF_IRELAND) => "eu-west-1",
        Some(region) => region,
    }
}

/// Whether a bucket in `region` is not where it is wanted. Other servers than Amazon's call regions as they like, or by no name at all.
fn is_elsewhere(wishes: &Wishes, region: &str) -> bool {
    region != wishes.region && !wishes.is_foreign_server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wishes::tests::wishes;

    #[test]
    fn regions_are_compared_by_the_names_that_they_have_today() {
        let of = |region: &str| Wishes { region: region.to_owned(), ..wishes("clips") };
        assert!(
            !is_elsewhere(&of("us-east-1"), region_of(None)) && !is_elsewhere(&of("us-east-1"), region_of(Some("")))
        );
        assert!(!is_elsewhere(&of("eu-west-1"), region_of(Some("EU"))));
        assert!(
            is_elsewhere(&of("eu-west-1"), region_of(Some("eu-north-1")))
                && is_elsewhere(&of("eu-west-1"), region_of(None))
        );
        assert!(!is_elsewhere(&Wishes { is_foreign_server: true, ..of("garage") }, region_of(None)));
    }
}

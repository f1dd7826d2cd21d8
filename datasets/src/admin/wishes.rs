//! What is wanted of a bucket.

use serde_json::{Value, json};

use super::{cloudfront, lifecycle, policy};
use crate::DatasetError;
use crate::layout::Area;
use crate::store::{BucketPlace, Encryption, Settings};

/// Days after which the parts of uploads that were never completed are removed, where nobody says otherwise.
const ABORT_AFTER_DAYS: u32 = 7;

/// For how long a browser may keep the answer to its question whether it may ask.
pub(super) const CORS_MAX_AGE_S: i32 = 3600;

/// What is wanted of a bucket. What is not named stays as it is.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The bucket, and the prefix in it that is used.
    pub place: BucketPlace,
    /// Region of the bucket.
    pub region: String,
    /// How objects are encrypted; with keys of S3 where nothing is said.
    pub encryption: Option<Encryption>,
    /// Whether the server is reached without encryption, so that a policy against that would lock everybody out.
    pub is_plain_http: bool,
    /// Days after which the parts of uploads that were never completed are removed.
    pub abort_after_days: u32,
    /// Days after which originals move to Intelligent-Tiering.
    pub intelligent_tiering_days: Option<u32>,
    /// Days after which originals move to Standard-IA.
    pub standard_ia_days: Option<u32>,
    /// Days after which originals move to Glacier.
    pub glacier_days: Option<u32>,
    /// Web pages that may read and write with signed URLs.
    pub cors_origins: Vec<String>,
    /// Bucket that gets the access logs.
    pub log_bucket: Option<String>,
    /// ARN of the CloudFront distribution that may read originals.
    pub distribution: Option<String>,
}

impl Wishes {
    /// The least that `settings` ask for. Only buckets of S3 named by their name can be configured.
    pub fn new(settings: &Settings) -> Result<Self, DatasetError> {
        let Some((place, origin)) = &settings.bucket else {
            return Err(DatasetError::invalid("read variable", "S3_BUCKET", "no bucket is named"));
        };
        let place = place.bucket().filter(|place| place.scheme == crate::store::Scheme::S3);
        let Some(place) = place.filter(|place| !place.bucket.starts_with("arn:")) else {
            let why = "only a bucket of S3 that is called by its own name can be configured";
            return Err(DatasetError::invalid("read variable", origin, why));
        };
        let origins = settings.environment.get("S3_CORS_ORIGINS").unwrap_or_default();
        Ok(Self {
            place: place.clone(),
            region: settings.region.value.clone(),
            encryption: settings.encryption.clone(),
            is_plain_http: settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.value.starts_with("http://")),
            abort_after_days: ABORT_AFTER_DAYS,
            intelligent_tiering_days: None,
            standard_ia_days: None,
            glacier_days: None,
            cors_origins: origins.split([',', ' ']).filter(|text| !text.is_empty()).map(str::to_owned).collect(),
            log_bucket: None,
            distribution: None,
        })
    }

    /// What keys of an area begin with.
    pub(super) fn prefix_of(&self, area: Area) -> String {
        self.place.join(area.name()).prefix + "/"
    }

    /// The name of one of our rules or statements. Two places in one bucket have rules of their own.
    pub(super) fn name(&self, what: &str) -> String {
        let prefix = self.place.prefix.replace('/', "-");
        if prefix.is_empty() { format!("EcoSight-{what}") } else { format!("EcoSight-{prefix}-{what}") }
    }

    /// The permissions that the keys of the program need, and no more.
    pub fn policy(&self) -> Value {
        policy::least_privilege(self)
    }

    /// The policy of a bucket that has no other.
    pub fn bucket_policy(&self) -> Value {
        policy::document(&policy::bucket_statements(self))
    }

    /// The lifecycle of a bucket that has no other.
    pub fn lifecycle(&self) -> Value {
        json!({ "Rules": lifecycle::rules(self).iter().map(lifecycle::Rule::json).collect::<Vec<_>>() })
    }

    /// The answer to browsers.
    pub fn cors(&self) -> Value {
        let rule = json!({
            "ID": "EcoSight-cors",
            "AllowedOrigins": self.cors_origins,
            "AllowedMethods": ["GET", "HEAD", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": CORS_MAX_AGE_S,
        });
        json!({ "CORSRules": if self.cors_origins.is_empty() { vec![] } else { vec![rule] } })
    }

    /// A CloudFormation template of a distribution that serves originals.
    pub fn cloudfront(&self) -> Value {
        cloudfront::template(self)
    }

    /// How objects are encrypted at rest.
    pub fn encryption(&self) -> Value {
        let default = match &self.encryption {
            None | Some(Encryption::Aes256) => json!({ "SSEAlgorithm": "AES256" }),
            Some(Encryption::Kms(None)) => json!({ "SSEAlgorithm": "aws:kms" }),
            Some(Encryption::Kms(Some(key))) => json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key }),
        };
        json!({ "Rules": [{ "ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": true }] })
    }

    /// Everything, in the shapes that the `put-…` commands of `aws s3api` and `aws iam` take.
    pub fn documents(&self) -> Value {
        let mut documents = json!({
            "bucket": self.place.bucket,
            "region": self.region,
            "public_access_block": {
                "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true,
            },
            "encryption": self.encryption(),
            "bucket_policy": self.bucket_policy(),
            "lifecycle": self.lifecycle(),
            "policy": self.policy(),
        });
        if !self.cors_origins.is_empty() {
            documents["cors"] = self.cors();
        }
        if let Some(target) = &self.log_bucket {
            documents["logging"] =
                json!({ "LoggingEnabled": { "TargetBucket": target, "TargetPrefix": self.log_prefix() } });
            documents["log_bucket_policy"] = policy::document(&[policy::log_statement(self, target)]);
        }
        documents
    }

    /// What the keys of access logs begin with.
    pub(super) fn log_prefix(&self) -> String {
        format!("{}/", self.place.bucket)
    }

    /// `aws`, or the name of Amazon's separate cloud that the region is in.
    pub(super) fn partition(&self) -> &'static str {
        match self.region.get(..3) {
            Some("cn-") => "aws-cn",
            _ if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::Environment;

    /// The least that is wanted of a bucket of Amazon's.
    pub(in crate::admin) fn wishes(bucket: &str) -> Wishes {
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let environment = Environment::of([("S3_BUCKET", bucket)].into_iter().chain(keys));
        Wishes::new(&Settings::read(&environment).unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_asked_for_is_not_in_the_documents() {
        let documents = wishes("clips").documents();
        assert!(documents.get("cors").is_none() && documents.get("logging").is_none(), "{documents}");
        let asked = Wishes { cors_origins: vec!["https://a".to_owned()], ..wishes("clips") };
        assert_eq!(asked.documents()["cors"]["CORSRules"][0]["ExposeHeaders"], json!(["ETag"]));
    }

    #[test]
    fn other_servers_than_those_of_s3_are_not_configured() {
        for bucket in ["gs://b", "arn:aws:s3:eu-west-1:123:accesspoint/name"] {
            let environment = Environment::of([("S3_BUCKET", bucket), ("AWS_EC2_METADATA_DISABLED", "true")]);
            assert!(Wishes::new(&Settings::read(&environment).unwrap()).is_err(), "{bucket}");
        }
    }
}

//! What is wanted of a bucket.

use serde_json::{Value, json};

use super::{cloudfront, lifecycle, policy};
use crate::DatasetError;
use crate::layout::Area;
use crate::store::{BucketPlace, Encryption, Settings};

/// So much of the place is in the name of a user's policy, which may have 128 characters.
const USER_POLICY_CHARS: usize = 100;

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
    /// Whether the server is another one than Amazon's, which may call regions as it likes.
    pub is_foreign_server: bool,
    /// Whether rules may be set that remove what lies in the bucket already.
    pub expire_existing: bool,
    /// Days after which the parts of uploads that were never completed are removed; 7 where no rule of ours says otherwise.
    pub abort_after_days: Option<u32>,
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
    /// User of IAM for the program alone.
    pub iam_user: Option<String>,
}

impl Wishes {
    /// The least that `settings` ask for. Only buckets of S3 named by their name can be configured.
    pub fn new(settings: &Settings) -> Result<Self, DatasetError> {
        let Some((place, origin)) = &settings.bucket else {
            return Err(DatasetError::invalid("read variable", "S3_BUCKET", "no bucket is named"));
        };
        let place = place.bucket().filter(|place| place.scheme == crate::store::Scheme::S3);
        // The ARN of an access point, or its alias.
        let is_name = |place: &&BucketPlace| !place.bucket.starts_with("arn:") && !place.bucket.ends_with("-s3alias");
        let Some(place) = place.filter(is_name) else {
            let why = "only a bucket of S3 that is called by its own name can be configured";
            return Err(DatasetError::invalid("read variable", origin, why));
        };
        let origins = settings.environment.get("S3_CORS_ORIGINS").unwrap_or_default();
        Ok(Self {
            place: place.clone(),
            region: settings.region.value.clone(),
            encryption: settings.encryption.clone(),
            is_plain_http: settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.value.starts_with("http://")),
            is_foreign_server: settings.endpoint.as_ref().is_some_and(|endpoint| !is_of_amazon(&endpoint.value)),
            expire_existing: false,
            abort_after_days: None,
            intelligent_tiering_days: None,
            standard_ia_days: None,
            glacier_days: None,
            cors_origins: origins.split([',', ' ']).filter(|text| !text.is_empty()).map(str::to_owned).collect(),
            log_bucket: None,
            distribution: None,
            iam_user: None,
        })
    }

    /// What keys of an area begin with.
    pub(super) fn prefix_of(&self, area: Area) -> String {
        self.place.join(area.name()).prefix + "/"
    }

    /// The name of one of our rules or statements. Two places in one bucket have rules of their own.
    pub(super) fn name(&self, what: &str) -> String {
        let prefix = told_apart(&self.place.prefix, self.place.prefix.replace('/', "-"), "-");
        if prefix.is_empty() { format!("EcoSight-{what}") } else { format!("EcoSight-{prefix}-{what}") }
    }

    /// The name of the policy of a user, who may have one for each of several places.
    pub(super) fn name_of_user_policy(&self) -> String {
        let place = match self.place.prefix.as_str() {
            "" => self.place.bucket.clone(),
            prefix => format!("{}/{prefix}", self.place.bucket),
        };
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        let written = place.chars().take(USER_POLICY_CHARS).map(|c| if is_allowed(c) { c } else { '-' }).collect();
        format!("EcoSight-{}-access", told_apart(&place, written, "-"))
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

    /// Everything, in the shapes that the `put-…` commands of `aws s3api` take, CloudFormation, and `aws iam … --cli-input-json` for a user.
    pub fn documents(&self) -> Value {
        let mut documents = json!({
            "bucket": self.place.bucket,
            "region": self.region,
            "public_access_block": {
                "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true,
            },
            "encryption": self.encryption(),
            // A policy that says nothing cannot be set.
            "bucket_policy": if policy::bucket_statements(self).is_empty() { Value::Null } else { self.bucket_policy() },
            "lifecycle": self.lifecycle(),
            "policy": self.policy(),
            "cloudfront": self.cloudfront(),
        });
        if !self.cors_origins.is_empty() {
            documents["cors"] = self.cors();
        }
        if let Some(target) = &self.log_bucket {
            documents["logging"] =
                json!({ "LoggingEnabled": { "TargetBucket": target, "TargetPrefix": self.log_prefix() } });
            documents["log_bucket_policy"] = policy::document(&[policy::log_statement(self, target)]);
        }
        if let Some(user) = &self.iam_user {
            documents["create_user"] = json!({ "UserName": user });
            documents["put_user_policy"] = json!({
                "UserName": user,
                "PolicyName": self.name_of_user_policy(),
                "PolicyDocument": self.policy().to_string(),
            });
            documents["create_access_key"] = json!({ "UserName": user });
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

/// `written`, with a mark behind it where characters of `text` were lost, so that two texts are never written alike.
pub(super) fn told_apart(text: &str, written: String, between: &str) -> String {
    if written == text {
        return written;
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("{written}{between}{}", &hash.as_str()[..8])
}

/// Whether an endpoint is one of Amazon's own.
fn is_of_amazon(endpoint: &str) -> bool {
    let url = ::url::Url::parse(endpoint).ok();
    let host = url.as_ref().and_then(::url::Url::host_str).unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
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
    fn places_have_names_of_their_own() {
        let rules = ["clips", "clips/a-b", "clips/a/b"].map(|place| wishes(place).name("expire-temp"));
        assert_eq!(rules[..2], ["EcoSight-expire-temp", "EcoSight-a-b-expire-temp"]);
        assert!(rules[2].starts_with("EcoSight-a-b-") && rules[2] != rules[1], "{rules:?}");
    }

    #[test]
    fn policies_of_users_have_names_of_their_own() {
        assert_eq!(wishes("clips").name_of_user_policy(), "EcoSight-clips-access");
        let places =
            ["clips", "other", "clips-a", "clips/a", "clips/a-b", "clips/a/b", &format!("clips/{}", "x".repeat(200))];
        let names: std::collections::BTreeSet<_> =
            places.iter().map(|place| wishes(place).name_of_user_policy()).collect();
        assert_eq!(names.len(), places.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= 128 && !name.contains([' ', '/'])), "{names:?}");
    }

    #[test]
    fn a_policy_that_says_nothing_is_not_printed() {
        let plain = Wishes { is_plain_http: true, ..wishes("clips") };
        assert_eq!(plain.documents()["bucket_policy"], Value::Null);
    }

    #[test]
    fn other_servers_than_those_of_s3_are_not_configured() {
        for bucket in ["gs://b", "name-abc-s3alias", "arn:aws:s3:eu-west-1:123:accesspoint/name"] {
            let environment = Environment::of([("S3_BUCKET", bucket), ("AWS_EC2_METADATA_DISABLED", "true")]);
            assert!(Wishes::new(&Settings::read(&environment).unwrap()).is_err(), "{bucket}");
        }
    }
}

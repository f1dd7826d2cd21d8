//! The things that a bucket should have, each looked at and put right for itself.

use serde_json::Value;

use super::Admin;
use crate::{DatasetError, DatasetErrorKind};

/// One thing that a bucket should have, in the order in which they are put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The bucket itself, in the region that is configured.
    Bucket,
    /// Nobody can make anything public.
    PublicAccess,
    /// Objects are encrypted at rest.
    Encryption,
    /// The bucket's own policy: nothing without TLS, and who else may read.
    BucketPolicy,
    /// What expires, what moves, what becomes of unfinished uploads.
    Lifecycle,
    /// Web pages that may ask.
    Cors,
    /// Who asked for what is written down.
    Logging,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Bucket,
        Self::PublicAccess,
        Self::Encryption,
        Self::BucketPolicy,
        Self::Lifecycle,
        Self::Cors,
        Self::Logging,
    ];

    /// A short name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::PublicAccess => "public access",
            Self::Encryption => "encryption",
            Self::BucketPolicy => "bucket policy",
            Self::Lifecycle => "lifecycle",
            Self::Cors => "cors",
            Self::Logging => "logging",
        }
    }

    /// The permissions that looking and putting it right take, as IAM calls them.
    pub fn permissions(self) -> [&'static str; 2] {
        match self {
            Self::Bucket => ["s3:ListBucket", "s3:CreateBucket"],
            Self::PublicAccess => ["s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"],
            Self::Encryption => ["s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"],
            Self::BucketPolicy => ["s3:GetBucketPolicy", "s3:PutBucketPolicy"],
            Self::Lifecycle => ["s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"],
            Self::Cors => ["s3:GetBucketCORS", "s3:PutBucketCORS"],
            Self::Logging => {
                ["s3:GetBucketLogging` and `s3:GetBucketPolicy", "s3:PutBucketLogging` and `s3:PutBucketPolicy"]
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is as it should be; in which way.
    Right(String),
    /// It is not; what would be done.
    Wrong(String),
    /// It is not wanted, or must not be done; why.
    LeftOut(String),
    /// It must not be done, and somebody should know why.
    Warning(String),
    /// Putting it right would remove what somebody may need; nothing is done until somebody says so.
    Unsafe {
        /// What would be removed.
        why: String,
        /// How to go on.
        hint: String,
    },
}

impl Admin {
    /// Looks at one thing; nothing is changed.
    pub async fn look(&self, step: Step) -> Result<Look, DatasetError> {
        match step {
            Step::Bucket => self.look_at_existence().await,
            Step::PublicAccess => self.look_at_public_access().await,
            Step::Encryption => self.look_at_encryption().await,
            Step::BucketPolicy => self.look_at_statements().await,
            Step::Lifecycle => self.look_at_rules().await,
            Step::Cors => self.look_at_cors().await,
            Step::Logging => self.look_at_logging().await,
        }
    }

    /// Puts one thing right. It is looked at again, so that what others changed meanwhile is kept.
    pub async fn put_right(&self, step: Step) -> Result<(), DatasetError> {
        match step {
            Step::Bucket => self.create().await,
            Step::PublicAccess => self.block_public_access().await,
            Step::Encryption => self.encrypt().await,
            Step::BucketPolicy => self.put_statements().await,
            Step::Lifecycle => self.put_rules().await,
            Step::Cors => self.put_cors().await,
            Step::Logging => self.put_logging().await,
        }
    }
}

/// A policy as a server gives it back.
pub(super) fn policy_of(text: Option<String>) -> Result<Option<Value>, DatasetError> {
    let parse = |text: String| serde_json::from_str(&text);
    text.filter(|text| !text.is_empty())
        .map(parse)
        .transpose()
        .map_err(|error| DatasetError::new("read policy of", "the bucket", DatasetErrorKind::Json(error)))
}

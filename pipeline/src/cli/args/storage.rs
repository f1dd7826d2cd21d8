//! The words of the verbs that look after buckets.

use clap::{Args as ClapArgs, Subcommand};

use super::bucket::{CostArgs, PolicyArgs, SetupArgs};

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage status              which bucket is used, and why
  ecosight storage setup --dry-run     what a new bucket needs
  ecosight storage doctor              what is wrong with the bucket, and how to mend it

The bucket and its keys come from the environment, or from a file `.env` in this folder:
  S3_BUCKET, AWS_S3_BUCKET or S3_BUCKET_NAME     name, name/prefix, or the ARN of an access point
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, or a role
  AWS_REGION or S3_REGION                        default us-east-1
  S3_ENDPOINT_URL                                another server than Amazon's
  S3_SSE                                         AES256 or aws:kms, with S3_SSE_KMS_KEY_ID
  CLOUDFRONT_DOMAIN                              a distribution that serves the bucket")]
pub(crate) struct StorageArgs {
    #[command(subcommand)]
    pub(crate) verb: StorageVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum StorageVerb {
    /// Tell where recordings are stored, and why; no secret is shown and nothing is asked of a server
    #[command(after_help = "Examples:
  ecosight storage status
  ecosight storage status --json | jq .bucket")]
    Status,
    /// Make the bucket, or put right what it lacks: closed, encrypted, tidy
    Setup(SetupArgs),
    /// Print permissions, lifecycle rules and the like as JSON
    Policy(PolicyArgs),
    /// Check the bucket and what these keys may do there, and say how to mend what is wrong
    #[command(after_help = "Examples:
  ecosight storage doctor
  ecosight storage doctor --json | jq '.findings[] | select(.state != \"ok\")'

Some 20 MB are written below temp/ and removed again. Exit code 1 if anything fails; warnings are no failures.")]
    Doctor,
    /// Estimate what a month costs, from what is stored
    Cost(CostArgs),
}

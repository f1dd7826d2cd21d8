//! The words of the verbs that look after buckets.

use clap::{Args as ClapArgs, Subcommand};

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage status              which bucket is used, and why
  ecosight storage outbox              what is still to be uploaded, and what keeps it
  ecosight storage sync                upload it now
  ecosight storage reindex             make the index of recordings again

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
    /// Tell what is still to be uploaded, since when, and why the last try failed
    #[command(after_help = "Examples:
  ecosight storage outbox
  ecosight storage outbox --json | jq '.waiting[] | select(.trouble != null)'

Nothing is asked of a server.")]
    Outbox,
    /// Upload everything that waits in the outbox, or was taken in before there was a bucket
    #[command(after_help = "Examples:
  ecosight storage sync --dry-run
  ecosight storage sync

Exit code 6 if anything had to stay in the outbox. What is in the bucket is never overwritten, and nothing is deleted there.")]
    Sync {
        /// Show what would be uploaded, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the table of tracks and the outbox again from the recordings in the data root and in the bucket
    #[command(after_help = "Examples:
  ecosight storage reindex
  ecosight storage reindex --json | jq .strange

A damaged index is moved aside first. Recordings are read, never changed.")]
    Reindex,
}

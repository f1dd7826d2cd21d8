//! The words of the verbs that look after buckets.

use clap::{Args as ClapArgs, Subcommand};

use super::bucket::{BucketDoctorArgs, CostArgs, PolicyArgs, SetupArgs};
use super::objects::{
    DuArgs, FixKeysArgs, GetArgs, LsArgs, MigrateArgs, PutArgs, RmArgs, StorageGcArgs, StorageVerifyArgs, UrlArgs,
};

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage status              which bucket is used, and why
  ecosight storage ls extracted_audio  what is stored
  ecosight storage migrate             bring local recordings into the bucket
  ecosight storage setup --dry-run     what a new bucket needs
  ecosight storage doctor              what is wrong with the bucket, and how to mend it
  ecosight storage outbox              what is still to be uploaded, and what keeps it
  ecosight storage sync                upload it now
  ecosight storage reindex             make the index of recordings again

The bucket and its keys come from the environment, or from a file `.env` in this folder:
  S3_BUCKET, AWS_S3_BUCKET or S3_BUCKET_NAME     name, name/prefix, or the ARN of an access point
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, all three in one place
  AWS_PROFILE                                    a profile with keys, credential_process, single sign-on, or role_arn
                                                 with source_profile, credential_source or web_identity_token_file
  AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, or the role of the container or the virtual machine
  AWS_REGION or S3_REGION                        default us-east-1
  S3_ENDPOINT_URL                                another server than Amazon's
  S3_SSE                                         AES256 or aws:kms, with S3_SSE_KMS_KEY_ID
  CLOUDFRONT_DOMAIN                              a distribution that serves the bucket
  S3_CORS_ORIGINS                                web pages that may ask the bucket, for `setup` and `doctor`
  AWS_ENDPOINT_URL_IAM                           the server of users, where it is not Amazon's")]
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
    /// List names, sizes and times
    Ls(LsArgs),
    /// Count objects and bytes, per area and class
    Du(DuArgs),
    /// Copy an object or a folder to this machine
    Get(GetArgs),
    /// Copy files into the store
    Put(PutArgs),
    /// Remove objects
    Rm(RmArgs),
    /// Print a URL with which others can read or write an object for a while
    Url(UrlArgs),
    /// Compare the local recordings with those in the bucket
    Verify(StorageVerifyArgs),
    /// Bring the local recordings into the bucket
    Migrate(MigrateArgs),
    /// Find recordings whose keys do not fit the layout, and move them
    FixKeys(FixKeysArgs),
    /// Show what is left over in the store, or remove it
    Gc(StorageGcArgs),
    /// Make the bucket, or put right what it lacks: closed, encrypted, tidy
    Setup(SetupArgs),
    /// Print permissions, lifecycle rules and the like as JSON
    Policy(PolicyArgs),
    /// Check the bucket and what these keys may do there, and say how to mend what is wrong
    Doctor(BucketDoctorArgs),
    /// Estimate what a month costs, from what is stored
    Cost(CostArgs),
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

Exit code 6 if anything had to stay in the outbox. What is in the bucket is never overwritten, and nothing is deleted there. After a change of
bucket the new one gets what it lacks. What `ecosight storage rm` has removed stays away.")]
    Sync {
        /// Show what would be uploaded, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the table of tracks and the outbox again from the recordings in the data root and in the bucket
    #[command(after_help = "Examples:
  ecosight storage reindex
  ecosight storage reindex --dry-run
  ecosight storage reindex --json | jq .strange

A damaged index is moved aside first. Recordings are read, never changed.")]
    Reindex {
        /// Show what the index would be, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

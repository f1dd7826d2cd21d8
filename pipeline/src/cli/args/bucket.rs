//! The words of the verbs that set up and check a bucket.

use clap::{Args as ClapArgs, value_parser};

/// What is wanted of the bucket beyond what is always wanted.
#[derive(ClapArgs, Debug)]
pub(crate) struct WishArgs {
    /// Remove the parts of uploads that were not completed within so many days [default: 7]
    #[arg(long, value_name = "DAYS", value_parser = days(1))]
    pub(crate) abort_incomplete: Option<u32>,
    /// Move recordings to Intelligent-Tiering after so many days
    #[arg(long, value_name = "DAYS", conflicts_with = "standard_ia", value_parser = days(0))]
    pub(crate) intelligent_tiering: Option<u32>,
    /// Move recordings to Standard-IA after so many days, 30 or more
    #[arg(long, value_name = "DAYS", value_parser = days(30))]
    pub(crate) standard_ia: Option<u32>,
    /// Move recordings to Glacier after so many days, 30 or more behind `--standard-ia`; what lies there cannot be trained on until it is
    /// restored
    #[arg(long, value_name = "DAYS", value_parser = days(0))]
    pub(crate) glacier: Option<u32>,
    /// Web page that may read and write with signed URLs; may be repeated [default: those in `S3_CORS_ORIGINS`]
    #[arg(long, value_name = "URL")]
    pub(crate) cors_origin: Vec<String>,
    /// Bucket that gets the access logs
    #[arg(long, value_name = "NAME")]
    pub(crate) log_bucket: Option<String>,
    /// CloudFront distribution that may read recordings
    #[arg(long, value_name = "ARN")]
    pub(crate) distribution: Option<String>,
}

/// A number of days that S3 takes, `least` or more.
fn days(least: i64) -> clap::builder::RangedI64ValueParser<u32> {
    value_parser!(u32).range(least..=i64::from(i32::MAX))
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage setup --dry-run                what would be done; nothing is written
  ecosight storage setup                          make the bucket, close it, encrypt it, tidy it
  ecosight storage setup --iam-user ecosight      also a user who may do just what is needed; its key goes to .env
  ecosight storage setup --cors-origin https://clips.example.org --standard-ia 60
  ecosight storage setup --print > setup.json     the same as JSON for `aws s3api put-…`, asking nobody

With `--iam-user NAME` the user is made if need be, gets the printed policy, and a key of it is written to `.env` unless one is there, with the
bucket, its region and its server where `.env` names none.

It can be run again at any time: what is so already is left alone, and so are the rules and statements of others. An option that is not given
leaves as it is what it is about.

Exit code 1 if a step fails; the others are still done.")]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    pub(crate) wishes: WishArgs,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Set rules that remove what is below `temp/` and `processed/` even where something lies there already
    #[arg(long)]
    pub(crate) expire_existing: bool,
    /// Print everything as JSON for those who apply it by other means; no server is asked
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) print: bool,
    /// Make this user if need be, give it the printed policy, and write a key for it to `.env` unless one is there
    #[arg(long, value_name = "NAME")]
    pub(crate) iam_user: Option<String>,
    /// Make the user of `--iam-user` one more key, though it has one that is not in this folder's `.env`
    #[arg(long, requires = "iam_user")]
    pub(crate) new_key: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage doctor
  ecosight storage doctor --iam-user ecosight --log-bucket logs --standard-ia 60
  ecosight storage doctor --json | jq '.findings[] | select(.state != \"ok\")'

With the options of `setup`, what they ask for must be there; without them, what is there is told.
Some 20 MB are written below temp/ and removed again. Exit code 1 if anything fails; warnings are no failures.")]
pub(crate) struct BucketDoctorArgs {
    #[command(flatten)]
    pub(crate) wishes: WishArgs,
    /// User who may do what the program needs, and no more
    #[arg(long, value_name = "NAME")]
    pub(crate) iam_user: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage policy                         what the keys of EcoSight must be allowed
  ecosight storage policy --lifecycle --glacier 365 > lifecycle.json
  aws s3api put-bucket-lifecycle-configuration --bucket clips --lifecycle-configuration file://lifecycle.json
  ecosight storage policy --cloudfront > cdn.json
  aws cloudformation deploy --stack-name clips-cdn --template-file cdn.json

Only the name of the bucket (S3_BUCKET) and its region are needed; no server is asked.")]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    pub(crate) which: WhichPolicy,
    #[command(flatten)]
    pub(crate) wishes: WishArgs,
}

/// What is printed instead of the permissions of the program's keys.
#[derive(ClapArgs, Debug)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "flags of which one can be given")]
pub(crate) struct WhichPolicy {
    /// The policy of the bucket itself
    #[arg(long)]
    pub(crate) bucket_policy: bool,
    /// Lifecycle rules
    #[arg(long)]
    pub(crate) lifecycle: bool,
    /// Answers to browsers
    #[arg(long)]
    pub(crate) cors: bool,
    /// Default encryption
    #[arg(long)]
    pub(crate) encryption: bool,
    /// A CloudFormation template: a CloudFront distribution with origin access control
    #[arg(long)]
    pub(crate) cloudfront: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage cost
  ecosight storage cost --uploads 20000 --retrains 30 --download-gb 50
  ecosight storage cost --json

What is stored is counted by listing, and so are the recordings that were written in the last 30 days; retrains are counted in runs/ of the data
root. The options say otherwise. Prices stand in the pipeline file; the defaults are the list prices of us-east-1 in 2025, so check them:
  [storage.prices]                                in ecosight.toml
  of = \"eu-west-1, our contract\"
  standard_gb_month = 0.024
`ecosight init` and `ecosight config --show` show all of them.")]
pub(crate) struct CostArgs {
    /// Recordings that are uploaded in a month [default: as in the last 30 days]
    #[arg(long, value_name = "N")]
    pub(crate) uploads: Option<u64>,
    /// Retrains in a month; each lists everything and reads what is new [default: as in the last 30 days]
    #[arg(long, value_name = "N")]
    pub(crate) retrains: Option<u64>,
    /// Gigabytes that leave for the internet in a month
    #[arg(long, value_name = "GB", default_value_t = 0)]
    pub(crate) download_gb: u64,
}

//! What is wanted of the bucket, from the environment and the command line.

use ecosight_datasets::admin::Wishes;
use ecosight_datasets::store::Settings;

use crate::cli::args::WishArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;

/// The wishes; the command line comes before the environment. What no server would grant is a mistake.
pub(super) fn wishes(args: &WishArgs, iam_user: Option<&String>, settings: &Settings) -> Result<Wishes, CliError> {
    asked(args, iam_user, of_settings(settings)?)
}

/// The wishes of the environment with those of the command line before them.
pub(super) fn asked(args: &WishArgs, iam_user: Option<&String>, mut wishes: Wishes) -> Result<Wishes, CliError> {
    wishes.abort_after_days = args.abort_incomplete;
    wishes.intelligent_tiering_days = args.intelligent_tiering;
    wishes.standard_ia_days = args.standard_ia;
    wishes.glacier_days = args.glacier;
    if !args.cors_origin.is_empty() {
        wishes.cors_origins.clone_from(&args.cors_origin);
    }
    wishes.log_bucket.clone_from(&args.log_bucket);
    wishes.distribution.clone_from(&args.distribution);
    wishes.iam_user = iam_user.cloned();
    wishes.check().map_err(|nonsense| CliError::usage(nonsense.message, nonsense.hint))?;
    if wishes.log_bucket.as_ref() == Some(&wishes.place.bucket) {
        let why = "a bucket that logs into itself logs its own logs";
        return Err(CliError::usage(why, "name another bucket: `--log-bucket NAME`"));
    }
    Ok(wishes)
}

/// What the environment alone asks for.
pub(super) fn of_settings(settings: &Settings) -> Result<Wishes, CliError> {
    let hint = "name it: `S3_BUCKET=name` in the environment or in `.env`";
    Wishes::new(settings).map_err(|error| CliError::from(error).with_hint(hint))
}

/// Says that the bucket's policy demands no TLS, where that is so.
pub(super) fn warn_of_plain_http(wishes: &Wishes, printer: &Printer) {
    if wishes.is_plain_http {
        printer.warning(
            "the server is reached over http://: a policy that demands TLS is left out, it would lock everybody out",
        );
    }
}

/// What is said where the AWS SDK was left out of the build.
#[cfg(not(feature = "aws-admin"))]
pub(super) fn without_sdk() -> CliError {
    CliError::usage(
        "this build of EcoSight has no AWS SDK, which configures buckets and users",
        "`ecosight storage setup --print` prints what to apply by other means; or build it with the feature `aws-admin`",
    )
}

//! `ecosight storage setup`: makes a bucket what it should be, step by step. What is so already is left alone.

#[cfg(feature = "aws-admin")]
mod key;
#[cfg(feature = "aws-admin")]
mod steps;

use ecosight_datasets::admin::Wishes;
use ecosight_datasets::store::Settings;
use serde::Serialize;
use serde_json::Value;

use super::wishes::{warn_of_plain_http, wishes};
use crate::ExitStatus;
use crate::cli::args::SetupArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::listing;
use crate::cli::session::Globals;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(feature = "aws-admin"), expect(dead_code, reason = "without the SDK no step is made"))]
enum State {
    /// Nothing had to be done.
    AlreadySo,
    /// It was done.
    Done,
    /// It would be done.
    WouldDo,
    /// It is not wanted, or must not be done.
    LeftOut,
    /// It could not be done.
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::AlreadySo => "already so",
            Self::Done => "done",
            Self::WouldDo => "would do",
            Self::LeftOut => "left out",
            Self::Failed => "failed",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Line {
    step: &'static str,
    state: State,
    detail: String,
    /// What to do about it, or the next command to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The document.
#[derive(Serialize)]
struct Report {
    bucket: String,
    dry_run: bool,
    steps: Vec<Line>,
    /// What the keys of the program must be allowed.
    policy: Value,
}

/// Runs the verb.
pub(super) fn setup(args: &SetupArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let settings = &globals.access()?.settings;
    let wishes =
        Wishes { expire_existing: args.expire_existing, ..wishes(&args.wishes, args.iam_user.as_ref(), settings)? };
    if args.print {
        warn_of_plain_http(&wishes, printer);
        printer.document(&wishes.documents())?;
        return Ok(ExitStatus::Ok);
    }
    if let Err(why) = settings.configured() {
        let hint = "`ecosight storage setup --print` needs no credentials";
        return Err(CliError::usage(why, hint));
    }
    let bucket = wishes.place.to_string();
    let (steps, policy) = carry_out(args, settings, wishes, printer)?;
    let report = Report { bucket, dry_run: args.dry_run, steps, policy };
    show(&report, printer)?;
    let has_failed = report.steps.iter().any(|line| line.state == State::Failed);
    Ok(if has_failed { ExitStatus::Failed } else { ExitStatus::Ok })
}

#[cfg(feature = "aws-admin")]
fn carry_out(
    args: &SetupArgs,
    settings: &Settings,
    wishes: Wishes,
    printer: &Printer,
) -> Result<(Vec<Line>, Value), CliError> {
    use ecosight_datasets::admin::Admin;
    use ecosight_datasets::runtime::block_on;
    if args.iam_user.is_some() && !Admin::knows_iam(settings) {
        let hint = "name its server of users: `AWS_ENDPOINT_URL_IAM`; or make the user by hand, with the policy that is printed";
        return Err(CliError::usage("the bucket is not on Amazon's servers, so its users are not there either", hint));
    }
    let run = async {
        let mut admin = Admin::connect(settings, wishes).await?;
        let mut lines = steps::all(&admin, args.dry_run, printer).await;
        // Where this cannot be asked, the step about encryption has said so.
        let _ = admin.adopt_key().await;
        if let Some(user) = &args.iam_user {
            let wanted = key::Wanted { user, new_key: args.new_key, is_dry: args.dry_run };
            lines.extend(key::all(&admin, settings, &wanted).await);
        }
        Ok((lines, admin.wishes().policy()))
    };
    block_on(run)
}

#[cfg(not(feature = "aws-admin"))]
fn carry_out(_: &SetupArgs, _: &Settings, _: Wishes, _: &Printer) -> Result<(Vec<Line>, Value), CliError> {
    Err(super::wishes::without_sdk())
}

fn show(report: &Report, printer: &Printer) -> Result<(), CliError> {
    if printer.json {
        return Ok(printer.document(report)?);
    }
    let rows = report.steps.iter().flat_map(|line| {
        let hint = line.hint.as_ref().map(|hint| vec![String::new(), String::new(), format!("hint: {hint}")]);
        [vec![line.step.to_owned(), line.state.word().to_owned(), line.detail.clone()]].into_iter().chain(hint)
    });
    printer.result(&listing(&["step", "state", "what"], rows))?;
    printer.result("\nThe keys of EcoSight must be allowed this, and no more:\n\n")?;
    printer.document(&report.policy)?;
    let count = |state: State| report.steps.iter().filter(|line| line.state == state).count();
    printer.note(&match (count(State::Failed), count(State::WouldDo), count(State::Done)) {
        (0, 0, 0) => format!("{} is as it should be; nothing was changed", report.bucket),
        (0, 0, done) => format!("{done} step(s) done; `ecosight storage doctor` checks the bucket"),
        (0, would, _) => format!("{would} step(s) would be done; nothing was changed"),
        (failed, _, _) => format!("{failed} step(s) failed; run the same command again when that is mended"),
    });
    Ok(())
}

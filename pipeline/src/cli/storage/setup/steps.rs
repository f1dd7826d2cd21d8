//! The steps that concern the bucket.

use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::{Admin, Look, Step};
use ecosight_datasets::store::Trouble;

use super::{Line, State};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;

/// Said of servers that are not Amazon's.
const UNKNOWN: &str = "this server does not know it";

/// Goes through all steps; one that fails does not keep the others from being done, unless there is no bucket.
pub(super) async fn all(admin: &Admin, is_dry: bool, printer: &Printer) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for step in Step::ALL {
        let first = lines.first().map(|line| line.state);
        let line = match first {
            Some(State::Failed) => line(step.name(), State::LeftOut, "the bucket cannot be looked at".to_owned()),
            _ => one(admin, step, is_dry, first == Some(State::WouldDo), printer).await,
        };
        lines.push(line);
    }
    lines
}

async fn one(admin: &Admin, step: Step, is_dry: bool, is_bucket_missing: bool, printer: &Printer) -> Line {
    let name = step.name();
    match admin.look(step).await {
        Ok(Look::Right(what)) => line(name, State::AlreadySo, what),
        Ok(Look::LeftOut(why)) => line(name, State::LeftOut, why),
        Ok(Look::Warning(why)) => {
            printer.warning(&format!("{name}: {why}"));
            line(name, State::LeftOut, why)
        }
        Ok(Look::Unsafe { why, hint }) => Line { hint: Some(hint), ..line(name, State::Failed, why) },
        Ok(Look::Wrong(what)) if is_dry => line(name, State::WouldDo, what),
        Ok(Look::Wrong(what)) => match admin.put_right(step).await {
            Ok(()) => line(name, State::Done, what),
            Err(error) if Admin::is_unknown(&error) => line(name, State::LeftOut, UNKNOWN.to_owned()),
            Err(error) => failed(name, error, step.permissions()[1]),
        },
        Err(error) if is_bucket_missing && Trouble::of(&error) == Some(Trouble::NoSuchBucket) => {
            line(name, State::WouldDo, "set it on the new bucket".to_owned())
        }
        Err(error) if Admin::is_unknown(&error) => line(name, State::LeftOut, UNKNOWN.to_owned()),
        Err(error) => failed(name, error, step.permissions()[0]),
    }
}

pub(super) fn line(step: &'static str, state: State, detail: String) -> Line {
    Line { step, state, detail, hint: None }
}

/// A step that failed; `permission` is the one that it takes.
pub(super) fn failed(step: &'static str, error: DatasetError, permission: &str) -> Line {
    let is_forbidden = Trouble::of(&error) == Some(Trouble::Forbidden);
    let error = CliError::from(error);
    let detail = error.chain().join(": ");
    let hint = if is_forbidden {
        Some(format!("this takes the keys of somebody who may set up buckets; these lack `{permission}`"))
    } else if detail.contains("BucketAlreadyExists") {
        Some("the name is taken by somebody else: choose another one in `S3_BUCKET`".to_owned())
    } else if detail.contains("InvalidTargetBucketForLogging") {
        Some(
            "the bucket for logs must be yours and in the same region: name another one with `--log-bucket`".to_owned(),
        )
    } else {
        error.hint().map(str::to_owned)
    };
    Line { step, state: State::Failed, detail, hint }
}

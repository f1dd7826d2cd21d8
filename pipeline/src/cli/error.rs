//! Errors as a user sees them: what happened, why, and the next command to type.

use std::error::Error;

use ecosight_datasets::lease::LeaseError;
use ecosight_datasets::store::{Trouble, without_markup};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use ecosight_models::ModelError;
use ecosight_stages::{StageError, StageErrorKind};

use crate::ExitStatus;
use crate::engine::{LaterFormat, LayerError, LockError, RunError, SpecError};
use crate::report::ReportError;

/// A command failed.
#[derive(Debug)]
pub(crate) struct CliError {
    error: Box<dyn Error>,
    hint: Option<String>,
    status: ExitStatus,
}

impl CliError {
    /// A mistake in the command itself.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let error: Box<dyn Error> = message.into().into();
        Self { error, hint: Some(hint.into()), status: ExitStatus::Usage }
    }

    /// Something could not be done.
    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let error: Box<dyn Error> = message.into().into();
        Self { error, hint: Some(hint.into()), status: ExitStatus::Failed }
    }

    /// EcoSight itself is wrong.
    pub(crate) fn bug() -> Self {
        let hint = "please report it with the command and the lines above; nothing half-written is ever used";
        Self { error: "this is a bug in EcoSight".into(), hint: Some(hint.to_owned()), status: ExitStatus::Bug }
    }

    /// The user stopped it.
    pub(crate) fn interrupted(hint: impl Into<String>) -> Self {
        Self { error: "interrupted".into(), hint: Some(hint.into()), status: ExitStatus::Interrupted }
    }

    /// The same error with another hint.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// The same error, with what else is to be known of it.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.error = format!("{note}: {}", self.chain().join(": ")).into();
        self
    }

    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The error and its causes, outermost first, without those that only repeat the one before.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.error.to_string()];
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let text = without_markup(&error.to_string());
            if chain.last().is_some_and(|last| !last.contains(&text)) {
                chain.push(text);
            }
            cause = error.source();
        }
        chain
    }
}

/// The way out of a full disk.
const FREE_SOME_SPACE: &str = "free some space on that disk, then run the same command again";

/// Whether a full disk is the cause.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| (*e).source())
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::StorageFull)
}

/// What the user can do about a failure of a store, and its exit code.
fn dataset(error: &DatasetError) -> (ExitStatus, Option<String>) {
    let first: &(dyn Error + 'static) = &error.kind;
    let causes: Vec<_> = std::iter::successors(Some(first), |e| (*e).source()).collect();
    let io = causes.iter().find_map(|e| e.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    // Parquet passes some of the file system's refusals on as text alone.
    let is_full =
        io == Some(std::io::ErrorKind::StorageFull) || causes.iter().any(|e| e.to_string().contains("No space left"));
    if let Some(trouble) = Trouble::of(error) {
        return (ExitStatus::Store, Some(trouble.hint(error.action)));
    }
    let hint = match io {
        _ if is_full => Some(FREE_SOME_SPACE),
        Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => {
            Some("check the permissions, or name another folder")
        }
        _ if matches!(error.kind, DatasetErrorKind::Damaged) => {
            Some("`ecosight retrain` computes it again; `ecosight verify` finds whatever else is damaged")
        }
        _ if error.action == "open source folder" => Some("name the folder with your recordings: `--source DIR`"),
        _ if error.action == "look at bucket for logs" => {
            Some("make that bucket first, or name another one: `--log-bucket NAME`")
        }
        _ if error.action == "read environment file" => Some(
            "a line is `NAME=value`; a value with spaces, `#` or `$` stands in single quotes, and a comment begins with `#`",
        ),
        _ if error.action == "read variable" => {
            Some("set it anew, in the environment or in `.env`; `ecosight storage --help` lists the variables")
        }
        _ if error.action == "understand the name" => {
            Some("names are relative to the store: `ecosight storage ls` shows them")
        }
        _ if error.action == "understand address" => Some("a place is a path, or `s3://bucket/prefix`"),
        _ if error.action == ecosight_datasets::tracks::ACTION
            && matches!(error.kind, DatasetErrorKind::Invalid(_)) =>
        {
            Some("`ecosight storage reindex` moves it aside and makes it again; no recording is lost")
        }
        _ if error.action == "read table" => {
            Some("`ecosight verify --repair` and `ecosight retrain` make the tables again")
        }
        _ if error.action == "read manifest" => Some(
            "a manifest has the columns `uri` and `label`, and may have `start_s`, `end_s`, `recording_id`, `fold`, `site`, `device` and `recorded_at`",
        ),
        _ => None,
    };
    let hint = match error.kind {
        DatasetErrorKind::Interrupted => Some("run the same command again: it goes on where it was"),
        DatasetErrorKind::Conflict => Some("another run has written there; run the same command again"),
        _ => hint,
    };
    let status = match error.kind {
        DatasetErrorKind::Interrupted => ExitStatus::Interrupted,
        _ if is_full => ExitStatus::Store,
        DatasetErrorKind::Store(_)
        | DatasetErrorKind::Io(_)
        | DatasetErrorKind::Server(_)
        | DatasetErrorKind::Database(_)
        | DatasetErrorKind::Conflict => ExitStatus::Store,
        _ if matches!(
            error.action,
            "understand address" | "understand the name" | "read variable" | "read environment file"
        ) =>
        {
            ExitStatus::Usage
        }
        _ => ExitStatus::Failed,
    };
    (status, hint.map(str::to_owned))
}

fn stage_kind(kind: &StageErrorKind) -> (ExitStatus, Option<String>) {
    match kind {
        StageErrorKind::Dataset(error) => dataset(error),
        StageErrorKind::Refused { .. } | StageErrorKind::Lost { .. } => (ExitStatus::Refused, kind.hint()),
        StageErrorKind::FailureBudget { .. } => (ExitStatus::FailureBudget, kind.hint()),
        StageErrorKind::Forbidden { .. } => (ExitStatus::Store, kind.hint()),
        StageErrorKind::Cancelled => (ExitStatus::Interrupted, kind.hint()),
        _ if is_full(kind) => (ExitStatus::Store, Some(FREE_SOME_SPACE.to_owned())),
        _ => (ExitStatus::Failed, kind.hint()),
    }
}

impl From<DatasetError> for CliError {
    fn from(error: DatasetError) -> Self {
        let (status, hint) = dataset(&error);
        Self { error: Box::new(error), hint, status }
    }
}

impl From<ModelError> for CliError {
    fn from(error: ModelError) -> Self {
        let hint = error.hint();
        Self { error: Box::new(error), hint, status: ExitStatus::Failed }
    }
}

impl From<StageErrorKind> for CliError {
    fn from(error: StageErrorKind) -> Self {
        let (status, hint) = stage_kind(&error);
        Self { error: Box::new(error), hint, status }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let (status, hint) = match &error {
            RunError::NoSuchStage(_) => (ExitStatus::Usage, Some("`ecosight graph` shows the stages".to_owned())),
            RunError::NotSelected { .. } => {
                let hint = "leave out `--to` or `--only`, or force a stage that runs; one with `when = \"never\"` runs with `--only`";
                (ExitStatus::Usage, Some(hint.to_owned()))
            }
            RunError::MissingInput { input, .. } => {
                (ExitStatus::Failed, Some(format!("make it first: `ecosight retrain --to {input}`")))
            }
            RunError::StaleInput { stage, .. } => {
                let hint = format!(
                    "bring all of it up to date: `ecosight retrain --to {stage}`, or ask for what is there with `--set`"
                );
                (ExitStatus::Failed, Some(hint))
            }
            RunError::Lock(LockError::Held { .. }) => (
                ExitStatus::Store,
                Some("try again when it is done; `ecosight retrain --wait` waits for that".to_owned()),
            ),
            RunError::Lock(LockError::Io { .. }) => (ExitStatus::Store, None),
            RunError::Stage(StageError { kind, .. }) => stage_kind(kind),
            RunError::Dataset(error) => dataset(error),
        };
        Self { error: Box::new(error), hint, status }
    }
}

impl From<LeaseError> for CliError {
    fn from(error: LeaseError) -> Self {
        let hint = match &error {
            LeaseError::Store(_) => None,
            LeaseError::Held { .. } => Some(
                "try again when it is done, or two minutes after it was killed; `ecosight retrain --wait` waits for that",
            ),
            LeaseError::Lost(_) => Some("this machine was cut off for too long; run the same command again"),
        };
        match error {
            LeaseError::Store(error) => error.into(),
            error => Self { error: Box::new(error), hint: hint.map(str::to_owned), status: ExitStatus::Store },
        }
    }
}

impl From<LaterFormat> for CliError {
    fn from(error: LaterFormat) -> Self {
        let hint =
            "work on this data root with that version, or name another one: `--data-root DIR`; nothing was changed";
        Self { error: Box::new(error), hint: Some(hint.to_owned()), status: ExitStatus::Failed }
    }
}

impl From<LayerError> for CliError {
    fn from(error: LayerError) -> Self {
        Self { error: Box::new(error), hint: None, status: ExitStatus::Usage }
    }
}

impl From<SpecError> for CliError {
    fn from(error: SpecError) -> Self {
        let hint = Some(
            "`ecosight config --show` prints every stage and parameter; `ecosight init` writes them to a file"
                .to_owned(),
        );
        Self { error: Box::new(error), hint, status: ExitStatus::Usage }
    }
}

impl From<ReportError> for CliError {
    /// The parts of a report fit together unless this program is wrong.
    fn from(error: ReportError) -> Self {
        let hint = Some("please report it; the run itself is not touched by it".to_owned());
        Self { error: Box::new(error), hint, status: ExitStatus::Failed }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self { error: Box::new(error), hint: None, status: ExitStatus::Failed }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self { error: Box::new(error), hint: None, status: ExitStatus::Bug }
    }
}

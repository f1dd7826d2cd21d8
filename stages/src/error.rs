//! Why a stage stopped.

use ecosight_datasets::DatasetError;
use ecosight_datasets::store::Trouble;
use ecosight_models::ModelError;

use crate::retrain_policy::Loss;

/// A stage stopped: which one, and why.
#[derive(Debug, thiserror::Error)]
#[error("stage `{stage}` stopped")]
pub struct StageError {
    /// The stage's word.
    pub stage: &'static str,
    /// Why.
    #[source]
    pub kind: Box<StageErrorKind>,
}

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageErrorKind {
    /// A store, manifest or table could not be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Weights, a model or a tensor operation failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data cannot be used as they are; the hint says what to do.
    #[error("{message}")]
    Data {
        /// What is wrong with them.
        message: String,
        /// What the user can do.
        hint: String,
    },
    /// More clips failed than the budget allows.
    #[error(
        "{failed} of {expected} clips could not be used, more than the allowed share of {max_failed} (first: {first})"
    )]
    FailureBudget {
        /// Clips that failed.
        failed: usize,
        /// Clips that were to be processed.
        expected: usize,
        /// The budget, as a share of the expected clips.
        max_failed: f64,
        /// The first failure in words.
        first: String,
    },
    /// More clips than the budget allows may not be read, and hardly any failed for another reason.
    #[error("{failed} of {expected} clips may not be read (first: {first})")]
    Forbidden {
        /// Clips that may not be read.
        failed: usize,
        /// Clips that were to be processed.
        expected: usize,
        /// The first refusal in words.
        first: String,
        /// Whether they lie in a bucket, not in a folder.
        is_bucket: bool,
    },
    /// The gate does not let a model into production; it is kept.
    #[error("model `{model}` does not go into production: {}", .failed.join("; "))]
    Refused {
        /// Its version.
        model: String,
        /// The criteria that failed, in words.
        failed: Vec<String>,
    },
    /// The source has lost too much of what the model in production was trained beside.
    #[error("{}", .loss.words())]
    Lost {
        /// What is gone.
        loss: Box<Loss>,
    },
    /// The stage has found something that changes what stages before it make: a run goes through its stages again.
    #[error("{why}")]
    AnotherPass {
        /// What it has found, in words.
        why: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl StageErrorKind {
    /// The data are at fault, and `hint` says what to do.
    pub fn data(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Data { message: message.into(), hint: hint.into() }
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data { hint, .. } => Some(hint.clone()),
            Self::Model(error) => error.hint(),
            Self::FailureBudget { .. } => Some(
                "`ecosight failed` lists the reasons; repair or remove the files, or allow more with `--set pipeline.max_failed=0.2`".into(),
            ),
            Self::Forbidden { is_bucket: true, .. } => Some(Trouble::Forbidden.hint("read object")),
            Self::Forbidden { is_bucket: false, .. } => {
                Some("let the user that runs this read the files, for instance with `chmod -R u+rX`".into())
            }
            Self::Refused { model, .. } => Some(format!(
                "`ecosight models show {model}` tells all of it; `ecosight retrain --force-publish` with the same options publishes it all the same"
            )),
            Self::Lost { .. } => Some(
                "put them back and run the same command again (is a disk not mounted, or a synchronisation unfinished?); if they are gone for good, \
                 `ecosight retrain --allow-loss` trains without them, and `publish.max_loss` is the share of recordings that may go without it"
                    .into(),
            ),
            Self::AnotherPass { .. } => Some("what was found is kept; the same command goes on from there".into()),
            Self::Cancelled => Some("what was computed is kept; the same command goes on from there".into()),
            Self::Dataset(_) => None,
        }
    }
}

/// Names the stage in errors of anything that a stage calls.
pub(crate) trait InStage<T> {
    /// The error as one of `stage`.
    fn in_stage(self, stage: &'static str) -> Result<T, StageError>;
}

impl<T, K: Into<StageErrorKind>> InStage<T> for Result<T, K> {
    fn in_stage(self, stage: &'static str) -> Result<T, StageError> {
        self.map_err(|kind| StageError { stage, kind: Box::new(kind.into()) })
    }
}

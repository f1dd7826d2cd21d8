//! Training: one entry for every kind of head.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{Examples, Head, HeadError, HeadKind, Targets, TrainConfig, linear_training, mlp_training};

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Number of the epoch, from 1. For the linear head: of the step of its solver.
    pub epoch: u32,
    /// The objective on the train rows: mean cross-entropy in nats, with the penalty for the linear head, with dropout
    /// for the MLP.
    pub loss: f64,
    /// Share of the train rows that were right, measured along with the loss.
    pub accuracy: f64,
    /// Mean cross-entropy of the validation rows, nats, without penalty and dropout.
    pub val_loss: Option<f64>,
    /// Share of the validation rows that are right.
    pub val_accuracy: Option<f64>,
    /// Learning rate of the epoch; always 1 for the linear head, whose solver picks its own steps.
    pub learning_rate: f64,
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The linear head is at its optimum.
    Converged,
    /// The validation loss has stopped falling; the MLP has the weights of its best epoch.
    EarlyStopping,
    /// All epochs were run (for the linear head: 1000 steps without convergence).
    MaxEpochs,
    /// The caller broke it off; the head is the best one until then.
    Interrupted,
}

/// A trained head and how it came about.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The head.
    pub head: Head,
    /// Every epoch, in order.
    pub history: Vec<Epoch>,
    /// Why it ended.
    pub stopped: Stopped,
    /// The penalty of the linear head.
    pub l2: Option<f64>,
    /// The penalties that were tried, in order.
    pub tried: Vec<Tried>,
    /// What is to be expected of the head on recordings that it does not know.
    pub unseen: Unseen,
}

/// A penalty, and what the cross-validation over recordings of the train side made of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// The penalty.
    pub l2: f64,
    /// Mean cross-entropy of the originals, nats.
    pub log_loss: f64,
    /// Share of the originals that were right.
    pub accuracy: f64,
}

/// Logits of some of the rows of a side, each by a head that was fitted without the row's group. Rows of a class that such a head was not fitted
/// on are not among them: their logits would say nothing of the head.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutOfFold {
    /// Indices of the rows, ascending.
    pub rows: Vec<usize>,
    /// `[rows, classes]`, row-major.
    pub logits: Vec<f32>,
}

/// Out-of-fold logits of both sides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unseen {
    /// Of originals among the train rows, by cross-validation with the settings that were chosen; none where there was none.
    pub train: OutOfFold,
    /// Of val rows, by the head fitted on the train rows.
    pub val: OutOfFold,
}

/// Whoever looks after a training.
pub struct Watch<'a> {
    /// What an earlier training with the same examples and settings has handed out; bytes that are none of it are ignored.
    pub resume: Option<&'a [u8]>,
    /// Is told of every epoch, and may break the training off. The second argument makes the bytes to resume from here.
    pub on_epoch: &'a mut OnEpoch<'a>,
    /// Asked within epochs, which may be long: whether to leave off, and forget the epoch.
    pub is_stopped: &'a dyn Fn() -> bool,
}

/// Is told of every epoch.
pub type OnEpoch<'a> = dyn FnMut(&Epoch, &dyn Fn() -> Vec<u8>) -> ControlFlow<()> + 'a;

/// Trains a head: settings are chosen on `train` (the penalty of the linear head, by cross-validation over its recordings) and `val` (the number of
/// epochs of the MLP), then the head is fitted on both. A row that is held out has no part in the choice where a class of it is in no row that was fitted on.
///
/// Equal inputs give the same bits, with any number of rayon threads.
/// `on_epoch` is told of every epoch and may break the training off; an empty `val` counts as none.
///
/// # Errors
///
/// [`HeadError`] for settings out of range, examples with a wrong shape, label or value, and a loss that diverges.
pub fn train<'t>(
    train: Examples<'_>,
    val: Option<&Examples<'_>>,
    targets: impl Into<Targets<'t>>,
    config: &TrainConfig,
    on_epoch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Trained, HeadError> {
    let on_epoch: &mut OnEpoch<'_> = &mut |epoch, _| on_epoch(epoch);
    train_on(train, val, targets, config, Watch { resume: None, on_epoch, is_stopped: &|| false })
}

/// As [`train()`], from where an earlier training was, and to the same bits as if that had gone on.
///
/// # Errors
///
/// As [`train()`].
pub fn train_on<'t>(
    train: Examples<'_>,
    val: Option<&Examples<'_>>,
    targets: impl Into<Targets<'t>>,
    config: &TrainConfig,
    mut watch: Watch<'_>,
) -> Result<Trained, HeadError> {
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(HeadError::Settings(problems));
    }
    let targets = targets.into();
    if targets.classes() < 2 {
        return Err(HeadError::TooFewClasses(targets.classes()));
    }
    if train.y.is_empty() {
        return Err(HeadError::NoExamples);
    }
    train.check(targets.labels())?;
    let val = val.filter(|val| !val.y.is_empty());
    if let Some(val) = val {
        val.check(targets.labels())?;
        if val.dim != train.dim {
            return Err(HeadError::ValidationDim { train: train.dim, val: val.dim });
        }
    }
    match config.head {
        HeadKind::Linear => linear_training::train(train, val, targets, config, &mut watch),
        HeadKind::Mlp => mlp_training::train(train, val, targets, config, &mut watch),
    }
}

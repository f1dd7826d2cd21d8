//! The numbers of an evaluation.

use serde::{Deserialize, Serialize};

use super::Intervals;

/// Metrics of one set of rows; the predicted class of a row is its most probable one, the first of equals.
///
/// What is none or missing here was not computed by the version that wrote the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Number of rows.
    pub n: u64,
    /// Share of rows that are right (`accuracy_score`).
    pub accuracy: f64,
    /// Mean recall over the classes that have rows (`balanced_accuracy_score`).
    pub balanced_accuracy: f64,
    /// Mean F1 over the classes that are true or predicted somewhere (`f1_score(average="macro")`).
    pub macro_f1: f64,
    /// Mean F1 of the classes, each counting with its rows (`f1_score(average="weighted")`).
    #[serde(default)]
    pub weighted_f1: Option<f64>,
    /// Mean `−ln p` of the true class, nats (`log_loss`, which clips probabilities to 1.19e-7 … 1 − 1.19e-7).
    #[serde(default)]
    pub log_loss: Option<f64>,
    /// Expected calibration error of the most probable class, 15 bins of equal width (Guo et al. 2017).
    #[serde(default)]
    pub ece: Option<f64>,
    /// 95 % bootstrap intervals by recording; whoever knows the recordings adds them ([`intervals`](super::intervals)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<Intervals>,
    /// Whether copies of these rows were trained on: the figures are too good to be true then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_leaky: bool,
    /// One entry for each class, in index order.
    pub per_class: Vec<ClassMetrics>,
    /// Counts, rows are true classes and columns predicted ones, `[classes][classes]`.
    pub confusion_matrix: Vec<Vec<u64>>,
}

/// Metrics of one class against all others; a ratio whose denominator is zero is 0 (`zero_division=0`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassMetrics {
    /// Name of the class.
    pub class: String,
    /// Rows of this class.
    pub support: u64,
    /// Share of the rows predicted as this class that are of it.
    pub precision: f64,
    /// Share of the rows of this class that are predicted as it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Area under the precision-recall steps of its probability (`average_precision_score`); none without rows.
    pub average_precision: Option<f64>,
    /// Probability that a row of this class scores above one of another (`roc_auc_score`); none unless there are both.
    #[serde(default)]
    pub auroc: Option<f64>,
}

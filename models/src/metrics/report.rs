//! The numbers of an evaluation.

use serde::{Deserialize, Serialize};

use super::stored::StoredMetrics;
use super::{BINS, Intervals};
use crate::decision::Labelling;

/// Metrics of one set of rows; what is predicted of a row is what the model's [`Decision`](crate::decision::Decision) answers.
///
/// What is none or missing here was not computed by the version that wrote the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredMetrics", into = "StoredMetrics")]
pub struct Metrics {
    /// Number of rows.
    pub n: u64,
    /// How many classes a row can be of; in JSON, the names of the accuracies say it.
    pub labelling: Labelling,
    /// Share of rows that are right (`accuracy_score`). Of several classes, those of which all known classes are right: `subset_accuracy` in JSON.
    pub accuracy: f64,
    /// Mean recall over the classes that have rows (`balanced_accuracy_score`). Of several classes, the mean over the classes of sensitivity and
    /// specificity: `mean_balanced_accuracy` in JSON.
    pub balanced_accuracy: f64,
    /// Mean F1 over the classes that are true or predicted somewhere (`f1_score(average="macro")`).
    pub macro_f1: f64,
    /// Mean F1 of the classes, each counting with its rows (`f1_score(average="weighted")`).
    pub weighted_f1: Option<f64>,
    /// Mean `−ln p` of the true class, nats (`log_loss`, which clips probabilities to 1.19e-7 … 1 − 1.19e-7).
    pub log_loss: Option<f64>,
    /// Expected calibration error of the most probable class, bins of equal width (Guo et al. 2017).
    pub ece: Option<f64>,
    /// Number of bins of the expected calibration error; files of before say none and had 15.
    pub ece_bins: Option<usize>,
    /// 95 % bootstrap intervals by split group; none until the caller adds them ([`intervals`](super::intervals)).
    pub ci95: Option<Intervals>,
    /// Whether copies of these rows were trained on: the figures are too good to be true then.
    pub is_leaky: bool,
    /// Rows whose label a person has corrected by review.
    pub corrected_labels: u64,
    /// Whether thresholds and temperature were chosen on these very rows: the figures that depend on them are optimistic then.
    pub selected_on: bool,
    /// One entry for each class, in index order.
    pub per_class: Vec<ClassMetrics>,
    /// Counts, rows are true classes and columns predicted ones, `[classes][classes]`. Rows that were answered `unknown` are in no column
    /// ([`Metrics::unknown_rows`]).
    pub confusion_matrix: Vec<Vec<u64>>,
}

impl Metrics {
    /// Rows of each class that were answered `unknown`: what the confusion matrix lacks of the support. Empty without a matrix.
    pub fn unknown_rows(&self) -> Vec<u64> {
        let counted = self.confusion_matrix.iter().map(|row| row.iter().sum::<u64>());
        self.per_class.iter().zip(counted).map(|(class, counted)| class.support.saturating_sub(counted)).collect()
    }

    /// Number of bins of the expected calibration error.
    pub fn ece_bins(&self) -> usize {
        self.ece_bins.unwrap_or(BINS)
    }
}

/// Metrics of one class against all others.
///
/// Of a class without rows there is no recall and no F1, and no precision either where no row is predicted as it. Otherwise a ratio whose denominator is
/// zero is 0 (`zero_division=0`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassMetrics {
    /// Name of the class.
    pub class: String,
    /// Rows of this class.
    pub support: u64,
    /// Share of the rows predicted as this class that are of it.
    pub precision: Option<f64>,
    /// Share of the rows of this class that are predicted as it.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Area under the precision-recall steps of its probability (`average_precision_score`); none without rows.
    pub average_precision: Option<f64>,
    /// Probability that a row of this class scores above one of another (`roc_auc_score`); none unless there are both.
    #[serde(default)]
    pub auroc: Option<f64>,
}

impl ClassMetrics {
    /// Precision, recall and F1, none of what was not measured: files of earlier versions have zeros for a class without rows.
    pub fn ratios(&self) -> [Option<f64>; 3] {
        let measured = |value: Option<f64>| value.filter(|_| self.support > 0);
        let precision = self.precision.filter(|precision| self.support > 0 || *precision > 0.0);
        [precision, measured(self.recall), measured(self.f1)]
    }
}

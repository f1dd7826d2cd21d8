//! Figures in JSON, under names that say what they are.
//!
//! Where a clip can be of several classes, what is called `accuracy` and `balanced_accuracy` in memory is `subset_accuracy` and `mean_balanced_accuracy`.
//! Files of before have the former names in both cases; metrics without a confusion matrix are those of several classes.

use serde::{Deserialize, Serialize};

use super::intervals::recording;
use super::{ClassMetrics, Difference, Interval, Intervals, Metrics, PairedDifferences};
use crate::decision::Labelling;

/// A figure under one of two names.
struct Named<T> {
    single: Option<T>,
    multi: Option<T>,
}

impl<T> Named<T> {
    fn new(labelling: Labelling, value: T) -> Self {
        match labelling {
            Labelling::Single => Self { single: Some(value), multi: None },
            Labelling::Multi => Self { single: None, multi: Some(value) },
        }
    }

    /// The figure, whatever its name; an error where it is missing.
    fn value(self, name: &str) -> Result<T, String> {
        self.multi.or(self.single).ok_or_else(|| format!("missing field `{name}`"))
    }
}

/// `subset_accuracy` instead of `accuracy` says that clips can be of several classes.
fn labelling(subset_accuracy: bool) -> Labelling {
    if subset_accuracy { Labelling::Multi } else { Labelling::Single }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredMetrics {
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subset_accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balanced_accuracy: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean_balanced_accuracy: Option<f64>,
    macro_f1: f64,
    #[serde(default)]
    weighted_f1: Option<f64>,
    #[serde(default)]
    log_loss: Option<f64>,
    #[serde(default)]
    ece: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ece_bins: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ci95: Option<Intervals>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_leaky: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    corrected_labels: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    selected_on: bool,
    per_class: Vec<ClassMetrics>,
    confusion_matrix: Vec<Vec<u64>>,
}

impl From<Metrics> for StoredMetrics {
    fn from(metrics: Metrics) -> Self {
        let accuracy = Named::new(metrics.labelling, metrics.accuracy);
        let balanced = Named::new(metrics.labelling, metrics.balanced_accuracy);
        Self {
            n: metrics.n,
            accuracy: accuracy.single,
            subset_accuracy: accuracy.multi,
            balanced_accuracy: balanced.single,
            mean_balanced_accuracy: balanced.multi,
            macro_f1: metrics.macro_f1,
            weighted_f1: metrics.weighted_f1,
            log_loss: metrics.log_loss,
            ece: metrics.ece,
            ece_bins: metrics.ece_bins,
            ci95: metrics.ci95,
            is_leaky: metrics.is_leaky,
            corrected_labels: metrics.corrected_labels,
            selected_on: metrics.selected_on,
            per_class: metrics.per_class,
            confusion_matrix: metrics.confusion_matrix,
        }
    }
}

impl TryFrom<StoredMetrics> for Metrics {
    type Error = String;

    fn try_from(stored: StoredMetrics) -> Result<Self, String> {
        let labelling = labelling(stored.subset_accuracy.is_some() || stored.confusion_matrix.is_empty());
        let accuracy = Named { single: stored.accuracy, multi: stored.subset_accuracy };
        let balanced = Named { single: stored.balanced_accuracy, multi: stored.mean_balanced_accuracy };
        Ok(Self {
            n: stored.n,
            labelling,
            accuracy: accuracy.value("accuracy")?,
            balanced_accuracy: balanced.value("balanced_accuracy")?,
            macro_f1: stored.macro_f1,
            weighted_f1: stored.weighted_f1,
            log_loss: stored.log_loss,
            ece: stored.ece,
            ece_bins: stored.ece_bins,
            ci95: stored.ci95.map(|ci95| Intervals { labelling, ..ci95 }),
            is_leaky: stored.is_leaky,
            corrected_labels: stored.corrected_labels,
            selected_on: stored.selected_on,
            per_class: stored.per_class,
            confusion_matrix: stored.confusion_matrix,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredIntervals {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accuracy: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subset_accuracy: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balanced_accuracy: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean_balanced_accuracy: Option<Interval>,
    macro_f1: Interval,
    groups: u64,
    #[serde(default = "recording")]
    unit: String,
    resamples: u32,
}

impl From<Intervals> for StoredIntervals {
    fn from(intervals: Intervals) -> Self {
        let accuracy = Named::new(intervals.labelling, intervals.accuracy);
        let balanced = Named::new(intervals.labelling, intervals.balanced_accuracy);
        Self {
            accuracy: accuracy.single,
            subset_accuracy: accuracy.multi,
            balanced_accuracy: balanced.single,
            mean_balanced_accuracy: balanced.multi,
            macro_f1: intervals.macro_f1,
            groups: intervals.groups,
            unit: intervals.unit,
            resamples: intervals.resamples,
        }
    }
}

impl TryFrom<StoredIntervals> for Intervals {
    type Error = String;

    fn try_from(stored: StoredIntervals) -> Result<Self, String> {
        let labelling = labelling(stored.subset_accuracy.is_some());
        let accuracy = Named { single: stored.accuracy, multi: stored.subset_accuracy };
        let balanced = Named { single: stored.balanced_accuracy, multi: stored.mean_balanced_accuracy };
        Ok(Self {
            labelling,
            accuracy: accuracy.value("accuracy")?,
            balanced_accuracy: balanced.value("balanced_accuracy")?,
            macro_f1: stored.macro_f1,
            groups: stored.groups,
            unit: stored.unit,
            resamples: stored.resamples,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredDifferences {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accuracy: Option<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subset_accuracy: Option<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balanced_accuracy: Option<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean_balanced_accuracy: Option<Difference>,
    macro_f1: Difference,
    recall: Vec<Option<Difference>>,
    groups: u64,
    #[serde(default = "recording")]
    unit: String,
}

impl From<PairedDifferences> for StoredDifferences {
    fn from(differences: PairedDifferences) -> Self {
        let accuracy = Named::new(differences.labelling, differences.accuracy);
        let balanced = Named::new(differences.labelling, differences.balanced_accuracy);
        Self {
            accuracy: accuracy.single,
            subset_accuracy: accuracy.multi,
            balanced_accuracy: balanced.single,
            mean_balanced_accuracy: balanced.multi,
            macro_f1: differences.macro_f1,
            recall: differences.recall,
            groups: differences.groups,
            unit: differences.unit,
        }
    }
}

impl TryFrom<StoredDifferences> for PairedDifferences {
    type Error = String;

    fn try_from(stored: StoredDifferences) -> Result<Self, String> {
        let labelling = labelling(stored.subset_accuracy.is_some());
        let accuracy = Named { single: stored.accuracy, multi: stored.subset_accuracy };
        let balanced = Named { single: stored.balanced_accuracy, multi: stored.mean_balanced_accuracy };
        Ok(Self {
            labelling,
            accuracy: accuracy.value("accuracy")?,
            balanced_accuracy: balanced.value("balanced_accuracy")?,
            macro_f1: stored.macro_f1,
            recall: stored.recall,
            groups: stored.groups,
            unit: stored.unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::LabelSets;
    use crate::metrics::{Bootstrap, Clusters, Labelled, MultiLabel};

    #[test]
    fn figures_of_several_classes_have_names_of_their_own_and_come_back() {
        let sets = LabelSets::new(2, vec![Some(true), Some(false), Some(false), Some(true)]);
        let names = ["a", "b"].map(str::to_owned);
        let judge = MultiLabel { sets: &sets };
        let rows = Labelled { probabilities: &[0.9, 0.1, 0.9, 0.8], labels: &[0, 1] };
        let (predicted, clusters) = ([true, false, true, true], Clusters { of_rows: &[0, 1], unit: "recording" });
        let draws = Bootstrap::default();
        let ci95 = judge.intervals(&predicted, rows.labels, clusters, draws).unwrap();
        let metrics = Metrics { ci95, ..judge.metrics(rows, &predicted, &names).unwrap() };
        let json = serde_json::to_value(&metrics).unwrap();
        for of in [&json, &json["ci95"]] {
            assert!(of.get("accuracy").is_none() && of.get("balanced_accuracy").is_none(), "{of}");
            assert!(of.get("subset_accuracy").is_some() && of.get("mean_balanced_accuracy").is_some(), "{of}");
        }
        assert_eq!(serde_json::from_value::<Metrics>(json.clone()).unwrap(), metrics);
        // As files of before have it.
        let old = json.to_string().replace("subset_accuracy", "accuracy").replace("mean_balanced", "balanced");
        assert_eq!(serde_json::from_str::<Metrics>(&old).unwrap(), metrics);
        let found = judge.compare(&predicted, &predicted, rows.labels, clusters, draws).unwrap();
        let json = serde_json::to_value(&found).unwrap();
        assert!(json.get("accuracy").is_none() && json["subset_accuracy"]["a"].is_number(), "{json}");
        assert_eq!(serde_json::from_value::<PairedDifferences>(json).unwrap(), found);
    }

    #[test]
    fn a_missing_figure_is_named() {
        let error = serde_json::from_str::<Metrics>(r#"{"n":1,"macro_f1":1.0,"per_class":[],"confusion_matrix":[]}"#);
        assert!(error.unwrap_err().to_string().contains("missing field `accuracy`"));
    }
}

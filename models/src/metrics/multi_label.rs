//! Metrics where a row can be of several classes, or of none.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::tally::{mean, ratio};
use super::{MetricsError, Ranking, check};

/// Metrics of rows with any number of classes each; a class is predicted where its probability reaches its threshold.
///
/// A ratio whose denominator is zero is 0. Means over classes leave out those of which a figure is not defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabelMetrics {
    /// Number of rows.
    pub n: u64,
    /// Share of rows whose predicted classes are exactly the true ones (`accuracy_score`).
    pub subset_accuracy: f64,
    /// Mean F1 over the classes that are true or predicted somewhere (`f1_score(average="macro", zero_division=nan)`).
    pub macro_f1: f64,
    /// F1 of all cells of the table together (`f1_score(average="micro")`).
    pub micro_f1: f64,
    /// Mean average precision over the classes that have rows; none where no class has.
    pub macro_average_precision: Option<f64>,
    /// Average precision of all cells together (`average_precision_score(average="micro")`).
    pub micro_average_precision: Option<f64>,
    /// Mean AUROC over the classes that have rows and do not have all of them; none where there is no such class.
    pub macro_auroc: Option<f64>,
    /// AUROC of all cells together (`roc_auc_score(average="micro")`).
    pub micro_auroc: Option<f64>,
    /// One entry for each class, in index order.
    pub per_class: Vec<LabelMetrics>,
}

/// Metrics of one class of several that a row can have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMetrics {
    /// Name of the class.
    pub class: String,
    /// Rows of this class.
    pub support: u64,
    /// Rows predicted as this class.
    pub predicted: u64,
    /// Share of the rows predicted as this class that are of it.
    pub precision: f64,
    /// Share of the rows of this class that are predicted as it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Area under the precision-recall steps of its probability; none without rows.
    pub average_precision: Option<f64>,
    /// Probability that a row of this class scores above another; none unless there are both.
    pub auroc: Option<f64>,
}

impl MultiLabelMetrics {
    /// Computes all metrics of `probabilities` against `truth`, `[n, classes]` row-major both, at `thresholds`, `[classes]`.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] for no rows, shapes that do not fit, and values that are not finite.
    pub fn compute(
        probabilities: &[f32],
        truth: &[bool],
        classes: &[String],
        thresholds: &[f32],
    ) -> Result<Self, MetricsError> {
        let width = classes.len();
        check::unlabelled(probabilities, width)?;
        check::length("labels", truth.len(), probabilities.len())?;
        check::thresholds(thresholds, width)?;
        let (mut hits, mut support, mut predicted) = (vec![0_u64; width], vec![0_u64; width], vec![0_u64; width]);
        let mut exact = 0;
        for (row, truth) in probabilities.chunks_exact(width).zip(truth.chunks_exact(width)) {
            let mut is_exact = true;
            for (class, (&p, &is_true)) in row.iter().zip(truth).enumerate() {
                let is_predicted = p >= thresholds[class];
                hits[class] += u64::from(is_true && is_predicted);
                support[class] += u64::from(is_true);
                predicted[class] += u64::from(is_predicted);
                is_exact &= is_true == is_predicted;
            }
            exact += u64::from(is_exact);
        }
        let label_metrics = |(class, name): (usize, &String)| {
            let ranking = Ranking::of_label(probabilities, truth, width, class);
            LabelMetrics {
                class: name.clone(),
                support: support[class],
                predicted: predicted[class],
                precision: ratio(hits[class], predicted[class]),
                recall: ratio(hits[class], support[class]),
                f1: ratio(2 * hits[class], support[class] + predicted[class]),
                average_precision: ranking.average_precision(),
                auroc: ranking.auroc(),
            }
        };
        let per_class: Vec<LabelMetrics> = classes.par_iter().enumerate().map(label_metrics).collect();
        let cells = Ranking::of_label(probabilities, truth, 1, 0);
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let n = (probabilities.len() / width) as u64;
        let occurring = per_class.iter().filter(|class| class.support + class.predicted > 0);
        Ok(Self {
            n,
            subset_accuracy: ratio(exact, n),
            macro_f1: mean_of_known(occurring.map(|class| Some(class.f1))).unwrap_or(0.0),
            micro_f1: ratio(2 * total(&hits), total(&support) + total(&predicted)),
            macro_average_precision: mean_of_known(per_class.iter().map(|class| class.average_precision)),
            micro_average_precision: cells.average_precision(),
            macro_auroc: mean_of_known(per_class.iter().map(|class| class.auroc)),
            micro_auroc: cells.auroc(),
            per_class,
        })
    }
}

/// The mean of those values that there are; none if there are none.
fn mean_of_known(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut known = values.flatten().peekable();
    known.peek().is_some().then(|| mean(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        name: String,
        classes: usize,
        probabilities: Vec<f32>,
        truth: Vec<bool>,
        thresholds: Vec<f32>,
        subset_accuracy: f64,
        macro_f1: f64,
        micro_f1: f64,
        macro_average_precision: Option<f64>,
        micro_average_precision: Option<f64>,
        macro_auroc: Option<f64>,
        micro_auroc: Option<f64>,
        f1: Vec<f64>,
        average_precision: Vec<Option<f64>>,
        auroc: Vec<Option<f64>>,
    }

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn all_numbers_are_those_of_scikit_learn() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/multi_label.json"));
        let cases: Vec<Golden> = serde_json::from_str(golden).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let found =
                MultiLabelMetrics::compute(&case.probabilities, &case.truth, &names(case.classes), &case.thresholds)
                    .unwrap();
            let mut pairs = vec![
                (Some(found.subset_accuracy), Some(case.subset_accuracy)),
                (Some(found.macro_f1), Some(case.macro_f1)),
                (Some(found.micro_f1), Some(case.micro_f1)),
                (found.macro_average_precision, case.macro_average_precision),
                (found.micro_average_precision, case.micro_average_precision),
                (found.macro_auroc, case.macro_auroc),
                (found.micro_auroc, case.micro_auroc),
            ];
            for (index, class) in found.per_class.iter().enumerate() {
                pairs.push((Some(class.f1), Some(case.f1[index])));
                pairs.push((class.average_precision, case.average_precision[index]));
                pairs.push((class.auroc, case.auroc[index]));
            }
            for (at, (found, expected)) in pairs.into_iter().enumerate() {
                assert_eq!(found.is_some(), expected.is_some(), "{}, figure {at}", case.name);
                let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
                assert!((found - expected).abs() < 1e-12, "{}, figure {at}: {found}, not {expected}", case.name);
            }
        }
    }

    #[test]
    fn rows_of_no_class_that_are_left_alone_are_right() {
        let found = MultiLabelMetrics::compute(&[0.2, 0.1], &[false; 2], &names(2), &[0.5; 2]).unwrap();
        assert_eq!((found.subset_accuracy, found.macro_f1, found.macro_auroc), (1.0, 0.0, None));
    }

    #[test]
    fn what_cannot_be_evaluated_is_named() {
        let compute = |p: &[f32], truth: &[bool], thresholds: &[f32]| {
            MultiLabelMetrics::compute(p, truth, &names(2), thresholds).map(|_| ())
        };
        assert_eq!(compute(&[], &[], &[0.5; 2]), Err(MetricsError::NoRows));
        let missing = |what, found| Err(MetricsError::Length { what, found, expected: 2 });
        assert_eq!(compute(&[0.5; 2], &[true], &[0.5; 2]), missing("labels", 1));
        assert_eq!(compute(&[0.5; 2], &[true; 2], &[0.5]), missing("thresholds", 1));
        assert_eq!(compute(&[0.5, f32::NAN], &[true; 2], &[0.5; 2]), Err(MetricsError::NotANumber { row: 0 }));
    }
}

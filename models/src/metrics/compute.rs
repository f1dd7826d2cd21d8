//! From probabilities and true classes to metrics.

use rayon::prelude::*;

use super::log_loss::log_loss;
use super::reliability::top_reliability;
use super::tally::Tally;
use super::{BINS, ClassMetrics, Metrics, MetricsError, Ranking, check, expected_calibration_error};
use crate::decision::Labelling;

impl Metrics {
    /// Computes all metrics of `probabilities` (`[n, classes]` row-major), and of the classes `predicted` from them (`[n]`; none where a row was
    /// answered `unknown`), against the true class of each row, `[n]`; without intervals, which need to know the recordings.
    ///
    /// A row that is predicted as no class is wrong, and belongs to no column of the confusion matrix. Log loss, ECE, average precision and AUROC are
    /// about the probabilities alone.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] for no rows, shapes that do not fit, a class out of range, and values that are not finite.
    pub fn compute(
        probabilities: &[f32],
        truth: &[usize],
        predicted: &[Option<usize>],
        classes: &[String],
    ) -> Result<Self, MetricsError> {
        let width = classes.len();
        check::rows(probabilities, truth, width)?;
        check::predicted(predicted, truth, width)?;
        let mut confusion = vec![vec![0_u64; width]; width];
        let mut tally = Tally::new(width);
        for (&class, &predicted) in truth.iter().zip(predicted) {
            if let Some(predicted) = predicted {
                confusion[class][predicted] += 1;
            }
            tally.add(class, predicted, 1);
        }
        let class_metrics = |(index, name): (usize, &String)| {
            let ranking = Ranking::of_class(probabilities, truth, width, index);
            ClassMetrics {
                class: name.clone(),
                support: tally.support(index),
                precision: (tally.support(index) + tally.predicted(index) > 0).then(|| tally.precision(index)),
                recall: (tally.support(index) > 0).then(|| tally.recall(index)),
                f1: (tally.support(index) > 0).then(|| tally.f1(index)),
                average_precision: ranking.average_precision(),
                auroc: ranking.auroc(),
            }
        };
        Ok(Self {
            n: truth.len() as u64,
            labelling: Labelling::Single,
            accuracy: tally.accuracy(),
            balanced_accuracy: tally.balanced_accuracy(),
            macro_f1: tally.macro_f1(),
            weighted_f1: Some(tally.weighted_f1()),
            log_loss: Some(log_loss(probabilities, truth, width)),
            ece: Some(expected_calibration_error(&top_reliability(probabilities, truth, width, BINS))),
            ece_bins: Some(BINS),
            ci95: None,
            is_leaky: false,
            corrected_labels: 0,
            selected_on: false,
            per_class: classes.par_iter().enumerate().map(class_metrics).collect(),
            confusion_matrix: confusion,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::head::argmax;
    use crate::metrics::{Bootstrap, Candidate, Clusters, Interval, Intervals, Threshold, Wish, intervals};

    #[derive(Deserialize)]
    struct Golden {
        name: String,
        classes: usize,
        probabilities: Vec<f32>,
        truth: Vec<usize>,
        accuracy: f64,
        balanced_accuracy: f64,
        macro_f1: f64,
        weighted_f1: f64,
        log_loss: f64,
        ece: f64,
        precision: Vec<f64>,
        recall: Vec<f64>,
        f1: Vec<f64>,
        support: Vec<u64>,
        average_precision: Vec<Option<f64>>,
        auroc: Vec<Option<f64>>,
        best_f1: Vec<Option<[f64; 3]>>,
        precise: Vec<Option<[f64; 3]>>,
        precision_recall_curve: Vec<Vec<[f64; 3]>>,
        roc_curve: Vec<Vec<[f64; 2]>>,
        groups: Option<Vec<u32>>,
        ci95: Option<[[f64; 2]; 3]>,
        confusion_matrix: Vec<Vec<u64>>,
    }

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    /// The most probable class of each row.
    fn most_probable(probabilities: &[f32], classes: usize) -> Vec<Option<usize>> {
        probabilities.chunks_exact(classes).map(|row| Some(argmax(row))).collect()
    }

    fn close(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 1e-12, "{what}: {found} instead of {expected}");
    }

    fn close_or_none(found: Option<f64>, expected: Option<f64>, what: &str) {
        assert_eq!(found.is_some(), expected.is_some(), "{what}");
        close(found.unwrap_or(0.0), expected.unwrap_or(0.0), what);
    }

    fn golden() -> Vec<Golden> {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/metrics.json"));
        serde_json::from_str(golden).unwrap()
    }

    #[test]
    fn all_numbers_are_those_of_scikit_learn() {
        let cases = golden();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let predicted = most_probable(&case.probabilities, case.classes);
            let metrics = Metrics::compute(&case.probabilities, &case.truth, &predicted, &names(case.classes)).unwrap();
            close(metrics.accuracy, case.accuracy, &case.name);
            close(metrics.balanced_accuracy, case.balanced_accuracy, &case.name);
            close(metrics.macro_f1, case.macro_f1, &case.name);
            close(metrics.weighted_f1.unwrap(), case.weighted_f1, &case.name);
            close(metrics.log_loss.unwrap(), case.log_loss, &case.name);
            close(metrics.ece.unwrap(), case.ece, &case.name);
            assert_eq!(metrics.confusion_matrix, case.confusion_matrix, "{}", case.name);
            for (index, class) in metrics.per_class.iter().enumerate() {
                let what = format!("{}, {}", case.name, class.class);
                assert_eq!(class.support, case.support[index], "{what}");
                close(class.precision.unwrap_or(0.0), case.precision[index], &what);
                close(class.recall.unwrap_or(0.0), case.recall[index], &what);
                close(class.f1.unwrap_or(0.0), case.f1[index], &what);
                close_or_none(class.average_precision, case.average_precision[index], &what);
                close_or_none(class.auroc, case.auroc[index], &what);
            }
        }
    }

    #[test]
    fn thresholds_and_curves_are_those_of_scikit_learn() {
        for case in golden() {
            let rankings = Ranking::of_classes(&case.probabilities, &case.truth, case.classes).unwrap();
            for (index, ranking) in rankings.iter().enumerate() {
                let what = format!("{}, class {index}", case.name);
                let scores = case.probabilities.iter().skip(index).step_by(case.classes);
                let candidate = |((&score, &truth), cluster)| Candidate { score, is_positive: truth == index, cluster };
                let candidates: Vec<Candidate> = scores.zip(&case.truth).zip(0..).map(candidate).collect();
                let positives = case.truth.iter().filter(|truth| **truth == index).count();
                let threshold = |wish| {
                    let found = Threshold::choose(wish, candidates.clone(), positives);
                    found.map(|found| [f64::from(found.threshold), found.precision, found.recall])
                };
                for (wish, expected) in [(Wish::BestF1, &case.best_f1), (Wish::Precision(0.3), &case.precise)] {
                    let (found, expected) = (threshold(wish), expected[index]);
                    assert_eq!(found.is_some(), expected.is_some(), "{what}, {wish:?}");
                    for (found, expected) in found.into_iter().flatten().zip(expected.into_iter().flatten()) {
                        close(found, expected, &what);
                    }
                }
                // Points on a straight line are left out, so not every point is here, but every one is there.
                for point in ranking.precision_recall_curve() {
                    let point = [f64::from(point.threshold), point.recall, point.precision];
                    let is_same = |of: &&[f64; 3]| of.iter().zip(point).all(|(a, b)| (a - b).abs() < 1e-12);
                    assert!(case.precision_recall_curve[index].iter().any(|of| is_same(&of)), "{what}: {point:?}");
                }
                let roc = ranking.roc_curve();
                let corners: Vec<[f64; 2]> =
                    roc.iter().map(|point| [point.false_positive_rate, point.true_positive_rate]).collect();
                assert_eq!(corners.len(), case.roc_curve[index].len(), "{what}");
                for (found, expected) in corners.iter().flatten().zip(case.roc_curve[index].iter().flatten()) {
                    close(*found, *expected, &what);
                }
            }
        }
    }

    #[test]
    fn intervals_are_those_that_numpy_draws() {
        let with_groups = golden().into_iter().filter_map(|case| Some((case.groups.clone()?, case.ci95?, case)));
        let mut compared = 0;
        for (groups, expected, case) in with_groups {
            let draws = Bootstrap { resamples: 20_000, seed: 3 };
            let predicted = most_probable(&case.probabilities, case.classes);
            let clusters = Clusters { of_rows: &groups, unit: "recording" };
            let found = intervals(&predicted, &case.truth, case.classes, clusters, draws).unwrap().unwrap();
            // Both sides are drawn; the accuracy moves in steps of a row, 1 / 60.
            let figures = [(found.accuracy, 0.018), (found.balanced_accuracy, 0.005), (found.macro_f1, 0.005)];
            for ((found, slack), [low, high]) in figures.into_iter().zip(expected) {
                assert!((found.low - low).abs() < slack, "{found:?}, {low}");
                assert!((found.high - high).abs() < slack, "{found:?}, {high}");
            }
            compared += 1;
        }
        assert_eq!(compared, 1);
    }

    #[test]
    fn what_cannot_be_evaluated_is_named() {
        let compute = |p: &[f32], truth: &[usize]| {
            let predicted = vec![Some(0); truth.len()];
            Metrics::compute(p, truth, &predicted, &names(2)).map(|_| ())
        };
        assert_eq!(compute(&[], &[]), Err(MetricsError::NoRows));
        assert_eq!(
            compute(&[0.5, 0.5, 1.0], &[0, 1]),
            Err(MetricsError::Shape { probabilities: 3, rows: 2, classes: 2 })
        );
        assert_eq!(compute(&[0.5, 0.5], &[2]), Err(MetricsError::Truth { row: 0, class: 2, classes: 2 }));
        assert_eq!(compute(&[0.5, f32::NAN], &[0]), Err(MetricsError::NotANumber { row: 0 }));
        let outside = Metrics::compute(&[0.5, 0.5], &[0], &[Some(2)], &names(2)).map(|_| ());
        assert_eq!(outside, Err(MetricsError::Predicted { row: 0, class: 2, classes: 2 }));
        let missing = Metrics::compute(&[0.5, 0.5], &[0], &[], &names(2)).map(|_| ());
        assert_eq!(missing, Err(MetricsError::Length { what: "predictions", found: 0, expected: 1 }));
    }

    #[test]
    fn a_row_that_is_answered_unknown_is_wrong_and_in_no_column() {
        let probabilities = [0.9, 0.1, 0.3, 0.7, 0.6, 0.4, 0.8, 0.2];
        let predicted = [Some(0), Some(1), None, None];
        let metrics = Metrics::compute(&probabilities, &[0, 1, 1, 0], &predicted, &names(2)).unwrap();
        assert_eq!(metrics.confusion_matrix, [[1, 0], [0, 1]]);
        assert_eq!(metrics.unknown_rows(), [1, 1]);
        assert_eq!(
            (metrics.accuracy, metrics.balanced_accuracy, metrics.per_class[0].precision),
            (0.5, 0.5, Some(1.0))
        );
        // Both classes: one of two found, nothing taken for it.
        close(metrics.macro_f1, 2.0 / 3.0, "macro F1");
    }

    #[test]
    fn a_class_without_rows_has_no_figures_but_the_precision_of_what_was_taken_for_it() {
        let probabilities = [0.8, 0.1, 0.1, 0.2, 0.7, 0.1];
        let metrics = Metrics::compute(&probabilities, &[0, 0], &[Some(0), Some(1)], &names(3)).unwrap();
        let of_class = |index: usize| {
            let class = &metrics.per_class[index];
            (class.precision, class.recall, class.f1, class.average_precision, class.auroc)
        };
        assert_eq!((metrics.per_class[0].precision, metrics.per_class[0].recall), (Some(1.0), Some(0.5)));
        assert_eq!(of_class(1), (Some(0.0), None, None, None, None));
        assert_eq!(of_class(2), (None, None, None, None, None));
    }

    #[test]
    fn metrics_survive_json() {
        let (p, predicted) = ([0.9, 0.1, 0.3, 0.7, 0.6, 0.4], [Some(0), Some(1), None]);
        let mut metrics = Metrics::compute(&p, &[0, 1, 1], &predicted, &names(2)).unwrap();
        let interval = Interval { low: 0.1, high: 0.9 };
        let json = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
        metrics.ci95 = Some(Intervals {
            labelling: Labelling::Single,
            accuracy: interval,
            balanced_accuracy: interval,
            macro_f1: interval,
            groups: 3,
            unit: "site".to_owned(),
            resamples: 2000,
        });
        let json = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
    }

    #[test]
    fn files_from_before_calibration_was_measured_are_read() {
        let old = r#"{"n": 1, "accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0, "per_class": [{"class": "a",
            "support": 1, "precision": 1.0, "recall": 1.0, "f1": 1.0, "average_precision": null}],
            "confusion_matrix": [[1]]}"#;
        let metrics: Metrics = serde_json::from_str(old).unwrap();
        assert_eq!((metrics.log_loss, metrics.ece, metrics.ci95, metrics.per_class[0].auroc), (None, None, None, None));
    }
}

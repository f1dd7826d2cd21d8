//! From probabilities and true classes to metrics.

use super::average_precision::average_precision;
use super::{ClassMetrics, Metrics};
use crate::head::argmax;

/// Why metrics cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There is no row.
    #[error("no rows to evaluate")]
    NoRows,
    /// The probabilities are not one row of `classes` values for each true class.
    #[error("{probabilities} probabilities do not make {rows} rows of {classes} classes")]
    Shape {
        /// Number of probabilities.
        probabilities: usize,
        /// Number of true classes.
        rows: usize,
        /// Number of class names.
        classes: usize,
    },
    /// A true class outside the class names.
    #[error("class {class} of row {row} is outside the {classes} classes")]
    Truth {
        /// Index of the row.
        row: usize,
        /// Its class.
        class: usize,
        /// Number of class names.
        classes: usize,
    },
    /// A probability that is not a number.
    #[error("row {row} holds a probability that is not a number")]
    NotANumber {
        /// Index of the row.
        row: usize,
    },
}

impl Metrics {
    /// Computes all metrics of `probabilities` (`[n, classes]` row-major) against the true class of each row, `[n]`.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] for no rows, shapes that do not fit, a true class out of range, and NaN.
    pub fn compute(probabilities: &[f32], truth: &[usize], classes: &[String]) -> Result<Self, MetricsError> {
        check(probabilities, truth, classes.len())?;
        let mut confusion = vec![vec![0_u64; classes.len()]; classes.len()];
        let mut right = 0_u64;
        for (row, &class) in probabilities.chunks_exact(classes.len()).zip(truth) {
            let predicted = argmax(row);
            confusion[class][predicted] += 1;
            right += u64::from(predicted == class);
        }
        let per_class: Vec<ClassMetrics> = classes
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut scored: Vec<(f32, bool)> = probabilities
                    .iter()
                    .skip(index)
                    .step_by(classes.len())
                    .zip(truth)
                    .map(|(&score, &class)| (score, class == index))
                    .collect();
                class_metrics(name, index, &confusion, average_precision(&mut scored))
            })
            .collect();
        let supported = per_class.iter().filter(|class| class.support > 0).map(|class| class.recall);
        let occurring = per_class
            .iter()
            .enumerate()
            .filter(|&(index, class)| class.support > 0 || predicted_as(&confusion, index) > 0)
            .map(|(_, class)| class.f1);
        Ok(Self {
            n: truth.len() as u64,
            accuracy: ratio(right, truth.len() as u64),
            balanced_accuracy: mean(supported),
            macro_f1: mean(occurring),
            per_class,
            confusion_matrix: confusion,
        })
    }
}

fn check(probabilities: &[f32], truth: &[usize], classes: usize) -> Result<(), MetricsError> {
    if truth.is_empty() {
        return Err(MetricsError::NoRows);
    }
    if classes == 0 || truth.len().checked_mul(classes) != Some(probabilities.len()) {
        return Err(MetricsError::Shape { probabilities: probabilities.len(), rows: truth.len(), classes });
    }
    if let Some((row, &class)) = truth.iter().enumerate().find(|&(_, &class)| class >= classes) {
        return Err(MetricsError::Truth { row, class, classes });
    }
    match probabilities.iter().position(|p| p.is_nan()) {
        Some(at) => Err(MetricsError::NotANumber { row: at / classes }),
        None => Ok(()),
    }
}

fn class_metrics(name: &str, index: usize, confusion: &[Vec<u64>], average_precision: Option<f64>) -> ClassMetrics {
    let hits = confusion[index][index];
    let support: u64 = confusion[index].iter().sum();
    let predicted = predicted_as(confusion, index);
    ClassMetrics {
        class: name.to_owned(),
        support,
        precision: ratio(hits, predicted),
        recall: ratio(hits, support),
        f1: ratio(2 * hits, support + predicted),
        average_precision,
    }
}

fn predicted_as(confusion: &[Vec<u64>], index: usize) -> u64 {
    confusion.iter().map(|row| row[index]).sum()
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        name: String,
        classes: usize,
        probabilities: Vec<f32>,
        truth: Vec<usize>,
        accuracy: f64,
        balanced_accuracy: f64,
        macro_f1: f64,
        precision: Vec<f64>,
        recall: Vec<f64>,
        f1: Vec<f64>,
        support: Vec<u64>,
        average_precision: Vec<Option<f64>>,
        confusion_matrix: Vec<Vec<u64>>,
    }

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    fn close(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 1e-12, "{what}: {found} instead of {expected}");
    }

    #[test]
    fn all_numbers_are_those_of_scikit_learn() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/metrics.json"));
        let cases: Vec<Golden> = serde_json::from_str(golden).unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let metrics = Metrics::compute(&case.probabilities, &case.truth, &names(case.classes)).unwrap();
            close(metrics.accuracy, case.accuracy, &case.name);
            close(metrics.balanced_accuracy, case.balanced_accuracy, &case.name);
            close(metrics.macro_f1, case.macro_f1, &case.name);
            assert_eq!(metrics.confusion_matrix, case.confusion_matrix, "{}", case.name);
            for (index, class) in metrics.per_class.iter().enumerate() {
                let what = format!("{}, {}", case.name, class.class);
                assert_eq!(class.support, case.support[index], "{what}");
                close(class.precision, case.precision[index], &what);
                close(class.recall, case.recall[index], &what);
                close(class.f1, case.f1[index], &what);
                let expected = case.average_precision[index];
                assert_eq!(class.average_precision.is_some(), expected.is_some(), "{what}");
                close(class.average_precision.unwrap_or(0.0), expected.unwrap_or(0.0), &what);
            }
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_named() {
        let compute = |p: &[f32], truth: &[usize]| Metrics::compute(p, truth, &names(2)).map(|_| ());
        assert_eq!(compute(&[], &[]), Err(MetricsError::NoRows));
        assert_eq!(
            compute(&[0.5, 0.5, 1.0], &[0, 1]),
            Err(MetricsError::Shape { probabilities: 3, rows: 2, classes: 2 })
        );
        assert_eq!(compute(&[0.5, 0.5], &[2]), Err(MetricsError::Truth { row: 0, class: 2, classes: 2 }));
        assert_eq!(compute(&[0.5, f32::NAN], &[0]), Err(MetricsError::NotANumber { row: 0 }));
    }

    #[test]
    fn metrics_survive_json() {
        let metrics = Metrics::compute(&[0.9, 0.1, 0.3, 0.7, 0.6, 0.4], &[0, 1, 1], &names(2)).unwrap();
        let json = serde_json::to_string(&metrics).unwrap();
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
    }
}

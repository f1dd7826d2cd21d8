//! Precision against recall and true against false positives, for plots.

use serde::{Deserialize, Serialize};

use super::Ranking;
use super::thinning::thin;

/// Points of a curve at most; a plot is a few hundred pixels wide.
const POINTS: usize = 200;

/// A point of the precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrecisionRecallPoint {
    /// The lowest score that passes.
    pub threshold: f32,
    /// Share of the positive rows that pass.
    pub recall: f64,
    /// Share of the rows that pass that are positive.
    pub precision: f64,
}

/// A point of the receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RocPoint {
    /// The lowest score that passes; none at the origin, where no row does.
    pub threshold: Option<f32>,
    /// Share of the negative rows that pass.
    pub false_positive_rate: f64,
    /// Share of the positive rows that pass.
    pub true_positive_rate: f64,
}

impl Ranking {
    /// Precision and recall at falling thresholds, recall rising to 1; at most 200 points that keep the shape.
    ///
    /// The points of scikit-learn's `precision_recall_curve` without the one at recall 0, which no threshold reaches.
    /// Empty without positive rows.
    pub fn precision_recall_curve(&self) -> Vec<PrecisionRecallPoint> {
        let positives = f64::from(self.positives());
        if positives == 0.0 {
            return Vec::new();
        }
        let points: Vec<(f64, f64)> =
            self.steps.iter().map(|step| (f64::from(step.hits) / positives, step.precision())).collect();
        let point = |at: usize| PrecisionRecallPoint {
            threshold: self.steps[at].score,
            recall: points[at].0,
            precision: points[at].1,
        };
        thin(&points, POINTS).into_iter().map(point).collect()
    }

    /// True against false positives at falling thresholds, from (0, 0) to (1, 1); at most 200 points that keep the shape.
    ///
    /// The points of scikit-learn's `roc_curve`. Empty unless there are rows of both kinds.
    pub fn roc_curve(&self) -> Vec<RocPoint> {
        let (positives, negatives) = (f64::from(self.positives()), f64::from(self.negatives()));
        if positives == 0.0 || negatives == 0.0 {
            return Vec::new();
        }
        let rates =
            self.steps.iter().map(|step| (f64::from(step.alarms) / negatives, f64::from(step.hits) / positives));
        let points: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(rates).collect();
        let point = |at: usize| RocPoint {
            threshold: at.checked_sub(1).map(|step| self.steps[step].score),
            false_positive_rate: points[at].0,
            true_positive_rate: points[at].1,
        };
        thin(&points, POINTS).into_iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20,000 rows whose score says something of their kind.
    fn many() -> Ranking {
        let row = |i: u32| {
            let noise = (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
            let positive = i.is_multiple_of(4);
            (if positive { noise.sqrt() } else { noise * noise }, positive)
        };
        Ranking::new((0..20_000).map(row).collect())
    }

    #[test]
    fn the_area_under_the_thinned_curves_is_that_of_all_rows() {
        let ranking = many();
        let roc = ranking.roc_curve();
        assert_eq!(roc.len(), POINTS);
        let area: f64 = roc
            .windows(2)
            .map(|ends| {
                (ends[1].false_positive_rate - ends[0].false_positive_rate)
                    * f64::midpoint(ends[0].true_positive_rate, ends[1].true_positive_rate)
            })
            .sum();
        assert!((area - ranking.auroc().unwrap()).abs() < 1e-3, "{area}");
        let curve = ranking.precision_recall_curve();
        assert_eq!(curve.len(), POINTS);
        let area: f64 = curve
            .windows(2)
            .map(|ends| (ends[1].recall - ends[0].recall) * f64::midpoint(ends[0].precision, ends[1].precision))
            .sum();
        assert!((area - ranking.average_precision().unwrap()).abs() < 2e-3, "{area}");
    }

    #[test]
    fn a_curve_needs_both_kinds_of_rows() {
        let positive = Ranking::new(vec![(0.5, true)]);
        assert!(positive.roc_curve().is_empty());
        assert_eq!(positive.precision_recall_curve().len(), 1);
        let negative = Ranking::new(vec![(0.5, false)]);
        assert!(negative.roc_curve().is_empty() && negative.precision_recall_curve().is_empty());
    }
}

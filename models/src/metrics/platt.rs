//! Platt scaling: from the score of one class to its probability, where a row can be of several classes.

use serde::{Deserialize, Serialize};

use super::{MetricsError, check};

/// Scores count up to this size, the logit of a probability that `f32` can still tell from 0.
const LARGEST: f32 = 87.0;

/// Iterations at most, and halvings of a step; Lin, Lin and Weng use 100 and about 33.
const ITERATIONS: u32 = 100;
const HALVINGS: u32 = 33;

/// Largest gradient at the optimum, for each row.
const GRADIENT: f64 = 1e-12;

/// Added to the diagonal of the Hessian, which is singular where all scores are equal.
const RIDGE: f64 = 1e-12;

/// The sigmoid `p = 1 / (1 + exp(a · score + b))`; `a` is negative where higher scores mean likelier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Slope.
    pub a: f64,
    /// Offset.
    pub b: f64,
}

impl Platt {
    /// Fits the sigmoid to the scores (logits) of one class, `[n]`, and whether each row is of it.
    ///
    /// Platt 1999, "Probabilistic Outputs for Support Vector Machines", with his targets `(N₊ + 1) / (N₊ + 2)` and
    /// `1 / (N₋ + 2)` instead of 1 and 0, which keep the sigmoid finite where scores separate the rows or all rows are of one
    /// kind; by Newton's method after Lin, Lin and Weng 2007, "A Note on Platt's Probabilistic Outputs".
    pub fn fit(scores: &[f32], truth: &[bool]) -> Result<Self, MetricsError> {
        check::shape(scores, truth.len(), 1)?;
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(MetricsError::NotANumber { row });
        }
        let positives = truth.iter().filter(|&&positive| positive).count() as f64;
        let negatives = truth.len() as f64 - positives;
        let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
        let rows: Vec<(f64, f64)> =
            scores.iter().zip(truth).map(|(&s, &positive)| (bounded(s), if positive { high } else { low })).collect();
        let mut at = Self { a: 0.0, b: ((negatives + 1.0) / (positives + 1.0)).ln() };
        let mut loss = at.loss(&rows);
        for _ in 0..ITERATIONS {
            let Some((da, db)) = at.newton(&rows) else { break };
            let shorter = |halvings: u32| {
                let share = 0.5_f64.powi(halvings as i32);
                let next = Self { a: at.a + share * da, b: at.b + share * db };
                (next, next.loss(&rows))
            };
            let Some((next, lower)) = (0..HALVINGS).map(shorter).find(|&(_, next)| next < loss) else { break };
            (at, loss) = (next, lower);
        }
        Ok(at)
    }

    /// The probability, 0 to 1, that a row with this score is of the class.
    pub fn probability(self, score: f32) -> f32 {
        self.sigmoid(bounded(score)) as f32
    }

    fn sigmoid(self, score: f64) -> f64 {
        1.0 / (1.0 + (self.a * score + self.b).exp())
    }

    /// Cross-entropy of the rows, each a score and its target: `Σ t·x + ln(1 + e⁻ˣ)` with `x = a · score + b`.
    fn loss(self, rows: &[(f64, f64)]) -> f64 {
        let cost = |&(score, target): &(f64, f64)| {
            let x = self.a * score + self.b;
            // Without overflow for either sign of x.
            if x >= 0.0 { target * x + (-x).exp().ln_1p() } else { (target - 1.0) * x + x.exp().ln_1p() }
        };
        rows.iter().map(cost).sum()
    }

    /// The step of Newton's method in a and b; none at the optimum.
    fn newton(self, rows: &[(f64, f64)]) -> Option<(f64, f64)> {
        let (mut aa, mut ab, mut bb, mut ga, mut gb) = (RIDGE, 0.0, RIDGE, 0.0, 0.0);
        for &(score, target) in rows {
            let p = self.sigmoid(score);
            let curvature = p * (1.0 - p);
            aa += curvature * score * score;
            ab += curvature * score;
            bb += curvature;
            ga += (target - p) * score;
            gb += target - p;
        }
        if f64::max(ga.abs(), gb.abs()) < GRADIENT * rows.len() as f64 {
            return None;
        }
        let determinant = aa * bb - ab * ab;
        Some(((ab * gb - bb * ga) / determinant, (ab * ga - aa * gb) / determinant))
    }
}

fn bounded(score: f32) -> f64 {
    f64::from(score.clamp(-LARGEST, LARGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        platt: Vec<GoldenPlatt>,
    }

    #[derive(Deserialize)]
    struct GoldenPlatt {
        scores: Vec<f32>,
        truth: Vec<bool>,
        a: f64,
        b: f64,
    }

    #[test]
    fn sigmoids_are_those_of_scikit_learn() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/calibration.json"));
        let golden: Golden = serde_json::from_str(golden).unwrap();
        assert_eq!(golden.platt.len(), 2);
        for case in golden.platt {
            let found = Platt::fit(&case.scores, &case.truth).unwrap();
            assert!((found.a - case.a).abs() < 1e-7 && (found.b - case.b).abs() < 1e-7, "{found:?}, {}", case.a);
        }
    }

    #[test]
    fn separated_rows_give_a_finite_sigmoid() {
        let platt = Platt::fit(&[-2.0, -1.0, 1.0, 2.0], &[false, false, true, true]).unwrap();
        assert!(platt.a < 0.0 && platt.a.is_finite() && platt.b.abs() < 1e-9, "{platt:?}");
        assert!(platt.probability(2.0) > 0.7 && platt.probability(2.0) < 0.9);
    }

    #[test]
    fn rows_of_one_kind_get_its_smoothed_share() {
        for (kind, expected) in [(true, 0.8), (false, 0.2)] {
            let platt = Platt::fit(&[0.5, -1.5, 3.0], &[kind; 3]).unwrap();
            assert!((platt.probability(9.0) - expected).abs() < 1e-6, "{platt:?}");
        }
    }

    #[test]
    fn equal_and_infinite_scores_do_not_break_the_fit() {
        let flat = Platt::fit(&[1.0; 4], &[true, true, true, false]).unwrap();
        // Targets 4/5, thrice, and 1/3.
        assert!((flat.probability(1.0) - (2.4 + 1.0 / 3.0) / 4.0).abs() < 1e-6, "{flat:?}");
        let huge = Platt::fit(&[f32::INFINITY, f32::NEG_INFINITY], &[true, false]).unwrap();
        assert!((huge.probability(f32::INFINITY) - 2.0 / 3.0).abs() < 1e-5, "{huge:?}");
        assert_eq!(Platt::fit(&[], &[]), Err(MetricsError::NoRows));
        assert_eq!(Platt::fit(&[f32::NAN], &[true]), Err(MetricsError::NotANumber { row: 0 }));
    }
}

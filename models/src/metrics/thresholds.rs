//! From which score on a class is believed.

use serde::{Deserialize, Serialize};

use super::Ranking;

/// What a threshold is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// The best harmonic mean of precision and recall.
    BestF1,
    /// The highest recall with at least this precision, 0 to 1.
    Precision(f64),
}

/// A threshold, and what it reaches on the rows that it was chosen on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The lowest score that passes; one of the scores of the ranking.
    pub threshold: f32,
    /// Share of the rows that pass that are positive.
    pub precision: f64,
    /// Share of the positive rows that pass.
    pub recall: f64,
}

impl Ranking {
    /// The threshold that fits the wish best; of equally good ones the highest, which lets the fewest rows pass.
    ///
    /// Each row counts by the score of this class alone, whatever its other classes score (one against the rest). None
    /// without positive rows and where the precision cannot be reached.
    pub fn threshold(&self, wish: Wish) -> Option<Threshold> {
        let positives = f64::from(self.positives());
        let (mut best, mut highest) = (None, 0.0);
        for step in &self.steps {
            let (precision, hits) = (step.precision(), f64::from(step.hits));
            let worth = match wish {
                Wish::BestF1 => 2.0 * hits / (positives + hits + f64::from(step.alarms)),
                Wish::Precision(least) if precision >= least => hits,
                Wish::Precision(_) => 0.0,
            };
            if worth > highest {
                highest = worth;
                best = Some(Threshold { threshold: step.score, precision, recall: hits / positives });
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(wish: Wish, scored: &[(f32, bool)]) -> Option<(f32, f64, f64)> {
        let found = Ranking::new(scored.to_vec()).threshold(wish)?;
        Some((found.threshold, found.precision, found.recall))
    }

    const ROWS: [(f32, bool); 6] = [(0.9, false), (0.8, true), (0.7, true), (0.6, true), (0.5, false), (0.4, true)];

    #[test]
    fn a_precision_that_is_reached_further_down_is_found() {
        assert_eq!(threshold(Wish::Precision(0.75), &ROWS), Some((0.6, 0.75, 0.75)));
        assert_eq!(threshold(Wish::Precision(0.6), &ROWS), Some((0.4, 4.0 / 6.0, 1.0)));
        assert_eq!(threshold(Wish::Precision(0.76), &ROWS), None);
    }

    #[test]
    fn the_best_f1_lets_the_fewest_rows_pass() {
        assert_eq!(threshold(Wish::BestF1, &ROWS), Some((0.4, 4.0 / 6.0, 1.0)));
        // One of two found (1 / 1 right) and both found (2 / 4 right) have the same F1.
        let even = [(0.9, true), (0.8, false), (0.7, false), (0.6, true)];
        assert_eq!(threshold(Wish::BestF1, &even), Some((0.9, 1.0, 0.5)));
    }

    #[test]
    fn without_positive_rows_no_score_is_enough() {
        for wish in [Wish::BestF1, Wish::Precision(0.0), Wish::Precision(f64::NAN)] {
            assert_eq!(threshold(wish, &[(0.9, false), (0.2, false)]), None);
            assert_eq!(threshold(wish, &[]), None);
        }
    }
}

//! The lowest probability at which a class is answered.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::proportion::wilson_lower;

/// What a threshold is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// The best harmonic mean of precision and recall.
    BestF1,
    /// The highest recall at which the precision, 0 to 1, is at least this with one-sided 95 % confidence.
    Precision(f64),
}

/// A row that could be answered with the class, depending on its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Probability of the class; a number.
    pub score: f32,
    /// Whether the row is of the class.
    pub is_positive: bool,
    /// What the row belongs to, by any number: rows of one recording are no independent evidence.
    pub cluster: u32,
}

/// A threshold, and what it reaches on the rows that it was chosen on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The lowest score that passes; one of the scores of the candidates.
    pub threshold: f32,
    /// Share of the rows that pass that are positive.
    pub precision: f64,
    /// Its one-sided 95 % lower bound (Wilson), the recordings among the rows that pass counting as trials. Models of schema 2 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision_low: Option<f64>,
    /// Share of the positive rows that pass.
    pub recall: f64,
}

impl Threshold {
    /// The threshold that fits the wish best; of equally good ones the highest, which lets the fewest rows pass.
    ///
    /// `positives` counts all rows of the class, those included that are no candidates. None where no candidate is positive, and where the precision
    /// cannot be shown to be reached.
    pub fn choose(wish: Wish, mut candidates: Vec<Candidate>, positives: usize) -> Option<Self> {
        candidates.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        let positives = positives as f64;
        let (mut hits, mut alarms, mut clusters) = (0.0, 0.0, HashSet::new());
        let (mut best, mut highest) = (None, 0.0);
        #[expect(clippy::float_cmp, reason = "a tie is an equal score, not a near one")]
        for tied in candidates.chunk_by(|a, b| a.score == b.score) {
            for candidate in tied {
                *if candidate.is_positive { &mut hits } else { &mut alarms } += 1.0;
                clusters.insert(candidate.cluster);
            }
            let precision = hits / (hits + alarms);
            let low = wilson_lower(precision, clusters.len());
            let worth = match wish {
                Wish::BestF1 => 2.0 * hits / (positives + hits + alarms),
                Wish::Precision(least) if low >= least => hits,
                Wish::Precision(_) => 0.0,
            };
            if worth > highest {
                highest = worth;
                let (threshold, recall) = (tied[0].score, hits / positives);
                best = Some(Self { threshold, precision, precision_low: Some(low), recall });
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates in clusters of their own.
    fn apart(scored: &[(f32, bool)]) -> Vec<Candidate> {
        let candidate = |(&(score, is_positive), cluster)| Candidate { score, is_positive, cluster };
        scored.iter().zip(0..).map(candidate).collect()
    }

    fn threshold(wish: Wish, scored: &[(f32, bool)]) -> Option<(f32, f64, f64)> {
        let positives = scored.iter().filter(|(_, positive)| *positive).count();
        let found = Threshold::choose(wish, apart(scored), positives)?;
        Some((found.threshold, found.precision, found.recall))
    }

    const ROWS: [(f32, bool); 6] = [(0.9, false), (0.8, true), (0.7, true), (0.6, true), (0.5, false), (0.4, true)];

    /// `n` rows that are right, with scores from 0.9 down.
    fn right(n: usize) -> Vec<(f32, bool)> {
        (0..n).map(|row| (0.9 - row as f32 / 1000.0, true)).collect()
    }

    #[test]
    fn a_precision_must_be_shown_and_not_only_seen() {
        // 0.75 is seen in four rows, and 0.356 is shown by them; all six show 0.347.
        assert_eq!(threshold(Wish::Precision(0.35), &ROWS), Some((0.6, 0.75, 0.75)));
        assert_eq!(threshold(Wish::Precision(0.34), &ROWS), Some((0.4, 4.0 / 6.0, 1.0)));
        assert_eq!(threshold(Wish::Precision(0.75), &ROWS), None);
        // Without a mistake, 52 recordings show 95 %, and 51 do not.
        assert_eq!(threshold(Wish::Precision(0.95), &right(51)), None);
        assert!(threshold(Wish::Precision(0.95), &right(52)).is_some());
    }

    #[test]
    fn clips_of_one_recording_show_no_more_than_one_clip() {
        let mut candidates = apart(&right(60));
        for candidate in &mut candidates {
            candidate.cluster /= 10;
        }
        assert_eq!(Threshold::choose(Wish::Precision(0.95), candidates.clone(), 60), None);
        let found = Threshold::choose(Wish::Precision(0.6), candidates, 60).unwrap();
        assert!((found.precision_low.unwrap() - 6.0 / (6.0 + 1.644_853_626_951_472_2_f64.powi(2))).abs() < 1e-12);
    }

    #[test]
    fn of_equally_good_thresholds_the_highest_is_chosen() {
        // One of two found (1 / 1 right) and both found (2 / 4 right) have the same F1.
        let even = [(0.9, true), (0.8, false), (0.7, false), (0.6, true)];
        assert_eq!(threshold(Wish::BestF1, &even), Some((0.9, 1.0, 0.5)));
        assert_eq!(threshold(Wish::BestF1, &ROWS), Some((0.4, 4.0 / 6.0, 1.0)));
        // Letting the last row pass finds nothing more and keeps the precision that is wanted.
        let mut rows = right(30);
        rows.push((0.1, false));
        let found = threshold(Wish::Precision(0.8), &rows).unwrap();
        assert!((found.0 - 0.871).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn rows_that_are_no_candidates_count_for_the_recall() {
        let found = Threshold::choose(Wish::BestF1, apart(&[(0.9, true), (0.8, true), (0.7, false)]), 4).unwrap();
        assert_eq!((found.threshold, found.recall), (0.8, 0.5));
    }

    #[test]
    fn without_positive_rows_no_score_is_enough() {
        for wish in [Wish::BestF1, Wish::Precision(0.0), Wish::Precision(f64::NAN)] {
            assert_eq!(threshold(wish, &[(0.9, false), (0.2, false)]), None);
            assert_eq!(threshold(wish, &[]), None);
        }
    }
}

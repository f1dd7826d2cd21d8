//! The rows in the order of one class's scores.

use rayon::prelude::*;

use super::{MetricsError, check};

/// Rows ranked by the score of one class, positive (of the class) or negative (all others).
///
/// One sort serves average precision, AUROC, thresholds and curves. Rows with equal scores enter together, so their order
/// does not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// From the highest distinct score down; the last one lets all rows pass.
    pub(super) steps: Vec<Step>,
}

/// What a threshold at one of the scores lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Step {
    /// The score.
    pub(super) score: f32,
    /// Positive rows with at least this score.
    pub(super) hits: u32,
    /// Negative rows with at least this score.
    pub(super) alarms: u32,
}

impl Step {
    /// Share of what passes that is positive.
    pub(super) fn precision(self) -> f64 {
        f64::from(self.hits) / (f64::from(self.hits) + f64::from(self.alarms))
    }
}

impl Ranking {
    /// One ranking for each class: `probabilities` (`[n, classes]` row-major) against the true class of each row, `[n]`.
    pub fn of_classes(probabilities: &[f32], truth: &[usize], classes: usize) -> Result<Vec<Self>, MetricsError> {
        check::rows(probabilities, truth, classes)?;
        Ok((0..classes).into_par_iter().map(|class| Self::of_class(probabilities, truth, classes, class)).collect())
    }

    /// One of [`of_classes`](Self::of_classes), of rows that were checked.
    pub(super) fn of_class(probabilities: &[f32], truth: &[usize], classes: usize, class: usize) -> Self {
        let scores = probabilities.iter().skip(class).step_by(classes);
        Self::new(scores.zip(truth).map(|(&score, &truth)| (score, truth == class)).collect())
    }

    /// Ranks rows, each a score that is a number and whether it is positive.
    pub fn new(mut scored: Vec<(f32, bool)>) -> Self {
        scored.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut reached = Step::default();
        #[expect(clippy::float_cmp, reason = "a tie is an equal score, not a near one")]
        let steps = scored
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tied| {
                let hits = tied.iter().filter(|(_, positive)| *positive).count() as u32;
                let alarms = tied.len() as u32 - hits;
                reached = Step { score: tied[0].0, hits: reached.hits + hits, alarms: reached.alarms + alarms };
                reached
            })
            .collect();
        Self { steps }
    }

    /// Number of positive rows.
    pub fn positives(&self) -> u32 {
        self.steps.last().map_or(0, |all| all.hits)
    }

    /// Number of negative rows.
    pub fn negatives(&self) -> u32 {
        self.steps.last().map_or(0, |all| all.alarms)
    }
}

//! How far the figures of one model may lie from those of all the recordings that could have been.

use serde::{Deserialize, Serialize};

use super::bootstrap::Groups;
use super::clusters::edges;
use super::stored::StoredIntervals;
use super::tally::Tally;
use super::{Bootstrap, Clusters, FEW_CLUSTERS, Interval, MetricsError, check};
use crate::decision::Labelling;

/// 95 % percentile bootstrap intervals that resample split groups (recordings by default); Clopper–Pearson intervals for figures that are 1 or 0 in every
/// resample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredIntervals", into = "StoredIntervals")]
pub struct Intervals {
    /// How many classes a row can be of; in JSON, the names of the accuracies say it.
    pub labelling: Labelling,
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the balanced accuracy; the classes that a resample holds.
    pub balanced_accuracy: Interval,
    /// Of the macro F1; the classes that a resample holds or predicts.
    pub macro_f1: Interval,
    /// Number of groups that were drawn from.
    pub groups: u64,
    /// What a group is, as one word: `recording`, or what the split keeps together.
    pub unit: String,
    /// Number of resamples.
    pub resamples: u32,
}

/// Intervals of the figures of `predicted` classes (none for `unknown`) against the true class of each row, `[n]` each.
///
/// Clusters are drawn as a whole. None with fewer than two of them, of which nothing can be said, and without resamples.
pub fn intervals(
    predicted: &[Option<usize>],
    truth: &[usize],
    classes: usize,
    clusters: Clusters<'_>,
    bootstrap: Bootstrap,
) -> Result<Option<Intervals>, MetricsError> {
    check::predicted(predicted, truth, classes)?;
    clusters.check(truth.len())?;
    let rows: Vec<(usize, Option<usize>)> = truth.iter().copied().zip(predicted.iter().copied()).collect();
    let groups = Groups::new(&rows, clusters.of_rows);
    let tallies = groups.resample(bootstrap, |cells| {
        let mut tally = Tally::new(classes);
        cells.for_each(|((truth, predicted), rows)| tally.add(truth, predicted, rows));
        [tally.accuracy(), tally.balanced_accuracy(), tally.macro_f1()]
    });
    let positives: Vec<u64> = (0..classes).map(|class| clusters.count(|row| truth[row] == class)).collect();
    let edges = edges(groups.len() as u64, &positives, None);
    Ok(Intervals::of(&tallies, groups.len(), clusters.unit, &edges))
}

/// What files of before were by.
pub(super) fn recording() -> String {
    "recording".to_owned()
}

impl Intervals {
    /// Of the figures of resamples, drawn from so many `groups`, with their ends at the edge; none where there are none.
    pub(super) fn of(drawn: &[[f64; 3]], groups: usize, unit: &str, edges: &[f64]) -> Option<Self> {
        let interval =
            |figure: usize| Interval::of_share(drawn.iter().map(|figures| figures[figure]).collect(), edges[figure]);
        (!drawn.is_empty()).then(|| Self {
            labelling: Labelling::Single,
            accuracy: interval(0),
            balanced_accuracy: interval(1),
            macro_f1: interval(2),
            groups: groups as u64,
            unit: unit.to_owned(),
            resamples: drawn.len() as u32,
        })
    }

    /// By how many groups they are, in words: `by 36 recordings`, `by 4 sites: too few to rely on`.
    pub fn by(&self) -> String {
        Clusters::by(&self.unit, self.groups)
    }

    /// Whether there are enough groups to rely on them.
    pub fn is_reliable(&self) -> bool {
        self.groups >= FEW_CLUSTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predicted and true classes of `n` rows of two classes, each right with the odds 4 : 1.
    fn rows(n: usize) -> (Vec<Option<usize>>, Vec<usize>) {
        let truth: Vec<usize> = (0..n).map(|row| row / 7 % 2).collect();
        let predicted = |row: usize| Some(if row.is_multiple_of(5) { 1 - truth[row] } else { truth[row] });
        ((0..n).map(predicted).collect(), truth)
    }

    fn by_recording(of_rows: &[u32]) -> Clusters<'_> {
        Clusters { of_rows, unit: "recording" }
    }

    #[test]
    fn nine_clips_that_are_all_right_promise_no_hundred_percent() {
        let truth = [0, 0, 0, 0, 0, 0, 1, 1, 1];
        let clusters = Clusters { of_rows: &[0, 1, 2, 3, 4, 5, 6, 7, 8], unit: "site" };
        let predicted = truth.map(Some);
        let found = intervals(&predicted, &truth, 2, clusters, Bootstrap::default()).unwrap().unwrap();
        // SciPy 1.17.1: binomtest(9, 9).proportion_ci(0.95, method="exact").low
        assert!((found.accuracy.low - 0.663_732_883_120_057_1).abs() < 1e-12, "{found:?}");
        // The mean of those of 6 and of 3: 0.540741… and 0.292402…
        assert!((found.balanced_accuracy.low - 0.416_571_8).abs() < 1e-6, "{found:?}");
        assert_eq!((found.macro_f1, found.accuracy.high), (found.balanced_accuracy, 1.0));
        assert_eq!((found.by().as_str(), found.is_reliable()), ("by 9 sites", true));
        let wrong = truth.map(|class| Some(1 - class));
        let found = intervals(&wrong, &truth, 2, clusters, Bootstrap::default()).unwrap().unwrap();
        assert!((found.accuracy.high - 0.336_267_116_879_942_9).abs() < 1e-12 && found.accuracy.low < 1e-12);
    }

    #[test]
    fn single_rows_vary_like_coins() {
        let (predicted, truth) = rows(400);
        let groups: Vec<u32> = (0..400).collect();
        let found = intervals(&predicted, &truth, 2, by_recording(&groups), Bootstrap::default()).unwrap().unwrap();
        // Normal approximation of the binomial with n = 400 and p = 0.8: 0.8 ± 1.96 · 0.02.
        assert!((found.accuracy.low - 0.7608).abs() < 0.004, "{found:?}");
        assert!((found.accuracy.high - 0.8392).abs() < 0.004, "{found:?}");
        assert_eq!((found.groups, found.resamples), (400, 2000));
    }

    #[test]
    fn copies_of_a_recording_make_no_interval_narrower() {
        let (predicted, truth) = rows(50);
        let groups: Vec<u32> = (0..50).collect();
        let once = intervals(&predicted, &truth, 2, by_recording(&groups), Bootstrap::default()).unwrap();
        let thrice =
            intervals(&predicted.repeat(3), &truth.repeat(3), 2, by_recording(&groups.repeat(3)), Bootstrap::default());
        assert_eq!(once, thrice.unwrap());
    }

    #[test]
    fn one_recording_has_no_interval() {
        let found = intervals(&[Some(0), Some(1)], &[0, 1], 2, by_recording(&[5, 5]), Bootstrap::default());
        assert_eq!(found, Ok(None));
        let missing = MetricsError::Length { what: "clusters", found: 1, expected: 2 };
        assert_eq!(intervals(&[Some(0), Some(1)], &[0, 1], 2, by_recording(&[5]), Bootstrap::default()), Err(missing));
    }
}

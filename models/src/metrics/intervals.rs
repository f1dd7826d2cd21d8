//! How far the figures of one model may lie from those of all the recordings that could have been.

use serde::{Deserialize, Serialize};

use super::bootstrap::Groups;
use super::tally::Tally;
use super::{Bootstrap, Interval, MetricsError, check};

/// 95 % percentile bootstrap intervals, by recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the balanced accuracy; the classes that a resample holds.
    pub balanced_accuracy: Interval,
    /// Of the macro F1; the classes that a resample holds or predicts.
    pub macro_f1: Interval,
    /// Number of groups (recordings) that were drawn from.
    pub groups: u64,
    /// Number of resamples.
    pub resamples: u32,
}

/// Intervals of the figures of `predicted` classes (none for `unknown`) against the true class of each row, `[n]` each.
///
/// `groups`, `[n]`, names the recording of each row by any number: recordings are drawn as a whole. None with fewer than two
/// recordings, of which nothing can be said, and without resamples.
pub fn intervals(
    predicted: &[Option<usize>],
    truth: &[usize],
    classes: usize,
    groups: &[u32],
    bootstrap: Bootstrap,
) -> Result<Option<Intervals>, MetricsError> {
    check::predicted(predicted, truth, classes)?;
    check::length("groups", groups.len(), truth.len())?;
    let rows: Vec<(usize, Option<usize>)> = truth.iter().copied().zip(predicted.iter().copied()).collect();
    let groups = Groups::new(&rows, groups);
    let tallies = groups.resample(bootstrap, |cells| {
        let mut tally = Tally::new(classes);
        cells.for_each(|((truth, predicted), rows)| tally.add(truth, predicted, rows));
        [tally.accuracy(), tally.balanced_accuracy(), tally.macro_f1()]
    });
    Ok(Intervals::of(&tallies, groups.len()))
}

impl Intervals {
    /// Of the figures of resamples, drawn from so many `groups`; none where there are none.
    pub(super) fn of(drawn: &[[f64; 3]], groups: usize) -> Option<Self> {
        let interval = |figure: usize| Interval::percentiles(drawn.iter().map(|figures| figures[figure]).collect());
        (!drawn.is_empty()).then(|| Self {
            accuracy: interval(0),
            balanced_accuracy: interval(1),
            macro_f1: interval(2),
            groups: groups as u64,
            resamples: drawn.len() as u32,
        })
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

    #[test]
    fn single_rows_vary_like_coins() {
        let (predicted, truth) = rows(400);
        let groups: Vec<u32> = (0..400).collect();
        let found = intervals(&predicted, &truth, 2, &groups, Bootstrap::default()).unwrap().unwrap();
        // Normal approximation of the binomial with n = 400 and p = 0.8: 0.8 ± 1.96 · 0.02.
        assert!((found.accuracy.low - 0.7608).abs() < 0.004, "{found:?}");
        assert!((found.accuracy.high - 0.8392).abs() < 0.004, "{found:?}");
        assert_eq!((found.groups, found.resamples), (400, 2000));
    }

    #[test]
    fn copies_of_a_recording_make_no_interval_narrower() {
        let (predicted, truth) = rows(50);
        let groups: Vec<u32> = (0..50).collect();
        let once = intervals(&predicted, &truth, 2, &groups, Bootstrap::default()).unwrap();
        let thrice = intervals(&predicted.repeat(3), &truth.repeat(3), 2, &groups.repeat(3), Bootstrap::default());
        assert_eq!(once, thrice.unwrap());
    }

    #[test]
    fn one_recording_has_no_interval() {
        let found = intervals(&[Some(0), Some(1)], &[0, 1], 2, &[5, 5], Bootstrap::default());
        assert_eq!(found, Ok(None));
        let missing = MetricsError::Length { what: "groups", found: 1, expected: 2 };
        assert_eq!(intervals(&[Some(0), Some(1)], &[0, 1], 2, &[5], Bootstrap::default()), Err(missing));
    }
}

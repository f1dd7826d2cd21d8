//! Two models on the same rows.

use serde::{Deserialize, Serialize};

use super::bootstrap::Groups;
use super::clusters::edges;
use super::stored::StoredDifferences;
use super::tally::Tally;
use super::{Bootstrap, Clusters, Interval, MetricsError, check};
use crate::decision::Labelling;

/// How much one figure of model b is above that of model a.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The figure of a.
    pub a: f64,
    /// The figure of b.
    pub b: f64,
    /// `b − a`; negative where b is worse.
    pub difference: f64,
    /// 95 % percentile bootstrap interval of the difference; none with fewer than two groups or without resamples.
    pub ci95: Option<Interval>,
    /// That of the figure of a, on the same draws; Clopper and Pearson's where it is 1 or 0 in all of them.
    #[serde(default)]
    pub a_ci95: Option<Interval>,
    /// That of the figure of b.
    #[serde(default)]
    pub b_ci95: Option<Interval>,
    /// Share of the resamples in which b is worse than a, not equal; none where there is no interval.
    pub worse: Option<f64>,
}

/// How much better model b is than model a on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredDifferences", into = "StoredDifferences")]
pub struct PairedDifferences {
    /// How many classes a row can be of; in JSON, the names of the accuracies say it.
    pub labelling: Labelling,
    /// Of the accuracy.
    pub accuracy: Difference,
    /// Of the balanced accuracy.
    pub balanced_accuracy: Difference,
    /// Of the macro F1.
    pub macro_f1: Difference,
    /// Of the recall of each class, in index order; none for classes without rows. Resamples without rows of a class
    /// say nothing of its recall and are left out there.
    pub recall: Vec<Option<Difference>>,
    /// Number of groups that were drawn from.
    pub groups: u64,
    /// What a group is, as one word: `recording`, or what the split keeps together.
    pub unit: String,
}

impl PairedDifferences {
    /// By how many groups the intervals are, in words: `by 36 recordings`, `by 4 sites: too few to rely on`.
    pub fn by(&self) -> String {
        Clusters::by(&self.unit, self.groups)
    }
}

/// The true class of a row, and what each model predicts.
type Cell = (usize, (Option<usize>, Option<usize>));

/// Figures of one model in one resample: accuracy, balanced accuracy, macro F1, then the recall of each class.
pub(super) type Figures = Vec<Option<f64>>;

fn figures(tally: &Tally, classes: usize) -> Figures {
    let overall = [tally.accuracy(), tally.balanced_accuracy(), tally.macro_f1()];
    let recall = (0..classes).map(|class| (tally.support(class) > 0).then(|| tally.recall(class)));
    overall.into_iter().map(Some).chain(recall).collect()
}

/// Compares the classes that models `a` and `b` predict (none for `unknown`), `[n]` each, on the same true classes, `[n]`.
///
/// Both are judged on the same draws, so what makes a recording hard for both cancels. Clusters are drawn as a whole.
pub fn paired_bootstrap(
    a: &[Option<usize>],
    b: &[Option<usize>],
    truth: &[usize],
    classes: usize,
    clusters: Clusters<'_>,
    bootstrap: Bootstrap,
) -> Result<PairedDifferences, MetricsError> {
    check::predicted(a, truth, classes)?;
    check::predicted(b, truth, classes)?;
    clusters.check(truth.len())?;
    let predicted = a.iter().copied().zip(b.iter().copied());
    let rows: Vec<Cell> = truth.iter().copied().zip(predicted).collect();
    let compare = |cells: &mut dyn Iterator<Item = (Cell, u64)>| {
        let (mut of_a, mut of_b) = (Tally::new(classes), Tally::new(classes));
        for ((truth, (by_a, by_b)), rows) in cells {
            of_a.add(truth, by_a, rows);
            of_b.add(truth, by_b, rows);
        }
        (figures(&of_a, classes), figures(&of_b, classes))
    };
    let positives: Vec<u64> = (0..classes).map(|class| clusters.count(|row| truth[row] == class)).collect();
    let ends = |all: u64| edges(all, &positives, None);
    Ok(differences(&rows, clusters, bootstrap, ends, compare))
}

/// The differences between two models, of which `compare` makes figures from what their rows say (`cells`, and how many rows are in each); `ends` are
/// those of figures at the edge, given the number of clusters.
pub(super) fn differences<C: Copy + Ord + Send + Sync>(
    rows: &[C],
    clusters: Clusters<'_>,
    bootstrap: Bootstrap,
    ends: impl Fn(u64) -> Vec<f64>,
    compare: impl Fn(&mut dyn Iterator<Item = (C, u64)>) -> (Figures, Figures) + Sync,
) -> PairedDifferences {
    let (of_a, of_b) = compare(&mut rows.iter().map(|&cell| (cell, 1)));
    let groups = Groups::new(rows, clusters.of_rows);
    let ends = ends(groups.len() as u64);
    let resamples: Vec<(Figures, Figures)> = groups.resample(bootstrap, compare);
    let difference = |figure: usize| {
        let (a, b) = (of_a[figure]?, of_b[figure]?);
        let drawn: Vec<(f64, f64)> = resamples.iter().filter_map(|(a, b)| Some((a[figure]?, b[figure]?))).collect();
        let worse = drawn.iter().filter(|(a, b)| b < a).count();
        let worse = (!drawn.is_empty()).then(|| worse as f64 / drawn.len() as f64);
        let values = |of: fn(&(f64, f64)) -> f64| drawn.iter().map(of).collect::<Vec<f64>>();
        let share = |of: fn(&(f64, f64)) -> f64| worse.map(|_| Interval::of_share(values(of), ends[figure]));
        Some(Difference {
            a,
            b,
            difference: b - a,
            ci95: worse.map(|_| Interval::percentiles(values(|(a, b)| b - a))),
            a_ci95: share(|(a, _)| *a),
            b_ci95: share(|(_, b)| *b),
            worse,
        })
    };
    let overall = |figure| difference(figure).expect("these figures exist as soon as there is a row");
    PairedDifferences {
        labelling: Labelling::Single,
        accuracy: overall(0),
        balanced_accuracy: overall(1),
        macro_f1: overall(2),
        recall: (3..ends.len()).map(difference).collect(),
        groups: groups.len() as u64,
        unit: clusters.unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_recording(of_rows: &[u32]) -> Clusters<'_> {
        Clusters { of_rows, unit: "recording" }
    }

    fn all(predicted: &[usize]) -> Vec<Option<usize>> {
        predicted.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_model_compared_with_itself_differs_in_nothing() {
        let p = all(&[0, 1, 1, 0]);
        let found =
            paired_bootstrap(&p, &p, &[0, 1, 0, 1], 3, by_recording(&[0, 1, 2, 3]), Bootstrap::default()).unwrap();
        for difference in [found.accuracy, found.macro_f1, found.recall[0].unwrap()] {
            assert_eq!(difference.ci95, Some(Interval { low: 0.0, high: 0.0 }));
            assert_eq!((difference.difference, difference.worse), (0.0, Some(0.0)));
            assert!(difference.a_ci95.is_some() && difference.a_ci95 == difference.b_ci95);
        }
        assert_eq!(found.recall[2], None);
    }

    #[test]
    fn a_class_that_loses_is_seen_where_another_gains() {
        // 60 rows, each a recording: b finds 6 more of class 0 and 6 fewer of class 1.
        let truth: Vec<usize> = (0..60).map(|row| row / 30).collect();
        let a: Vec<usize> = (0..60).map(|row| if row < 6 { 1 } else { row / 30 }).collect();
        let b: Vec<usize> = (0..60).map(|row| if row >= 54 { 0 } else { row / 30 }).collect();
        let groups: Vec<u32> = (0..60).collect();
        let found =
            paired_bootstrap(&all(&a), &all(&b), &truth, 2, by_recording(&groups), Bootstrap::default()).unwrap();
        assert!(found.accuracy.difference.abs() < 1e-12);
        assert!((found.accuracy.worse.unwrap() - 0.44).abs() < 0.05, "{:?}", found.accuracy);
        let (gains, loses) = (found.recall[0].unwrap(), found.recall[1].unwrap());
        assert!((gains.a, gains.b, loses.a, loses.b) == (0.8, 1.0, 1.0, 0.8));
        assert!(gains.ci95.unwrap().low > 0.05 && gains.worse == Some(0.0));
        assert!(loses.ci95.unwrap().high < -0.05 && loses.worse.unwrap() > 0.99);
        // All of 30 recordings are found, which does not show that all are: 0.025^(1/30).
        assert!((gains.b_ci95.unwrap().low - 0.884_297).abs() < 1e-6, "{gains:?}");
        assert_eq!(found.by(), "by 60 recordings");
    }

    #[test]
    fn one_recording_gives_differences_without_intervals() {
        let found =
            paired_bootstrap(&all(&[0]), &all(&[1]), &[0], 2, by_recording(&[9]), Bootstrap::default()).unwrap();
        assert_eq!((found.accuracy.difference, found.accuracy.ci95, found.accuracy.worse), (-1.0, None, None));
    }

    #[test]
    fn both_models_need_a_prediction_for_each_true_class() {
        let found = paired_bootstrap(&[None], &[], &[0], 2, by_recording(&[0]), Bootstrap::default());
        assert_eq!(found, Err(MetricsError::Length { what: "predictions", found: 0, expected: 1 }));
    }
}

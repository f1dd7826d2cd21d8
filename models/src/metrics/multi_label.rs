//! Metrics where a row can be of several classes, or of none.
//!
//! The prediction for a row is one boolean per class ([`patterns_of`](crate::decision::patterns_of)). Classes that a row's label neither names nor rules
//! out are unknown for that row and excluded from all metrics.

use std::collections::HashMap;

use rayon::prelude::*;

use super::bootstrap::Groups;
use super::clusters::edges;
use super::paired::{Figures, differences};
use super::tally::{mean, ratio};
use super::{
    BINS, Bootstrap, ClassMetrics, Clusters, Intervals, Metrics, MetricsError, PairedDifferences, Ranking, check,
    expected_calibration_error, reliability_of,
};
use crate::decision::Labelling;
use crate::head::LabelSets;

/// How rows are judged: by what their labels say.
#[derive(Debug, Clone, Copy)]
pub struct MultiLabel<'a> {
    /// What the labels say.
    pub sets: &'a LabelSets,
}

/// Probabilities, `[n, classes]` row-major, and the label of each row, `[n]`.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// `[n, classes]`.
    pub probabilities: &'a [f32],
    /// `[n]`, labels of the sets.
    pub labels: &'a [usize],
}

impl MultiLabel<'_> {
    /// All metrics of rows and of what is `predicted` of them (`[n, classes]` row-major), with the definitions of scikit-learn for several labels,
    /// without intervals.
    ///
    /// `accuracy` is the share of rows whose known classes are all right (`subset_accuracy` in JSON), `balanced_accuracy` the mean over the classes of
    /// sensitivity and specificity (`mean_balanced_accuracy`), `log_loss` the mean of the binary cross-entropies of a row together, `ece` that of all classes together. There is no confusion
    /// matrix.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] for no rows, shapes that do not fit, a label out of range, and values that are not finite.
    pub fn metrics(&self, rows: Labelled<'_>, predicted: &[bool], classes: &[String]) -> Result<Metrics, MetricsError> {
        check::length("names of classes", classes.len(), self.sets.classes())?;
        check::shape(rows.probabilities, rows.labels.len(), classes.len())?;
        check::finite(rows.probabilities, classes.len())?;
        self.check(predicted, rows.labels)?;
        let mut counts = Counts::new(classes.len());
        for (pattern, &label) in predicted.chunks_exact(classes.len()).zip(rows.labels) {
            counts.add(self.sets.of(label), pattern, 1);
        }
        let class_metrics = |(class, name): (usize, &String)| {
            let ranking = Ranking::new(self.known(rows, class));
            ClassMetrics {
                class: name.clone(),
                support: counts.support[class],
                precision: (counts.support[class] + counts.predicted[class] > 0)
                    .then(|| ratio(counts.hits[class], counts.predicted[class])),
                recall: (counts.support[class] > 0).then(|| counts.recall(class)),
                f1: (counts.support[class] > 0).then(|| counts.f1(class)),
                average_precision: ranking.average_precision(),
                auroc: ranking.auroc(),
            }
        };
        let known: Vec<(f32, bool)> = (0..classes.len()).flat_map(|class| self.known(rows, class)).collect();
        let (scores, truth): (Vec<f32>, Vec<bool>) = known.iter().copied().unzip();
        let bins = if known.is_empty() { Vec::new() } else { reliability_of(&scores, &truth, BINS)? };
        let loss = |&(p, yes): &(f32, bool)| {
            let right = f64::from(if yes { p } else { 1.0 - p });
            -right.clamp(f64::from(f32::EPSILON), 1.0).ln()
        };
        Ok(Metrics {
            n: counts.rows,
            labelling: Labelling::Multi,
            accuracy: counts.accuracy(),
            balanced_accuracy: counts.balanced_accuracy(),
            macro_f1: counts.macro_f1(),
            weighted_f1: Some(counts.weighted_f1()),
            log_loss: Some(known.iter().map(loss).sum::<f64>() / counts.rows as f64),
            ece: Some(expected_calibration_error(&bins)),
            ece_bins: Some(BINS),
            ci95: None,
            is_leaky: false,
            corrected_labels: 0,
            selected_on: false,
            per_class: classes.par_iter().enumerate().map(class_metrics).collect(),
            confusion_matrix: Vec::new(),
        })
    }

    /// 95 % intervals by cluster of what is `predicted` (`[n, classes]` row-major) of rows with these labels; as
    /// [`intervals`](super::intervals()).
    pub fn intervals(
        &self,
        predicted: &[bool],
        labels: &[usize],
        clusters: Clusters<'_>,
        bootstrap: Bootstrap,
    ) -> Result<Option<Intervals>, MetricsError> {
        self.check(predicted, labels)?;
        clusters.check(labels.len())?;
        let (patterns, predicted) = self.distinct(predicted);
        let cells: Vec<(usize, usize)> = labels.iter().copied().zip(predicted).collect();
        let groups = Groups::new(&cells, clusters.of_rows);
        let drawn = groups.resample(bootstrap, |cells| {
            let mut counts = Counts::new(self.sets.classes());
            cells.for_each(|((label, pattern), n)| counts.add(self.sets.of(label), patterns[pattern], n));
            [counts.accuracy(), counts.balanced_accuracy(), counts.macro_f1()]
        });
        let edges = self.edges(groups.len() as u64, labels, clusters);
        let found = Intervals::of(&drawn, groups.len(), clusters.unit, &edges);
        Ok(found.map(|found| Intervals { labelling: Labelling::Multi, ..found }))
    }

    /// How much better model b is than model a, which predict this of the same rows (`[n, classes]` row-major each); as
    /// [`paired_bootstrap`](super::paired_bootstrap).
    pub fn compare(
        &self,
        a: &[bool],
        b: &[bool],
        labels: &[usize],
        clusters: Clusters<'_>,
        bootstrap: Bootstrap,
    ) -> Result<PairedDifferences, MetricsError> {
        self.check(a, labels)?;
        self.check(b, labels)?;
        clusters.check(labels.len())?;
        let sets = self.sets;
        let ((of_a, by_a), (of_b, by_b)) = (self.distinct(a), self.distinct(b));
        let rows: Vec<(usize, (usize, usize))> = labels.iter().copied().zip(by_a.into_iter().zip(by_b)).collect();
        let ends = |all: u64| self.edges(all, labels, clusters);
        let found = differences(&rows, clusters, bootstrap, ends, |cells| {
            let mut counts = [Counts::new(sets.classes()), Counts::new(sets.classes())];
            for ((label, (in_a, in_b)), n) in cells {
                counts[0].add(sets.of(label), of_a[in_a], n);
                counts[1].add(sets.of(label), of_b[in_b], n);
            }
            let [a, b] = counts.map(|counts| counts.figures());
            (a, b)
        });
        Ok(PairedDifferences { labelling: Labelling::Multi, ..found })
    }

    /// The score of one class in each row of which it is known whether it is there.
    pub fn known(&self, rows: Labelled<'_>, class: usize) -> Vec<(f32, bool)> {
        let scores = rows.probabilities.iter().skip(class).step_by(self.sets.classes());
        scores.zip(rows.labels).filter_map(|(&p, &label)| Some((p, self.sets.of(label)[class]?))).collect()
    }

    /// The ends of figures at the edge, drawn from so many clusters.
    fn edges(self, all: u64, labels: &[usize], clusters: Clusters<'_>) -> Vec<f64> {
        let with = |answer: bool| -> Vec<u64> {
            let of_class = |class: usize| clusters.count(|row| self.sets.of(labels[row])[class] == Some(answer));
            (0..self.sets.classes()).map(of_class).collect()
        };
        edges(all, &with(true), Some(&with(false)))
    }

    /// The distinct patterns among those that are predicted, and which of them is that of each row.
    fn distinct<'b>(self, predicted: &'b [bool]) -> (Vec<&'b [bool]>, Vec<usize>) {
        let (mut patterns, mut numbers) = (Vec::new(), HashMap::new());
        let mut number = |pattern: &'b [bool]| {
            *numbers.entry(pattern).or_insert_with(|| {
                patterns.push(pattern);
                patterns.len() - 1
            })
        };
        let of_rows = predicted.chunks_exact(self.sets.classes()).map(&mut number).collect();
        (patterns, of_rows)
    }

    fn check(self, predicted: &[bool], labels: &[usize]) -> Result<(), MetricsError> {
        if labels.is_empty() {
            return Err(MetricsError::NoRows);
        }
        check::length("predictions", predicted.len(), labels.len() * self.sets.classes())?;
        match labels.iter().enumerate().find(|&(_, &label)| label >= self.sets.labels()) {
            Some((row, &class)) => Err(MetricsError::Truth { row, class, classes: self.sets.labels() }),
            None => Ok(()),
        }
    }
}

/// Counts of what is there and what is predicted, `[classes]` each, of rows of which that is known.
#[derive(Debug, Clone)]
struct Counts {
    rows: u64,
    /// Rows whose known classes are all right.
    exact: u64,
    known: Vec<u64>,
    support: Vec<u64>,
    predicted: Vec<u64>,
    hits: Vec<u64>,
}

impl Counts {
    fn new(classes: usize) -> Self {
        let none = || vec![0; classes];
        Self { rows: 0, exact: 0, known: none(), support: none(), predicted: none(), hits: none() }
    }

    fn add(&mut self, answers: &[Option<bool>], predicted: &[bool], rows: u64) {
        let mut is_exact = true;
        for (class, (answer, &is_predicted)) in answers.iter().zip(predicted).enumerate() {
            let Some(is_there) = *answer else { continue };
            let count = |yes: bool| rows * u64::from(yes);
            self.known[class] += rows;
            self.support[class] += count(is_there);
            self.predicted[class] += count(is_predicted);
            self.hits[class] += count(is_there && is_predicted);
            is_exact &= is_there == is_predicted;
        }
        self.rows += rows;
        self.exact += rows * u64::from(is_exact);
    }

    fn classes(&self) -> std::ops::Range<usize> {
        0..self.known.len()
    }

    fn recall(&self, class: usize) -> f64 {
        ratio(self.hits[class], self.support[class])
    }

    fn f1(&self, class: usize) -> f64 {
        ratio(2 * self.hits[class], self.support[class] + self.predicted[class])
    }

    fn accuracy(&self) -> f64 {
        ratio(self.exact, self.rows)
    }

    /// Mean over the classes that are there somewhere and absent somewhere; 0 where there is none.
    fn balanced_accuracy(&self) -> f64 {
        let absent = |class: &usize| self.known[*class] - self.support[*class];
        let both = self.classes().filter(|class| self.support[*class] > 0 && absent(class) > 0);
        let of = |class: usize| {
            let right = absent(&class) + self.hits[class] - self.predicted[class];
            f64::midpoint(self.recall(class), ratio(right, absent(&class)))
        };
        let each: Vec<f64> = both.map(of).collect();
        if each.is_empty() { 0.0 } else { mean(each.into_iter()) }
    }

    /// Mean over the classes that are true or predicted somewhere; 0 where there is none.
    fn macro_f1(&self) -> f64 {
        let occurs = |&class: &usize| self.support[class] + self.predicted[class] > 0;
        let each: Vec<f64> = self.classes().filter(occurs).map(|class| self.f1(class)).collect();
        if each.is_empty() { 0.0 } else { mean(each.into_iter()) }
    }

    fn weighted_f1(&self) -> f64 {
        let total: u64 = self.support.iter().sum();
        let sum: f64 = self.classes().map(|class| self.support[class] as f64 * self.f1(class)).sum();
        if total == 0 { 0.0 } else { sum / total as f64 }
    }

    fn figures(&self) -> Figures {
        let overall = [self.accuracy(), self.balanced_accuracy(), self.macro_f1()];
        let recall = self.classes().map(|class| (self.support[class] > 0).then(|| self.recall(class)));
        overall.into_iter().map(Some).chain(recall).collect()
    }
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
        truth: Vec<bool>,
        thresholds: Vec<f32>,
        subset_accuracy: f64,
        macro_f1: f64,
        f1: Vec<f64>,
        average_precision: Vec<Option<f64>>,
        auroc: Vec<Option<f64>>,
    }

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    /// A label for each row.
    fn sets(classes: usize, truth: &[bool]) -> (LabelSets, Vec<usize>) {
        let sets = LabelSets::new(classes, truth.iter().copied().map(Some).collect());
        let labels = (0..sets.labels()).collect();
        (sets, labels)
    }

    fn by_recording(of_rows: &[u32]) -> Clusters<'_> {
        Clusters { of_rows, unit: "recording" }
    }

    /// The classes from these probabilities on, `[n, classes]`.
    fn from(thresholds: &[f32], probabilities: &[f32]) -> Vec<bool> {
        let row = |row: &[f32]| row.iter().zip(thresholds).map(|(p, least)| p >= least).collect::<Vec<_>>();
        probabilities.chunks_exact(thresholds.len()).flat_map(row).collect()
    }

    #[test]
    fn all_numbers_are_those_of_scikit_learn() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/multi_label.json"));
        let cases: Vec<Golden> = serde_json::from_str(golden).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let (sets, labels) = sets(case.classes, &case.truth);
            let judge = MultiLabel { sets: &sets };
            let rows = Labelled { probabilities: &case.probabilities, labels: &labels };
            let predicted = from(&case.thresholds, rows.probabilities);
            let found = judge.metrics(rows, &predicted, &names(case.classes)).unwrap();
            let mut pairs =
                vec![(Some(found.accuracy), Some(case.subset_accuracy)), (Some(found.macro_f1), Some(case.macro_f1))];
            for (index, class) in found.per_class.iter().enumerate() {
                pairs.push((Some(class.f1.unwrap_or(0.0)), Some(case.f1[index])));
                pairs.push((class.average_precision, case.average_precision[index]));
                pairs.push((class.auroc, case.auroc[index]));
            }
            for (at, (found, expected)) in pairs.into_iter().enumerate() {
                assert_eq!(found.is_some(), expected.is_some(), "{}, figure {at}", case.name);
                let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
                assert!((found - expected).abs() < 1e-12, "{}, figure {at}: {found}, not {expected}", case.name);
            }
        }
    }

    #[test]
    fn what_nobody_knows_counts_nowhere() {
        let sets = LabelSets::new(2, vec![Some(true), None, Some(false), Some(true)]);
        let judge = MultiLabel { sets: &sets };
        let rows = Labelled { probabilities: &[0.9, 0.9, 0.1, 0.9, 0.1, 0.1], labels: &[0, 1, 0] };
        let predicted = from(&[0.5; 2], rows.probabilities);
        let found = judge.metrics(rows, &predicted, &names(2)).unwrap();
        assert_eq!((found.n, found.per_class[1].support, found.per_class[1].precision), (3, 1, Some(1.0)));
        assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-12);
        // Class 0: one of two is found, and the one that is not is left alone; class 1 is always there.
        assert!((found.balanced_accuracy - 0.75).abs() < 1e-12);
        let interval =
            judge.intervals(&predicted, rows.labels, by_recording(&[0, 1, 2]), Bootstrap::default()).unwrap().unwrap();
        assert!(interval.accuracy.low < interval.accuracy.high);
    }

    #[test]
    fn rows_of_no_class_that_are_left_alone_are_right() {
        let (sets, labels) = sets(2, &[false; 2]);
        let rows = Labelled { probabilities: &[0.2, 0.1], labels: &labels };
        let found = MultiLabel { sets: &sets }.metrics(rows, &[false; 2], &names(2)).unwrap();
        assert_eq!((found.accuracy, found.macro_f1, found.per_class[0].auroc), (1.0, 0.0, None));
    }

    #[test]
    fn a_model_that_finds_less_is_worse_for_certain() {
        let truth: Vec<bool> = (0..80).map(|cell| cell % 4 < 2).collect();
        let (sets, labels) = sets(2, &truth);
        let judge = MultiLabel { sets: &sets };
        let blind: Vec<bool> = truth.iter().enumerate().map(|(cell, yes)| cell % 2 != 0 && *yes).collect();
        let groups: Vec<u32> = (0..40).collect();
        let found = judge.compare(&truth, &blind, &labels, by_recording(&groups), Bootstrap::default()).unwrap();
        let recall = found.recall[0].unwrap();
        assert_eq!((recall.a, recall.b), (1.0, 0.0));
        assert!(recall.ci95.unwrap().high < -0.9 && found.recall[1].unwrap().difference.abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_evaluated_is_named() {
        let (sets, _) = sets(2, &[true; 2]);
        let compute = |probabilities: &[f32], labels: &[usize], predicted: &[bool]| {
            let rows = Labelled { probabilities, labels };
            MultiLabel { sets: &sets }.metrics(rows, predicted, &names(2)).map(|_| ())
        };
        assert_eq!(compute(&[], &[], &[]), Err(MetricsError::NoRows));
        assert_eq!(compute(&[0.5; 2], &[1], &[true; 2]), Err(MetricsError::Truth { row: 0, class: 1, classes: 1 }));
        let missing = Err(MetricsError::Length { what: "predictions", found: 1, expected: 2 });
        assert_eq!(compute(&[0.5; 2], &[0], &[true]), missing);
        assert_eq!(compute(&[0.5, f32::NAN], &[0], &[true; 2]), Err(MetricsError::NotANumber { row: 0 }));
    }
}

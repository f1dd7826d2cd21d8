//! Training of the linear head: its penalty chosen by cross-validation over recordings, then its optimum.
//!
//! All fits share one set of standardised rows (see [`Regression`]); each begins where the one before it has ended, from the strongest
//! penalty to the weakest, so that most take a few steps.

use std::ops::ControlFlow;

use super::coverage::covered;
use super::folds::GroupFolds;
use super::lbfgs::{Ended, Evaluation, Function, Limits, Minimisation};
use super::model::Network;
use super::regression::{Fit, Regression};
use super::score::{Score, score};
use super::targets::Targets;
use super::train::{Epoch, OutOfFold, Stopped, Trained, Tried, Unseen, Watch};
use super::{Examples, Head, HeadError, Normaliser, TrainConfig};

/// Tight enough that loss and predictions are those of a solver that runs to machine precision.
const LIMITS: Limits = Limits { gradient: 1e-6, decrease: 1e-6, iterations: 1000 };

/// Enough to tell one penalty from the next.
const ROUGH: Limits = Limits { gradient: 1e-4, decrease: 1e-4, iterations: 200 };

/// Penalties that are tried: half powers of ten from `1e5` down.
const STRONGEST: i32 = 10;
const WEAKEST: i32 = -6;

/// What counts as better: smaller differences are chance, and the stronger penalty is the safer choice.
const BETTER: f64 = 0.99;

/// Weaker penalties are not tried once this many in a row have been worse than the best.
const WORSE: usize = 3;

/// Trains on checked examples; an epoch is one step of L-BFGS over all rows of the train side.
pub(super) fn train(
    train: Examples<'_>,
    val: Option<&Examples<'_>>,
    targets: Targets<'_>,
    config: &TrainConfig,
    watch: &mut Watch<'_>,
) -> Result<Trained, HeadError> {
    let classes = targets.classes();
    let Examples { x, y, dim, groups, is_original } = train;
    let (n, mut x) = (y.len(), x.into_owned());
    let mut labels = y.to_vec();
    if let Some(val) = val {
        x.reserve_exact(val.x.len());
        x.extend_from_slice(&val.x);
        labels.extend_from_slice(val.y);
    }
    let normaliser = Normaliser::fit(&x, dim);
    normaliser.apply_in_place(&mut x);
    let rows = Rows { problem: Regression::new(x, &labels, targets), labels: &labels, targets, classes, dim, config };
    let is_train: Vec<bool> = (0..labels.len()).map(|row| row < n).collect();

    let mut point = vec![0.0; rows.problem.parameters()];
    let mut is_stopped = false;
    let search = match rows.search(groups, is_original, watch) {
        ControlFlow::Continue(found) => found,
        ControlFlow::Break(()) => return Ok(rows.interrupted(normaliser, &point)),
    };
    let val_rows = covered(y.iter().copied(), (n..labels.len()).collect(), &labels, targets);
    let l2 = search.as_ref().map_or(config.l2.value().unwrap_or(1.0), |found| found.l2);
    let mut history = Vec::new();
    let (on_train, ended) = rows.fit(&rows.weighting(&is_train), l2, point, LIMITS, |iteration, at| {
        let val = (!val_rows.is_empty()).then(|| rows.score(&rows.problem.logits(&at.point), &val_rows));
        let epoch = Epoch {
            epoch: iteration,
            loss: at.value,
            accuracy: at.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.map(|v| v.accuracy),
            learning_rate: 1.0,
        };
        history.push(epoch.clone());
        let flow = (watch.on_epoch)(&epoch, &Vec::new);
        is_stopped = flow.is_break();
        flow
    });
    if !on_train.value.is_finite() {
        return Err(HeadError::Diverged { epoch: history.len() as u32 });
    }
    let logits = rows.of(&rows.problem.logits(&on_train.point), &val_rows);
    let unseen_val = OutOfFold { rows: val_rows.iter().map(|row| row - n).collect(), logits };
    point = on_train.point;
    let mut stopped = match ended {
        Ended::Converged => Stopped::Converged,
        Ended::Iterations => Stopped::MaxEpochs,
        Ended::Interrupted => Stopped::Interrupted,
    };
    if val.is_some() && !is_stopped {
        let (on_all, ended) =
            rows.fit(&rows.weighting(&vec![true; labels.len()]), l2, point, LIMITS, |_, _| leave(watch));
        if ended == Ended::Interrupted {
            stopped = Stopped::Interrupted;
        }
        point = on_all.point;
    }
    let (tried, unseen_train) = search.map(|found| (found.tried, found.unseen)).unwrap_or_default();
    Ok(Trained {
        head: rows.head(normaliser, &point),
        history,
        stopped,
        l2: Some(l2),
        tried,
        unseen: Unseen { train: unseen_train, val: unseen_val },
    })
}

fn leave(watch: &Watch<'_>) -> ControlFlow<()> {
    if (watch.is_stopped)() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The rows of all fits.
struct Rows<'a> {
    problem: Regression<'a>,
    labels: &'a [usize],
    targets: Targets<'a>,
    classes: usize,
    dim: usize,
    config: &'a TrainConfig,
}

/// What makes a fit of some of the rows.
struct Weighting {
    /// Weight of each row, `[n]`.
    rows: Vec<f32>,
    /// Variance of each column among these rows, `[dim]`: what standardising by them alone would make of the penalty.
    columns: Vec<f64>,
}

/// A fit, as it is minimised.
struct Weighted<'a> {
    problem: &'a Regression<'a>,
    fit: Fit,
}

impl Function for Weighted<'_> {
    fn evaluate(&self, point: Vec<f64>) -> Evaluation {
        self.problem.evaluate(&self.fit, point)
    }

    fn precondition(&self, at: &Evaluation, gradient: &mut [f64]) {
        self.problem.precondition(&self.fit, gradient, at.curvature.max(1e-4));
    }
}

impl Rows<'_> {
    /// That of the rows that are `used`.
    fn weighting(&self, used: &[bool]) -> Weighting {
        let labels: Vec<usize> = self.labels.iter().zip(used).filter(|(_, used)| **used).map(|(&y, _)| y).collect();
        let class_weights = self.config.class_weights.of(&labels, self.targets.labels());
        let rows = self.labels.iter().zip(used).map(|(&y, &used)| if used { class_weights[y] } else { 0.0 });
        let n = labels.len();
        let (sum, squares) =
            self.problem.moments(&used.iter().map(|&used| f32::from(u8::from(used))).collect::<Vec<_>>());
        let variance = |(sum, squares): (&f64, &f64)| squares / n as f64 - (sum / n as f64).powi(2);
        let variances = sum.iter().zip(&squares).map(variance);
        // A column that does not vary among them is not scaled.
        let columns = variances.map(|variance| if variance > 1e-12 { variance } else { 1.0 }).collect();
        Weighting { rows: rows.collect(), columns }
    }

    /// Goes from `start` to the optimum of rows weighted so.
    fn fit(
        &self,
        weighting: &Weighting,
        l2: f64,
        start: Vec<f64>,
        limits: Limits,
        mut on_iteration: impl FnMut(u32, &Evaluation) -> ControlFlow<()>,
    ) -> (Evaluation, Ended) {
        let penalty = weighting.columns.iter().map(|column| l2 * column).collect();
        let function = Weighted { problem: &self.problem, fit: Fit { weights: weighting.rows.clone(), penalty } };
        let start = Minimisation::start(function.evaluate(start));
        start.run(limits, &function, |iteration, now| on_iteration(iteration, &now.at))
    }

    /// Cross-validates penalties over folds of the train rows, which come first and are of these `groups`; none where there is nothing to judge them by.
    /// Broken off if the user has stopped it.
    fn search(&self, groups: &[u32], is_original: &[bool], watch: &Watch<'_>) -> ControlFlow<(), Option<Found>> {
        let y = &self.labels[..groups.len()];
        let Some(folds) = GroupFolds::deal(groups, y, self.config.seed) else { return ControlFlow::Continue(None) };
        let judged = folds.judged(y, is_original, self.targets);
        if judged.is_empty() {
            return ControlFlow::Continue(None);
        }
        match (Search { rows: self, folds: &folds, judged }).run(self.config.l2.value(), watch) {
            Some(found) => ControlFlow::Continue(Some(found)),
            None => ControlFlow::Break(()),
        }
    }

    /// Those of the `logits` of all rows that are of these rows.
    fn of(&self, logits: &[f32], rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&row| &logits[row * self.classes..(row + 1) * self.classes]).copied().collect()
    }

    /// Score of these rows, given the logits of all.
    fn score(&self, logits: &[f32], rows: &[usize]) -> Score {
        let truth: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
        score(&self.of(logits, rows), &truth, self.targets)
    }

    fn head(&self, normaliser: Normaliser, point: &[f64]) -> Head {
        let narrow: Vec<f32> = point.iter().map(|&value| value as f32).collect();
        let (weight, bias) = narrow.split_at(self.dim * self.classes);
        Head::new(
            normaliser,
            Network::linear(weight.to_vec(), bias.to_vec(), self.dim),
            self.classes,
            self.targets.scores(),
        )
    }

    fn interrupted(&self, normaliser: Normaliser, point: &[f64]) -> Trained {
        Trained {
            head: self.head(normaliser, point),
            history: Vec::new(),
            stopped: Stopped::Interrupted,
            l2: None,
            tried: Vec::new(),
            unseen: Unseen::default(),
        }
    }
}

/// The inner cross-validation.
struct Search<'a> {
    rows: &'a Rows<'a>,
    /// Of the train rows; the rows after them are of no fold.
    folds: &'a GroupFolds,
    /// The rows that penalties are judged by.
    judged: Vec<usize>,
}

/// What it found.
struct Found {
    l2: f64,
    tried: Vec<Tried>,
    /// Of the rows that penalties are judged by.
    unseen: OutOfFold,
}

impl Search<'_> {
    /// Tries the one penalty that is `given`, or all; none if the user has stopped it.
    fn run(&self, given: Option<f64>, watch: &Watch<'_>) -> Option<Found> {
        let rows = self.rows;
        let grid: Vec<f64> = match given {
            Some(l2) => vec![l2],
            None => (WEAKEST..=STRONGEST).rev().map(|half| 10.0_f64.powf(f64::from(half) / 2.0)).collect(),
        };
        let (count, judged) = (self.folds.count, &self.judged);
        let weightings: Vec<Weighting> = (0..count).map(|number| rows.weighting(&self.without(number))).collect();
        let mut points = vec![vec![0.0; rows.problem.parameters()]; count];
        let (mut tried, mut best): (Vec<Tried>, Option<(f64, Found)>) = (Vec::new(), None);
        let truth: Vec<usize> = judged.iter().map(|&row| rows.labels[row]).collect();
        let mut worse = 0;
        for l2 in grid {
            let mut logits = vec![0.0; judged.len() * rows.classes];
            for (number, (point, weighting)) in points.iter_mut().zip(&weightings).enumerate() {
                let (optimum, ended) = rows.fit(weighting, l2, std::mem::take(point), ROUGH, |_, _| leave(watch));
                if ended == Ended::Interrupted {
                    return None;
                }
                *point = optimum.point;
                let of_fit = rows.problem.logits(point);
                for (out, &row) in logits.chunks_exact_mut(rows.classes).zip(judged) {
                    if self.folds.of_row[row] == number {
                        out.copy_from_slice(&of_fit[row * rows.classes..(row + 1) * rows.classes]);
                    }
                }
            }
            let Score { loss, accuracy } = score(&logits, &truth, rows.targets);
            tried.push(Tried { l2, log_loss: loss, accuracy });
            if best.as_ref().is_none_or(|(least, _)| loss < BETTER * *least) {
                best =
                    Some((loss, Found { l2, tried: Vec::new(), unseen: OutOfFold { rows: judged.clone(), logits } }));
                worse = 0;
            } else {
                worse += 1;
                if worse == WORSE {
                    break;
                }
            }
        }
        best.map(|(_, found)| Found { tried, ..found })
    }

    /// The train rows that are not of fold `number`.
    fn without(&self, number: usize) -> Vec<bool> {
        (0..self.rows.labels.len()).map(|row| self.folds.of_row.get(row).is_some_and(|&fold| fold != number)).collect()
    }
}

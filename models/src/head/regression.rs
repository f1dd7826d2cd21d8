//! The objective of the linear head: weighted, penalised cross-entropy and its gradient in closed form.
//!
//! `f(W, b) = (1/n) · Σ wᵢ · −log softmax(xᵢ W + b)[yᵢ] + 1 / (2n) · Σⱼ penaltyⱼ · ‖Wⱼ‖²` with `n = Σ wᵢ`; where a row can be of several classes,
//! the sum of their binary cross-entropies stands for the first term. The products with `X` are burn matrix
//! products in `f32`, block by block and on all cores; everything else (softmax, sums over blocks) is `f64`.
//!
//! All fits of a training share the rows. A row that is held out has the weight 0. That the columns would have been standardised by the
//! other rows alone is in the penalty: dividing column `j` by `s` and multiplying its weights by `s` changes nothing but `‖Wⱼ‖²`, and what
//! is subtracted from a column is taken up by the bias, which is free.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::blocks::{ROWS, cut, device, matrix, values};
use super::lbfgs::Evaluation;
use super::spectrum::Spectrum;
use super::targets::Targets;

/// Standardised rows, cut into blocks.
pub(super) struct Regression<'a> {
    blocks: Vec<Tensor<2>>,
    labels: &'a [usize],
    targets: Targets<'a>,
    dim: usize,
    classes: usize,
    device: Device,
    spectrum: Spectrum,
}

/// Which rows count how much, and how strongly the weights of each column are drawn to zero.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// `[n]`, at least 0, one of them above.
    pub(super) weights: Vec<f32>,
    /// `[dim]`, at least 0.
    pub(super) penalty: Vec<f64>,
}

impl Fit {
    fn total(&self) -> f64 {
        self.weights.iter().map(|&w| f64::from(w)).sum()
    }
}

struct Partial {
    loss: f64,
    right: f64,
    curvature: f64,
    weight: Vec<f32>,
    bias: Vec<f64>,
}

impl<'a> Regression<'a> {
    /// Takes a standardised row in `x`, `[n, dim]` row-major, for each label; there is at least one.
    pub(super) fn new(x: Vec<f32>, labels: &'a [usize], targets: Targets<'a>) -> Self {
        let device = device();
        let dim = x.len() / labels.len();
        let blocks = cut(x, dim, &device);
        let spectrum = Spectrum::of(&blocks, labels.len(), dim);
        Self { blocks, labels, targets, dim, classes: targets.classes(), device, spectrum }
    }

    /// Parameters: `W`, `[dim, classes]` row-major, then `b`, `[classes]`.
    pub(super) fn parameters(&self) -> usize {
        (self.dim + 1) * self.classes
    }

    /// Sum and sum of squares of each column over the rows, weighted: `[dim]` each.
    pub(super) fn moments(&self, weights: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let parts: Vec<(Vec<f64>, Vec<f64>)> = self
            .blocks
            .par_iter()
            .zip(weights.par_chunks(ROWS))
            .map(|(rows, weights)| {
                let (mut sum, mut squares) = (vec![0.0; self.dim], vec![0.0; self.dim]);
                let rows = values(rows.clone());
                for (row, &weight) in rows.chunks_exact(self.dim).zip(weights).filter(|(_, weight)| **weight > 0.0) {
                    for ((sum, squares), &value) in sum.iter_mut().zip(&mut squares).zip(row) {
                        let (value, weight) = (f64::from(value), f64::from(weight));
                        *sum += weight * value;
                        *squares += weight * value * value;
                    }
                }
                (sum, squares)
            })
            .collect();
        let (mut sum, mut squares) = (vec![0.0; self.dim], vec![0.0; self.dim]);
        for (a, b) in parts {
            sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += a);
            squares.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
        }
        (sum, squares)
    }

    /// Divides `gradient` by an estimate of the second derivatives where the mean curvature of the probabilities is `curvature`.
    pub(super) fn precondition(&self, fit: &Fit, gradient: &mut [f64], curvature: f64) {
        let pull = fit.penalty.iter().sum::<f64>() / self.dim as f64 / fit.total();
        let (weight, bias) = gradient.split_at_mut(self.dim * self.classes);
        self.spectrum.divide(weight, self.classes, curvature, pull);
        for g in bias {
            *g /= curvature;
        }
    }

    /// Logits of all rows at `point`, `[n, classes]` row-major.
    pub(super) fn logits(&self, point: &[f64]) -> Vec<f32> {
        let (weight, bias) = point.split_at(self.dim * self.classes);
        let narrow = self.narrow(weight);
        let parts: Vec<Vec<f32>> = self
            .blocks
            .par_iter()
            .map(|rows| {
                let mut logits = values(rows.clone().matmul(narrow.clone()));
                for row in logits.chunks_exact_mut(self.classes) {
                    row.iter_mut().zip(bias).for_each(|(logit, bias)| *logit = (f64::from(*logit) + bias) as f32);
                }
                logits
            })
            .collect();
        parts.concat()
    }

    fn narrow(&self, weight: &[f64]) -> Tensor<2> {
        matrix(weight.iter().map(|&w| w as f32).collect(), self.dim, self.classes, &self.device)
    }

    /// Value, gradient and accuracy at `point`.
    pub(super) fn evaluate(&self, fit: &Fit, point: Vec<f64>) -> Evaluation {
        let (weight, bias) = point.split_at(self.dim * self.classes);
        let narrow = self.narrow(weight);
        let partials: Vec<Partial> = self
            .blocks
            .par_iter()
            .zip(self.labels.par_chunks(ROWS).zip(fit.weights.par_chunks(ROWS)))
            .map(|(rows, (labels, weights))| self.evaluate_block(rows, labels, weights, &narrow, bias))
            .collect();

        let n = fit.total();
        let (mut loss, mut right, mut curvature) = (0.0, 0.0, 0.0);
        let mut gradient = vec![0.0; point.len()];
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weight.len());
        for partial in &partials {
            loss += partial.loss;
            right += partial.right;
            curvature += partial.curvature;
            weight_gradient.iter_mut().zip(&partial.weight).for_each(|(sum, &g)| *sum += f64::from(g));
            bias_gradient.iter_mut().zip(&partial.bias).for_each(|(sum, g)| *sum += g);
        }
        for g in &mut gradient {
            *g /= n;
        }
        let mut penalty = 0.0;
        let columns = gradient.chunks_exact_mut(self.classes).zip(weight.chunks_exact(self.classes));
        for ((gradient, weight), l2) in columns.zip(&fit.penalty) {
            for (g, w) in gradient.iter_mut().zip(weight) {
                *g += l2 / n * w;
                penalty += 0.5 * l2 / n * w * w;
            }
        }
        Evaluation {
            value: loss / n + penalty,
            gradient,
            accuracy: right / n,
            curvature: curvature / n / self.classes as f64,
            point,
        }
    }

    fn evaluate_block(
        &self,
        rows: &Tensor<2>,
        labels: &[usize],
        weights: &[f32],
        weight: &Tensor<2>,
        bias: &[f64],
    ) -> Partial {
        let logits = values(rows.clone().matmul(weight.clone()));
        let (mut loss, mut right, mut curvature) = (0.0, 0.0, 0.0);
        let mut residual = Vec::with_capacity(logits.len());
        let mut bias_gradient = vec![0.0; self.classes];
        let mut row = vec![0.0; self.classes];
        for ((logits, &label), &share) in logits.chunks_exact(self.classes).zip(labels).zip(weights) {
            let share = f64::from(share);
            for ((value, &logit), bias) in row.iter_mut().zip(logits).zip(bias) {
                *value = f64::from(logit) + bias;
            }
            if self.targets.is_right(&row, label) {
                right += share;
            }
            loss += share * self.targets.cross_entropy(&mut row, label);
            curvature += share * row.iter().map(|p| p * (1.0 - p)).sum::<f64>();
            self.targets.slope(&mut row, label);
            for r in &mut row {
                *r *= share;
            }
            bias_gradient.iter_mut().zip(&row).for_each(|(sum, r)| *sum += r);
            residual.extend(row.iter().map(|&r| r as f32));
        }
        let residual = matrix(residual, labels.len(), self.classes, &self.device);
        let weight = values(rows.clone().transpose().matmul(residual));
        Partial { loss, right, curvature, weight, bias: bias_gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::LabelSets;

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        // Four labels that say something, or nothing, of three classes.
        let answers = [0, 1, 2, 2, 1, 1, 0, 0, 0, 1, 2, 0].map(|i| [Some(true), Some(false), None][i]);
        let sets = LabelSets::new(3, answers.to_vec());
        for targets in [Targets::One(4), Targets::Any(&sets)] {
            the_gradient_is_the_slope(targets);
        }
    }

    fn the_gradient_is_the_slope(targets: Targets<'_>) {
        let x: Vec<f32> = (0..600 * 3).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let y: Vec<usize> = (0..600).map(|i| i * 7 % 4).collect();
        let objective = Regression::new(x, &y, targets);
        let fit = Fit { weights: (0..600).map(|i| (i % 3) as f32).collect(), penalty: vec![5.0, 1.0, 0.5] };
        let point: Vec<f64> = (0..objective.parameters()).map(|i| f64::from(i as u32 % 5) * 0.25 - 0.5).collect();
        let gradient = objective.evaluate(&fit, point.clone()).gradient;
        for index in 0..point.len() {
            // A power of two, so that the change of a weight survives the narrowing to `f32`.
            let moved = |by: f64| {
                let mut point = point.clone();
                point[index] += by;
                objective.evaluate(&fit, point).value
            };
            let slope = (moved(0.007_812_5) - moved(-0.007_812_5)) / 0.015_625;
            assert!((slope - gradient[index]).abs() < 1e-5, "{index}: {slope} and {}", gradient[index]);
        }
    }
}

//! The objective of the linear head: penalised multinomial cross-entropy and its gradient in closed form.
//!
//! `f(W, b) = (1/n) · Σ −log softmax(xᵢ W + b)[yᵢ] + l2 / (2n) · ‖W‖²`, with gradients `Xᵀ(P − Y) / n + l2/n · W` and
//! `1ᵀ(P − Y) / n`. The products with `X` are burn matrix products in `f32`, block by block and on all cores; everything
//! else (softmax, sums over blocks) is `f64`.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::blocks::{ROWS, cut, device, matrix, values};
use super::lbfgs::Evaluation;
use super::score::{argmax, softmax};

/// Standardised train rows, cut into blocks.
pub(super) struct SoftmaxRegression<'a> {
    blocks: Vec<Tensor<2>>,
    labels: &'a [usize],
    dim: usize,
    classes: usize,
    l2: f64,
    device: Device,
}

struct Partial {
    loss: f64,
    right: usize,
    weight: Vec<f32>,
    bias: Vec<f64>,
}

impl<'a> SoftmaxRegression<'a> {
    /// Takes a standardised row in `x`, `[n, dim]` row-major, for each label; there is at least one.
    pub(super) fn new(x: Vec<f32>, labels: &'a [usize], classes: usize, l2: f64) -> Self {
        let device = device();
        let dim = x.len() / labels.len();
        Self { blocks: cut(x, dim, &device), labels, dim, classes, l2, device }
    }

    /// Parameters: `W`, `[dim, classes]` row-major, then `b`, `[classes]`.
    pub(super) fn parameters(&self) -> usize {
        (self.dim + 1) * self.classes
    }

    /// Value, gradient and accuracy at `point`.
    pub(super) fn evaluate(&self, point: Vec<f64>) -> Evaluation {
        let (weight, bias) = point.split_at(self.dim * self.classes);
        let narrow = weight.iter().map(|&w| w as f32).collect();
        let narrow = matrix(narrow, self.dim, self.classes, &self.device);
        let partials: Vec<Partial> = self
            .blocks
            .par_iter()
            .zip(self.labels.par_chunks(ROWS))
            .map(|(rows, labels)| self.evaluate_block(rows, labels, &narrow, bias))
            .collect();

        let n = self.labels.len() as f64;
        let (mut loss, mut right) = (0.0, 0);
        let mut gradient = vec![0.0; point.len()];
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weight.len());
        for partial in &partials {
            loss += partial.loss;
            right += partial.right;
            weight_gradient.iter_mut().zip(&partial.weight).for_each(|(sum, &g)| *sum += f64::from(g));
            bias_gradient.iter_mut().zip(&partial.bias).for_each(|(sum, g)| *sum += g);
        }
        for g in &mut gradient {
            *g /= n;
        }
        let pull = self.l2 / n;
        gradient.iter_mut().zip(weight).for_each(|(g, w)| *g += pull * w);
        let penalty = 0.5 * pull * weight.iter().map(|w| w * w).sum::<f64>();
        Evaluation { value: loss / n + penalty, gradient, accuracy: right as f64 / n, point }
    }

    fn evaluate_block(&self, rows: &Tensor<2>, labels: &[usize], weight: &Tensor<2>, bias: &[f64]) -> Partial {
        let logits = values(rows.clone().matmul(weight.clone()));
        let (mut loss, mut right) = (0.0, 0);
        let mut residual = Vec::with_capacity(logits.len());
        let mut bias_gradient = vec![0.0; self.classes];
        let mut row = vec![0.0; self.classes];
        for (logits, &label) in logits.chunks_exact(self.classes).zip(labels) {
            for ((value, &logit), bias) in row.iter_mut().zip(logits).zip(bias) {
                *value = f64::from(logit) + bias;
            }
            let logit = row[label];
            right += usize::from(argmax(&row) == label);
            loss += softmax(&mut row) - logit;
            row[label] -= 1.0;
            bias_gradient.iter_mut().zip(&row).for_each(|(sum, r)| *sum += r);
            residual.extend(row.iter().map(|&r| r as f32));
        }
        let residual = matrix(residual, labels.len(), self.classes, &self.device);
        let weight = values(rows.clone().transpose().matmul(residual));
        Partial { loss, right, weight, bias: bias_gradient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        let x: Vec<f32> = (0..600 * 3).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let y: Vec<usize> = (0..600).map(|i| i * 7 % 4).collect();
        let objective = SoftmaxRegression::new(x, &y, 4, 5.0);
        let point: Vec<f64> = (0..objective.parameters()).map(|i| f64::from(i as u32 % 5) * 0.25 - 0.5).collect();
        let gradient = objective.evaluate(point.clone()).gradient;
        for index in 0..point.len() {
            // A power of two, so that the change of a weight survives the narrowing to `f32`.
            let moved = |by: f64| {
                let mut point = point.clone();
                point[index] += by;
                objective.evaluate(point).value
            };
            let slope = (moved(0.007_812_5) - moved(-0.007_812_5)) / 0.015_625;
            assert!((slope - gradient[index]).abs() < 1e-5, "{index}: {slope} and {}", gradient[index]);
        }
    }
}

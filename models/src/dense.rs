//! Dense layers as plain numbers: what a head of another program is read into, and what a head is exported from.
//!
//! A batch normalisation is at inference a scale and a shift of each value, so it folds into the layer before or behind it.

/// What comes behind the sums of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// max(x, 0).
    Relu,
    /// 1 / (1 + exp(−x)), each value for itself.
    Sigmoid,
    /// exp(x) over its sum in the row.
    Softmax,
}

/// A layer `activation(x W + b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// `W`, `[inputs, outputs]` row-major.
    pub weights: Vec<f32>,
    /// `b`, `[outputs]`; never empty.
    pub bias: Vec<f32>,
    /// What comes behind the sums.
    pub activation: Activation,
}

/// Scale and shift of each value: `scale · x + shift`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Dense {
    /// Values that go in.
    pub fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len()
    }

    /// Values that come out.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The output of one row, `[inputs]`; sums are carried in `f64` in the order of the inputs.
    ///
    /// # Panics
    ///
    /// When the row has another length.
    pub fn apply(&self, row: &[f32]) -> Vec<f32> {
        assert_eq!(row.len(), self.inputs(), "values of a row");
        let mut sums: Vec<f64> = self.bias.iter().map(|&b| f64::from(b)).collect();
        for (&x, weights) in row.iter().zip(self.weights.chunks_exact(self.outputs())) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += f64::from(x) * f64::from(weight);
            }
        }
        self.activation.apply(&mut sums);
        sums.iter().map(|&x| x as f32).collect()
    }
}

impl Activation {
    fn apply(self, row: &mut [f64]) {
        match self {
            Self::Linear => {}
            Self::Relu => row.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Sigmoid => row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
            Self::Softmax => {
                let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                for x in row.iter_mut() {
                    *x = (*x - max).exp();
                }
                let sum: f64 = row.iter().sum();
                for x in row.iter_mut() {
                    *x /= sum;
                }
            }
        }
    }
}

impl Affine {
    /// Batch normalisation with the statistics of the training: `gamma · (x − mean) / √(variance + epsilon) + beta`. Without
    /// `gamma` that is 1, without `beta` 0. All are as long as `mean`.
    pub(crate) fn of_batch_norm(
        gamma: Option<&[f32]>,
        beta: Option<&[f32]>,
        mean: &[f32],
        variance: &[f32],
        epsilon: f64,
    ) -> Self {
        let scale =
            |i: usize| gamma.map_or(1.0, |gamma| f64::from(gamma[i])) / (f64::from(variance[i]) + epsilon).sqrt();
        let scale: Vec<f64> = (0..mean.len()).map(scale).collect();
        let shift = |i: usize| beta.map_or(0.0, |beta| f64::from(beta[i])) - f64::from(mean[i]) * scale[i];
        let shift = (0..mean.len()).map(shift).collect();
        Self { scale, shift }
    }

    /// Values that it is for.
    pub(crate) fn len(&self) -> usize {
        self.scale.len()
    }

    /// This, then `next` on as many values.
    pub(crate) fn then(&self, next: &Self) -> Self {
        let scale = self.scale.iter().zip(&next.scale).map(|(first, second)| first * second).collect();
        let moved = self.shift.iter().zip(&next.scale).zip(&next.shift);
        Self { scale, shift: moved.map(|((shift, scale), second)| shift * scale + second).collect() }
    }

    /// The layer behind it, with as many inputs, made to do both.
    pub(crate) fn before(&self, layer: &Dense) -> Dense {
        let mut bias: Vec<f64> = layer.bias.iter().map(|&b| f64::from(b)).collect();
        let mut weights = Vec::with_capacity(layer.weights.len());
        for ((row, scale), shift) in layer.weights.chunks_exact(layer.outputs()).zip(&self.scale).zip(&self.shift) {
            for (bias, &weight) in bias.iter_mut().zip(row) {
                *bias += shift * f64::from(weight);
                weights.push((scale * f64::from(weight)) as f32);
            }
        }
        Dense { weights, bias: bias.iter().map(|&b| b as f32).collect(), activation: layer.activation }
    }

    /// The layer before it, with as many outputs and no activation, made to do both.
    pub(crate) fn after(&self, layer: &Dense) -> Dense {
        let scaled =
            |row: &[f32]| -> Vec<f64> { row.iter().zip(&self.scale).map(|(&x, s)| f64::from(x) * s).collect() };
        let weights = layer.weights.chunks_exact(layer.outputs()).flat_map(scaled).map(|w| w as f32).collect();
        let bias = scaled(&layer.bias).iter().zip(&self.shift).map(|(b, shift)| (b + shift) as f32).collect();
        Dense { weights, bias, activation: layer.activation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Dense {
        Dense { weights: vec![1.0, -2.0, 0.5, 3.0, 0.25, -1.0], bias: vec![0.5, -0.25], activation: Activation::Linear }
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + b.abs())),
            "{a:?} and {b:?}"
        );
    }

    #[test]
    fn a_layer_is_a_product_a_bias_and_an_activation() {
        // numpy: [1, 2, −4] @ [[1, −2], [0.5, 3], [0.25, −1]] + [0.5, −0.25] = [1.5, 7.75]
        let row = [1.0, 2.0, -4.0];
        assert_eq!((layer().inputs(), layer().outputs()), (3, 2));
        close(&layer().apply(&row), &[1.5, 7.75]);
        let with = |activation, row: &[f32]| Dense { activation, ..layer() }.apply(row);
        close(&with(Activation::Relu, &[0.0, 0.0, 0.0]), &[0.5, 0.0]);
        close(&with(Activation::Sigmoid, &row), &[0.817_574_5, 0.999_569_4]);
        close(&with(Activation::Softmax, &row), &[0.001_926_7, 0.998_073_3]);
    }

    #[test]
    fn a_batch_norm_folds_into_the_layer_on_either_side() {
        let (gamma, beta) = ([2.0, -0.5, 1.5], [0.1, 0.2, -0.3]);
        let (mean, variance) = ([0.5, -1.0, 2.0], [0.25, 4.0, 0.0]);
        let norm = Affine::of_batch_norm(Some(&gamma), Some(&beta), &mean, &variance, 1e-3);
        let by_hand = |x: &[f32]| -> Vec<f32> {
            (0..3).map(|i| gamma[i] * (x[i] - mean[i]) / (variance[i] + 1e-3).sqrt() + beta[i]).collect()
        };
        let row = [0.3, -0.7, 2.05];
        close(&norm.before(&layer()).apply(&row), &layer().apply(&by_hand(&row)));

        let wide = Dense { weights: vec![1.0, -2.0, 0.5, 3.0, 0.25, -1.0], bias: vec![0.5, -0.25, 1.0], ..layer() };
        let row = [0.6, -1.2];
        close(&norm.after(&wide).apply(&row), &by_hand(&wide.apply(&row)));
        close(&norm.then(&norm).after(&wide).apply(&row), &by_hand(&by_hand(&wide.apply(&row))));

        let bare = Affine::of_batch_norm(None, None, &mean[..2], &variance[..2], 0.0);
        assert_eq!((bare.scale, bare.shift), (vec![2.0, 0.5], vec![-1.0, 0.5]));
    }
}

//! The multi-layer head: four blocks of linear, `ReLU`, batch normalisation and dropout, then a linear layer.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::blocks::matrix;
use super::model::layer;

/// Width and dropout probability of each hidden layer.
pub(super) const HIDDEN: [(usize, f32); 4] = [(512, 0.5), (256, 0.4), (128, 0.3), (64, 0.2)];

/// Share of a batch in the running statistics. Keras takes 0.01, which needs hundreds of steps to forget its start;
/// sets of a hundred clips make two steps an epoch.
const MOMENTUM: f64 = 0.1;

/// Added to a variance before its root (Keras `BatchNormalization`).
const EPSILON: f64 = 1e-3;

/// The network without its normaliser.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    /// Hidden layers, first to last.
    pub(super) hidden: Vec<Hidden>,
    /// Last hidden layer to logits.
    pub(super) output: Linear,
}

/// One hidden layer.
#[derive(Module, Debug)]
pub(super) struct Hidden {
    /// Weights.
    pub(super) linear: Linear,
    /// Batch normalisation, after the `ReLU`.
    pub(super) norm: BatchNorm,
}

impl Mlp {
    /// A fresh network: Glorot uniform weights and zero biases, the initialisation of Keras' `Dense`.
    ///
    /// burn's own initialisers and its dropout draw from one generator per process, which other threads draw from too;
    /// here everything random comes from `rng`.
    pub(super) fn new(dim: usize, classes: usize, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let mut inputs = dim;
        let hidden = HIDDEN
            .iter()
            .map(|&(width, _)| {
                let linear = glorot(inputs, width, rng, device);
                inputs = width;
                Hidden { linear, norm: batch_norm(width, device) }
            })
            .collect();
        Self { hidden, output: glorot(inputs, classes, rng, device) }
    }

    /// Logits, `[n, classes]`, of standardised rows, `[n, dim]`.
    ///
    /// On a device with autodiff this normalises by the batch and updates the running statistics; on one without it
    /// applies them.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.run(x, |_, x| x)
    }

    /// Like [`Mlp::forward`] with a fraction of the activations dropped and the others scaled up (inverted dropout).
    pub(super) fn forward_with_dropout(&self, x: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        self.run(x, |layer, x| {
            let [rows, columns] = x.dims();
            let drop = HIDDEN[layer].1;
            let keep = 1.0 / (1.0 - drop);
            let mask = (0..rows * columns).map(|_| if rng.random::<f32>() < drop { 0.0 } else { keep }).collect();
            let mask = matrix(mask, rows, columns, &x.device().without_autodiff());
            x * mask
        })
    }

    fn run(&self, x: Tensor<2>, mut after: impl FnMut(usize, Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let x = self
            .hidden
            .iter()
            .enumerate()
            .fold(x, |x, (index, hidden)| after(index, hidden.norm.forward(relu(hidden.linear.forward(x)))));
        self.output.forward(x)
    }
}

/// Batch normalisation with its statistics at 0 and 1.
pub(super) fn batch_norm(width: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(width).with_epsilon(EPSILON).with_momentum(MOMENTUM).init(device)
}

fn glorot(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng, device: &Device) -> Linear {
    let limit = (6.0 / (inputs + outputs) as f32).sqrt();
    let weight = (0..inputs * outputs).map(|_| rng.random_range(-limit..limit)).collect();
    layer(weight, vec![0.0; outputs], inputs, device)
}

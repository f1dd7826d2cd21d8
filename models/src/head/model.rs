//! A trained head: normaliser and network.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use super::blocks::{device, forward, matrix};
use super::mlp::Mlp;
use super::{HeadKind, Normaliser, Scores};

/// A classifier over pooled embeddings. Rows go in as they are: the normaliser is part of it.
#[derive(Debug, Clone)]
pub struct Head {
    normaliser: Normaliser,
    network: Network,
    classes: usize,
    scores: Scores,
}

/// What a head makes of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// `[n, classes]` row-major.
    pub logits: Vec<f32>,
    /// What the logits give, `[n, classes]` row-major.
    pub probabilities: Vec<f32>,
}

/// The layers behind the normaliser.
#[derive(Debug, Clone)]
pub(super) enum Network {
    /// One layer.
    Linear(Linear),
    /// Hidden layers; boxed, being many times as large.
    Mlp(Box<Mlp>),
}

impl Network {
    /// A linear network from `[dim, classes]` weights and `[classes]` biases.
    pub(super) fn linear(weight: Vec<f32>, bias: Vec<f32>, dim: usize) -> Self {
        Self::Linear(layer(weight, bias, dim, &device()))
    }

    /// Logits, `[n, classes]`, of standardised rows, `[n, dim]`.
    pub(super) fn logits(&self, x: &[f32], dim: usize) -> Vec<f32> {
        forward(x, dim, |rows| match self {
            Self::Linear(linear) => linear.forward(rows),
            Self::Mlp(mlp) => mlp.forward(rows),
        })
    }
}

/// The mean of `rows`, `[n, width]` row-major with n ≥ 1: `[width]`.
///
/// # Panics
///
/// When there is no row.
pub fn mean_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let n = rows.len() / width;
    assert!(n > 0, "there is no mean of nothing");
    let mut sums = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sums.into_iter().map(|sum| (sum / n as f64) as f32).collect()
}

/// A layer `x W + b` from `[inputs, outputs]` row-major weights and `[outputs]` biases.
pub(super) fn layer(weight: Vec<f32>, bias: Vec<f32>, inputs: usize, device: &burn::tensor::Device) -> Linear {
    let outputs = bias.len();
    Linear {
        weight: Param::from_tensor(matrix(weight, inputs, outputs, device)),
        bias: Some(Param::from_tensor(Tensor::from_data(TensorData::new(bias, [outputs]), device))),
    }
}

/// A layer whose outputs are `factor` times those of `layer`.
fn scaled(layer: &Linear, factor: f64) -> Linear {
    Linear {
        weight: layer.weight.clone().map(|weight| weight.mul_scalar(factor)),
        bias: layer.bias.clone().map(|bias| bias.map(|bias| bias.mul_scalar(factor))),
    }
}

impl Head {
    pub(super) fn new(normaliser: Normaliser, network: Network, classes: usize, scores: Scores) -> Self {
        Self { normaliser, network, classes, scores }
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The kind of network.
    pub fn kind(&self) -> HeadKind {
        match self.network {
            Network::Linear(_) => HeadKind::Linear,
            Network::Mlp(_) => HeadKind::Mlp,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What it makes of its logits.
    pub fn scores(&self) -> Scores {
        self.scores
    }

    /// Values in a row.
    pub fn input_dim(&self) -> usize {
        self.normaliser.dim()
    }

    /// The standardisation that rows go through.
    pub fn normaliser(&self) -> &Normaliser {
        &self.normaliser
    }

    /// The head with all logits divided by `temperature`, above 0, so that its probabilities mean what they say (Guo et al. 2017).
    #[must_use]
    pub fn cooled(self, temperature: f64) -> Self {
        let factor = 1.0 / temperature;
        let network = match self.network {
            Network::Linear(last) => Network::Linear(scaled(&last, factor)),
            Network::Mlp(mlp) => Network::Mlp(Box::new(Mlp { output: scaled(&mlp.output, factor), ..*mlp })),
        };
        Self { network, ..self }
    }

    /// Class probabilities of a clip, `[classes]`, from its rows, `[n, input_dim]` with n ≥ 1: the mean over them. Of one row they have its bits.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows, or is empty.
    pub fn of_clip(&self, x: &[f32]) -> Vec<f32> {
        self.scored_clip(x).probabilities
    }

    /// Logits and probabilities of a clip, `[classes]` each, from its rows, `[n, input_dim]` with n ≥ 1: the means over them.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows, or is empty.
    pub fn scored_clip(&self, x: &[f32]) -> Scored {
        let Scored { logits, probabilities } = self.scored(x);
        let mean = |scores: &[f32]| mean_of_rows(scores, self.classes);
        Scored { logits: mean(&logits), probabilities: mean(&probabilities) }
    }

    /// Logits, `[n, classes]` row-major, of finite rows `x`, `[n, input_dim]` row-major: what [`probabilities`](Self::probabilities) are made of.
    pub fn logits(&self, x: &[f32]) -> Vec<f32> {
        self.network.logits(&self.normaliser.apply(x), self.input_dim())
    }

    /// Class probabilities, `[n, classes]` row-major, of finite rows `x`, `[n, input_dim]` row-major.
    ///
    /// Each row sums to 1, unless classes are right or wrong by themselves. A row's bits do not depend on the rows beside it or on the number of threads.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn probabilities(&self, x: &[f32]) -> Vec<f32> {
        self.scored(x).probabilities
    }

    /// Logits and class probabilities, `[n, classes]` row-major each, of finite rows `x`, `[n, input_dim]` row-major.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn scored(&self, x: &[f32]) -> Scored {
        let logits = self.logits(x);
        let mut probabilities = Vec::with_capacity(logits.len());
        for logits in logits.chunks_exact(self.classes) {
            let mut row: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
            self.scores.apply(&mut row);
            probabilities.extend(row.iter().map(|&p| p as f32));
        }
        Scored { logits, probabilities }
    }
}

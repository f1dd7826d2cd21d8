//! The multi-layer head: four blocks of linear, `ReLU`, batch normalisation and dropout, then a linear layer.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::blocks::{matrix, values};
use super::model::layer;
use super::snapshot::Snapshot;

/// Width and dropout probability of each hidden layer.
pub(crate) const HIDDEN: [(usize, f32); 4] = [(512, 0.5), (256, 0.4), (128, 0.3), (64, 0.2)];

/// Share of a batch in the running statistics. Keras takes 0.01, which needs hundreds of steps to forget its start;
/// sets of a hundred clips make two steps an epoch.
const MOMENTUM: f64 = 0.1;

/// Added to a variance before its root (Keras `BatchNormalization`).
pub(super) const EPSILON: f64 = 1e-3;

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

impl Mlp {
    /// The identities of the parameters, layer by layer.
    pub(super) fn parameters(&self) -> Vec<ParamId> {
        let linear = |linear: &Linear| {
            [Some(linear.weight.id), linear.bias.as_ref().map(|bias| bias.id)].into_iter().flatten().collect::<Vec<_>>()
        };
        let hidden =
            |hidden: &Hidden| [linear(&hidden.linear), vec![hidden.norm.gamma.id, hidden.norm.beta.id]].concat();
        self.hidden.iter().flat_map(hidden).chain(linear(&self.output)).collect()
    }

    /// Adds the values to a snapshot, bit for bit; for networks on a device without autodiff.
    pub(super) fn save(&self, name: &str, snapshot: &mut Snapshot) {
        let mut put = |what: &str, tensor: Vec<f32>| snapshot.put_f32s(&format!("{name}.{what}"), &tensor);
        let mut put_linear = |what: &str, linear: &Linear| {
            put(&format!("{what}.weight"), values(linear.weight.val()));
            put(&format!("{what}.bias"), linear.bias.as_ref().map_or_else(Vec::new, |bias| values(bias.val())));
        };
        for (index, hidden) in self.hidden.iter().enumerate() {
            put_linear(&format!("{index}"), &hidden.linear);
        }
        put_linear("output", &self.output);
        for (index, Hidden { norm, .. }) in self.hidden.iter().enumerate() {
            put(&format!("{index}.gamma"), values(norm.gamma.val()));
            put(&format!("{index}.beta"), values(norm.beta.val()));
            put(&format!("{index}.mean"), values(norm.running_mean.value()));
            put(&format!("{index}.var"), values(norm.running_var.value()));
        }
    }

    /// Takes the values from a snapshot, for parameters with these identities or new ones; nothing where it holds none.
    pub(super) fn load(
        name: &str,
        snapshot: &mut Snapshot,
        dim: usize,
        classes: usize,
        ids: Option<&[ParamId]>,
        device: &Device,
    ) -> Option<Self> {
        let mut inputs = dim;
        let take_linear = |snapshot: &mut Snapshot, what: &str, inputs: usize, outputs: usize| {
            let weight = snapshot.take_f32s(&format!("{name}.{what}.weight"), inputs * outputs)?;
            let bias = snapshot.take_f32s(&format!("{name}.{what}.bias"), outputs)?;
            Some(layer(weight, bias, inputs, device))
        };
        let mut hidden = Vec::new();
        for (index, &(width, _)) in HIDDEN.iter().enumerate() {
            let linear = take_linear(snapshot, &index.to_string(), inputs, width)?;
            inputs = width;
            let mut vector = |what: &str| {
                let values = snapshot.take_f32s(&format!("{name}.{index}.{what}"), width)?;
                Some(Tensor::<1>::from_data(TensorData::new(values, [width]), device))
            };
            let mut norm = batch_norm(width, device);
            norm.gamma = Param::from_tensor(vector("gamma")?);
            norm.beta = Param::from_tensor(vector("beta")?);
            norm.running_mean = RunningState::new(vector("mean")?);
            norm.running_var = RunningState::new(vector("var")?);
            hidden.push(Hidden { linear, norm });
        }
        let output = take_linear(snapshot, "output", inputs, classes)?;
        let mut net = Self { hidden, output };
        if let Some(ids) = ids {
            net.identify(ids)?;
        }
        Some(net)
    }
}

impl Mlp {
    /// Gives the parameters these identities, in the order of [`parameters`](Self::parameters).
    fn identify(&mut self, ids: &[ParamId]) -> Option<()> {
        let mut ids = ids.iter().copied();
        for Hidden { linear, norm } in &mut self.hidden {
            (linear.weight.id, linear.bias.as_mut()?.id) = (ids.next()?, ids.next()?);
            (norm.gamma.id, norm.beta.id) = (ids.next()?, ids.next()?);
        }
        (self.output.weight.id, self.output.bias.as_mut()?.id) = (ids.next()?, ids.next()?);
        Some(())
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

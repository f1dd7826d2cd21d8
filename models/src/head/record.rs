//! A head as named tensors, for storage.
//!
//! Linear: `normaliser.mean`, `normaliser.scale`, `linear.weight` `[dim, classes]`, `linear.bias`. MLP: the normaliser,
//! `hidden.N.linear.{weight,bias}`, `hidden.N.norm.{gamma,beta,running_mean,running_var}` for N from 0 to 3, and
//! `output.{weight,bias}`. Names and shapes follow from kind, input length and classes, so nothing else is accepted.

use std::collections::BTreeMap;

use burn::module::{Param, RunningState};
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use super::blocks::{device, values};
use super::mlp::{HIDDEN, Hidden, Mlp, batch_norm};
use super::model::{Network, layer};
use super::{Head, HeadError, HeadKind, Normaliser, Scores};

/// Values of a tensor, row-major, and its shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorRecord {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// All tensors of a head by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct HeadRecord(pub(crate) BTreeMap<String, TensorRecord>);

impl From<&Head> for HeadRecord {
    fn from(head: &Head) -> Self {
        let mut record = Self::default();
        record.put_vector("normaliser.mean", head.normaliser().mean.clone());
        record.put_vector("normaliser.scale", head.normaliser().scale.clone());
        match head.network() {
            Network::Linear(linear) => record.put_linear("linear", linear),
            Network::Mlp(mlp) => {
                for (index, Hidden { linear, norm }) in mlp.hidden.iter().enumerate() {
                    record.put_linear(&format!("hidden.{index}.linear"), linear);
                    let prefix = format!("hidden.{index}.norm");
                    record.put_vector(&format!("{prefix}.gamma"), values(norm.gamma.val()));
                    record.put_vector(&format!("{prefix}.beta"), values(norm.beta.val()));
                    record.put_vector(&format!("{prefix}.running_mean"), values(norm.running_mean.value()));
                    record.put_vector(&format!("{prefix}.running_var"), values(norm.running_var.value()));
                }
                record.put_linear("output", &mlp.output);
            }
        }
        record
    }
}

impl HeadRecord {
    fn put_vector(&mut self, name: &str, values: Vec<f32>) {
        self.0.insert(name.to_owned(), TensorRecord { shape: vec![values.len()], values });
    }

    fn put_linear(&mut self, prefix: &str, linear: &Linear) {
        let weight = linear.weight.val();
        let shape = weight.dims().to_vec();
        self.0.insert(format!("{prefix}.weight"), TensorRecord { shape, values: values(weight) });
        let bias = linear.bias.as_ref().expect("every layer of a head is built with a bias");
        self.put_vector(&format!("{prefix}.bias"), values(bias.val()));
    }

    /// Rebuilds the head; every tensor is checked against what a head of this kind must have.
    pub(crate) fn into_head(self, kind: HeadKind, scores: Scores, classes: usize) -> Result<Head, HeadError> {
        let mean = self.0.get("normaliser.mean").ok_or_else(|| missing("normaliser.mean"))?;
        let dim = mean.values.len();
        if classes < 2 {
            return Err(HeadError::TooFewClasses(classes));
        }
        let layout = layout(kind, dim, classes);
        for (name, expected) in &layout {
            let tensor = self.0.get(name).ok_or_else(|| missing(name))?;
            let complete = expected.iter().product::<usize>() == tensor.values.len();
            if dim == 0 || tensor.shape != *expected || !complete {
                return Err(HeadError::TensorShape {
                    name: name.clone(),
                    expected: expected.clone(),
                    found: tensor.shape.clone(),
                });
            }
            let valid = match name.rsplit('.').next() {
                Some("scale") => |v: f32| v.is_finite() && v > 0.0,
                Some("running_var") => |v: f32| v.is_finite() && v >= 0.0,
                _ => f32::is_finite,
            };
            if !tensor.values.iter().all(|&v| valid(v)) {
                return Err(HeadError::TensorValues(name.clone()));
            }
        }
        if let Some(name) = self.0.keys().find(|name| !layout.contains_key(*name)) {
            return Err(HeadError::TensorUnexpected(name.clone()));
        }
        Ok(self.build(kind, scores, dim, classes))
    }

    /// Builds from tensors that are all there.
    fn build(mut self, kind: HeadKind, scores: Scores, dim: usize, classes: usize) -> Head {
        let normaliser = Normaliser { mean: self.take("normaliser.mean"), scale: self.take("normaliser.scale") };
        let network = match kind {
            HeadKind::Linear => Network::linear(self.take("linear.weight"), self.take("linear.bias"), dim),
            HeadKind::Mlp => {
                let inputs = std::iter::once(dim).chain(HIDDEN.iter().map(|&(width, _)| width));
                let hidden =
                    (0..HIDDEN.len()).zip(inputs).map(|(index, inputs)| self.take_hidden(index, inputs)).collect();
                let output = self.take_linear("output", HIDDEN[HIDDEN.len() - 1].0);
                Network::Mlp(Box::new(Mlp { hidden, output }))
            }
        };
        Head::new(normaliser, network, classes, scores)
    }

    fn take(&mut self, name: &str) -> Vec<f32> {
        self.0.remove(name).map(|tensor| tensor.values).expect("names were checked against the layout")
    }

    fn take_linear(&mut self, prefix: &str, inputs: usize) -> Linear {
        let weight = self.take(&format!("{prefix}.weight"));
        let bias = self.take(&format!("{prefix}.bias"));
        layer(weight, bias, inputs, &device())
    }

    fn take_hidden(&mut self, index: usize, inputs: usize) -> Hidden {
        let linear = self.take_linear(&format!("hidden.{index}.linear"), inputs);
        let (width, device) = (HIDDEN[index].0, device());
        let mut vector = |name: &str| -> Tensor<1> {
            let values = self.take(&format!("hidden.{index}.norm.{name}"));
            Tensor::from_data(TensorData::new(values, [width]), &device)
        };
        let mut norm = batch_norm(width, &device);
        norm.gamma = Param::from_tensor(vector("gamma"));
        norm.beta = Param::from_tensor(vector("beta"));
        norm.running_mean = RunningState::new(vector("running_mean"));
        norm.running_var = RunningState::new(vector("running_var"));
        Hidden { linear, norm }
    }
}

/// Names and shapes of the tensors of a head.
fn layout(kind: HeadKind, dim: usize, classes: usize) -> BTreeMap<String, Vec<usize>> {
    let mut layout =
        BTreeMap::from([("normaliser.mean".to_owned(), vec![dim]), ("normaliser.scale".to_owned(), vec![dim])]);
    let mut linear = |prefix: &str, inputs, outputs| {
        layout.insert(format!("{prefix}.weight"), vec![inputs, outputs]);
        layout.insert(format!("{prefix}.bias"), vec![outputs]);
    };
    match kind {
        HeadKind::Linear => linear("linear", dim, classes),
        HeadKind::Mlp => {
            let mut inputs = dim;
            for (index, &(width, _)) in HIDDEN.iter().enumerate() {
                linear(&format!("hidden.{index}.linear"), inputs, width);
                inputs = width;
            }
            linear("output", inputs, classes);
            for (index, &(width, _)) in HIDDEN.iter().enumerate() {
                for name in ["gamma", "beta", "running_mean", "running_var"] {
                    layout.insert(format!("hidden.{index}.norm.{name}"), vec![width]);
                }
            }
        }
    }
    layout
}

fn missing(name: &str) -> HeadError {
    HeadError::TensorMissing(name.to_owned())
}

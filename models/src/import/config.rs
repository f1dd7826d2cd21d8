//! `config.json`: which layers there are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ImportErrorKind;
use crate::dense::Activation;

/// More layers than any classifier over embeddings has.
const MAX_LAYERS: usize = 64;

/// Epsilon of a batch normalisation that names none (Keras).
const EPSILON: f64 = 1e-3;

/// What a layer does at inference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Dense { group: String, units: u64, has_bias: bool, activation: Activation },
    Norm { group: String, epsilon: f64, has_gamma: bool, has_beta: bool },
    Activation { layer: String, activation: Activation },
}

#[derive(Deserialize)]
struct Model {
    class_name: String,
    #[serde(default)]
    config: Value,
}

#[derive(Deserialize)]
struct Sequential {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    class_name: String,
    config: Settings,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    name: String,
    #[serde(default)]
    units: u64,
    #[serde(default)]
    activation: Value,
    #[serde(default = "yes")]
    use_bias: bool,
    epsilon: Option<f64>,
    #[serde(default = "yes")]
    center: bool,
    #[serde(default = "yes")]
    scale: bool,
}

fn yes() -> bool {
    true
}

/// The layers that change something at inference, first to last.
pub(super) fn steps(config: &[u8]) -> Result<Vec<Step>, ImportErrorKind> {
    let model: Model = serde_json::from_slice(config).map_err(ImportErrorKind::Config)?;
    // The parts of other models are of other shapes, so this is asked first.
    if model.class_name != "Sequential" {
        return Err(ImportErrorKind::Model(model.class_name));
    }
    let Sequential { layers } = serde_json::from_value(model.config).map_err(ImportErrorKind::Config)?;
    if layers.len() > MAX_LAYERS {
        return Err(ImportErrorKind::Layers(format!("{} layers, and at most {MAX_LAYERS} are read", layers.len())));
    }
    let mut groups = Groups::default();
    let mut steps = Vec::new();
    for Layer { class_name, config } in layers {
        match class_name.as_str() {
            "InputLayer" | "Dropout" => {}
            "Dense" => steps.push(Step::Dense {
                group: groups.next("dense"),
                units: config.units,
                has_bias: config.use_bias,
                activation: activation(&config)?,
            }),
            "BatchNormalization" => steps.push(Step::Norm {
                group: groups.next("batch_normalization"),
                epsilon: epsilon(&config)?,
                has_gamma: config.scale,
                has_beta: config.center,
            }),
            "Activation" => steps.push(Step::Activation { activation: activation(&config)?, layer: config.name }),
            _ => {
                let known = "Dense, BatchNormalization, Activation and Dropout are";
                let what = format!("`{class_name}`");
                return Err(ImportErrorKind::Unsupported { layer: config.name, what, known });
            }
        }
    }
    Ok(steps)
}

/// Names of the groups in which Keras keeps variables: the kind, numbered from the second one on.
#[derive(Default)]
struct Groups(BTreeMap<&'static str, usize>);

impl Groups {
    fn next(&mut self, kind: &'static str) -> String {
        let seen = self.0.entry(kind).or_default();
        *seen += 1;
        if *seen == 1 { kind.to_owned() } else { format!("{kind}_{}", *seen - 1) }
    }
}

fn activation(config: &Settings) -> Result<Activation, ImportErrorKind> {
    match &config.activation {
        Value::Null => Ok(Activation::Linear),
        Value::String(word) if word == "linear" => Ok(Activation::Linear),
        Value::String(word) if word == "relu" => Ok(Activation::Relu),
        Value::String(word) if word == "sigmoid" => Ok(Activation::Sigmoid),
        Value::String(word) if word == "softmax" => Ok(Activation::Softmax),
        other => {
            let what =
                other.as_str().map_or_else(|| "an activation with settings".to_owned(), |word| format!("`{word}`"));
            let known = "the activations linear, relu, sigmoid and softmax are";
            Err(ImportErrorKind::Unsupported { layer: config.name.clone(), what, known })
        }
    }
}

fn epsilon(config: &Settings) -> Result<f64, ImportErrorKind> {
    let epsilon = config.epsilon.unwrap_or(EPSILON);
    if epsilon.is_finite() && epsilon > 0.0 {
        return Ok(epsilon);
    }
    let known = "an epsilon above 0 is";
    Err(ImportErrorKind::Unsupported { layer: config.name.clone(), what: format!("epsilon {epsilon}"), known })
}

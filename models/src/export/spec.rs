//! What an exported head is made of.

use super::ExportError;
use crate::decision::Decision;
use crate::dense::{Activation, Dense};
use crate::embedder::EmbedderId;
use crate::head::Summary;

/// A trained head and what is known about it.
///
/// `probabilities = activation(logits / temperature)`, where the logits are what the layers make of `(x − mean) / scale`.
#[derive(Debug, Clone, Copy)]
pub struct HeadSpec<'a> {
    /// Mean of each column of the pooled rows, `[dim]`.
    pub mean: &'a [f32],
    /// Scale of each column, `[dim]`, above 0.
    pub scale: &'a [f32],
    /// First to last, batch normalisations folded; `Linear` or `Relu`, the last one `Softmax` or `Sigmoid`.
    pub layers: &'a [Dense],
    /// What the graph divides the logits by, above 0; 1 changes nothing.
    pub temperature: f64,
    /// The temperature that was fitted and is folded into the layers; none where none was fitted.
    pub fitted_temperature: Option<f64>,
    /// The classes, and the rule from probabilities to a label.
    pub decision: &'a Decision,
    /// How the embeddings of a clip become a row.
    pub summary: Summary,
    /// What the rows were embedded with.
    pub embedder: &'a EmbedderId,
    /// Version of the model.
    pub version: &'a str,
    /// Whether copies of its test clips were trained on.
    pub is_leaky: bool,
    /// Digest of the model.
    pub digest: &'a str,
}

impl HeadSpec<'_> {
    /// Class names in index order.
    pub(super) fn classes(&self) -> &[String] {
        &self.decision.classes
    }

    /// Values in a row.
    pub(super) fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Activation of the last layer.
    pub(super) fn scores(&self) -> Activation {
        self.layers.last().map_or(Activation::Linear, |layer| layer.activation)
    }

    /// Refuses parts that do not fit together.
    pub(super) fn check(&self) -> Result<(), ExportError> {
        let (dim, classes) = (self.dim(), self.classes().len());
        if classes < 2 {
            return Err(ExportError::TooFewClasses(classes));
        }
        let Some((last, hidden)) = self.layers.split_last() else {
            return Err(ExportError::NoLayers);
        };
        values("mean", self.mean, dim.max(1), f32::is_finite)?;
        values("scale", self.scale, dim, |scale| scale.is_finite() && scale > 0.0)?;
        let mut inputs = dim;
        for (index, layer) in self.layers.iter().enumerate() {
            let outputs = if index == hidden.len() { classes } else { layer.bias.len().max(1) };
            values(&format!("layers.{index}.bias"), &layer.bias, outputs, f32::is_finite)?;
            values(&format!("layers.{index}.weights"), &layer.weights, inputs * outputs, f32::is_finite)?;
            inputs = outputs;
        }
        let odd = |layer: &Dense| !matches!(layer.activation, Activation::Linear | Activation::Relu);
        if let Some(layer) = hidden.iter().position(odd) {
            return Err(ExportError::Activation { layer, expected: "linear or ReLU" });
        }
        if !matches!(last.activation, Activation::Softmax | Activation::Sigmoid) {
            return Err(ExportError::Activation { layer: hidden.len(), expected: "softmax or sigmoid" });
        }
        let temperature = self.temperature as f32;
        values("temperature", &[temperature], 1, |temperature| temperature.is_normal() && temperature > 0.0)?;
        self.decision.problem().map_or(Ok(()), |problem| Err(ExportError::Decision(problem)))
    }
}

fn values(part: &str, found: &[f32], expected: usize, sound: impl Fn(f32) -> bool) -> Result<(), ExportError> {
    if found.len() != expected {
        return Err(ExportError::Length { part: part.to_owned(), expected, found: found.len() });
    }
    if found.iter().all(|&value| sound(value)) { Ok(()) } else { Err(ExportError::Value(part.to_owned())) }
}

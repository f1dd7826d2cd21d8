//! Layers and variables to dense layers, batch normalisations folded.

use super::ImportErrorKind;
use super::config::Step;
use super::variables::Variables;
use crate::dense::{Activation, Affine, Dense};

/// Layers so far, and a normalisation that waits for the layer behind it.
#[derive(Default)]
struct Builder {
    layers: Vec<Dense>,
    waiting: Option<Affine>,
}

/// The dense layers of a classifier, first to last; the last one ends in softmax over at least two classes.
pub(super) fn build(steps: &[Step], variables: &mut Variables) -> Result<Vec<Dense>, ImportErrorKind> {
    let mut builder = Builder::default();
    for step in steps {
        match step {
            Step::Dense { group, units, has_bias, activation } => {
                let mut layer = read_dense(variables, group, *units, *has_bias, builder.width())?;
                layer.activation = *activation;
                builder.push(layer);
            }
            Step::Norm { group, epsilon, has_gamma, has_beta } => {
                let norm = read_norm(variables, group, *epsilon, [*has_gamma, *has_beta], builder.width())?;
                builder.normalise(&norm);
            }
            Step::Activation { layer, activation } => builder.activate(layer, *activation)?,
        }
    }
    builder.finish()
}

impl Builder {
    /// Values behind the steps so far; not known before the first.
    fn width(&self) -> Option<u64> {
        let waiting = self.waiting.as_ref().map(Affine::len);
        waiting.or_else(|| self.layers.last().map(Dense::outputs)).map(|width| width as u64)
    }

    fn push(&mut self, layer: Dense) {
        let folded = self.waiting.take().map(|norm| norm.before(&layer));
        self.layers.push(folded.unwrap_or(layer));
    }

    fn normalise(&mut self, norm: &Affine) {
        match (&self.waiting, self.layers.last_mut()) {
            (None, Some(last)) if last.activation == Activation::Linear => *last = norm.after(last),
            (waiting, _) => {
                self.waiting = Some(waiting.as_ref().map_or_else(|| norm.clone(), |first| first.then(norm)));
            }
        }
    }

    fn activate(&mut self, layer: &str, activation: Activation) -> Result<(), ImportErrorKind> {
        match (&self.waiting, self.layers.last_mut()) {
            (_, _) if activation == Activation::Linear => Ok(()),
            (None, Some(last)) if last.activation == Activation::Linear => {
                last.activation = activation;
                Ok(())
            }
            _ => Err(ImportErrorKind::Unsupported {
                layer: layer.to_owned(),
                what: "an activation that does not follow the sums of a Dense layer".to_owned(),
                known: "one behind a Dense layer without activation is",
            }),
        }
    }

    fn finish(self) -> Result<Vec<Dense>, ImportErrorKind> {
        let softmax = self.layers.last().is_some_and(|last| last.activation == Activation::Softmax);
        if !softmax || self.waiting.is_some() {
            return Err(ImportErrorKind::Layers("the model does not end in a softmax".to_owned()));
        }
        if self.layers.last().is_some_and(|last| last.outputs() < 2) {
            return Err(ImportErrorKind::Layers("the model has one class, and a classifier has at least 2".to_owned()));
        }
        Ok(self.layers)
    }
}

/// Kernel (variable 0) and bias (variable 1); no activation.
fn read_dense(
    variables: &mut Variables,
    group: &str,
    units: u64,
    has_bias: bool,
    inputs: Option<u64>,
) -> Result<Dense, ImportErrorKind> {
    let expected = inputs.map_or_else(|| format!("[inputs, {units}]"), |inputs| format!("[{inputs}, {units}]"));
    let fits = |shape: &[u64]| matches!(shape, [rows, columns] if *columns == units && inputs.is_none_or(|inputs| inputs == *rows));
    let (weights, _) = variables.read(group, 0, &expected, fits)?;
    let bias = if has_bias { variables.vector(group, 1, units)? } else { vec![0.0; units as usize] };
    Ok(Dense { weights, bias, activation: Activation::Linear })
}

/// Scale and shift, each where there is one, then mean and variance.
fn read_norm(
    variables: &mut Variables,
    group: &str,
    epsilon: f64,
    [has_gamma, has_beta]: [bool; 2],
    width: Option<u64>,
) -> Result<Affine, ImportErrorKind> {
    let mut index = 0;
    let mut width = width;
    let mut next = || {
        let expected = width.map_or_else(|| "[values]".to_owned(), |width| format!("[{width}]"));
        let fits = |shape: &[u64]| matches!(shape, [found] if width.is_none_or(|width| width == *found));
        let (values, shape) = variables.read(group, index, &expected, fits)?;
        index += 1;
        width = shape.first().copied();
        Ok(values)
    };
    let gamma = has_gamma.then(&mut next).transpose()?;
    let beta = has_beta.then(&mut next).transpose()?;
    let (mean, variance) = (next()?, next()?);
    if variance.iter().any(|&variance| variance < 0.0) {
        return Err(ImportErrorKind::Value(format!("layers/{group}/vars/{}", index - 1)));
    }
    Ok(Affine::of_batch_norm(gamma.as_deref(), beta.as_deref(), &mean, &variance, epsilon))
}

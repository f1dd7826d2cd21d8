//! A head as dense layers, for formats that keep no batch normalisation: each folds into the layer behind it.

use super::mlp::EPSILON;
use super::record::HeadRecord;
use crate::dense::{Activation, Affine, Dense};

impl HeadRecord {
    /// The layers behind the normaliser, first to last, of the record of a head; the last one ends in `scores`.
    ///
    /// # Panics
    ///
    /// When a tensor is missing, which the record of a head does not lack.
    pub(crate) fn into_layers(mut self, scores: Activation) -> Vec<Dense> {
        if self.0.contains_key("linear.weight") {
            return vec![self.take_layer("linear", scores)];
        }
        let mut layers = Vec::new();
        let mut norm: Option<Affine> = None;
        while self.0.contains_key(&format!("hidden.{}.linear.weight", layers.len())) {
            let prefix = format!("hidden.{}", layers.len());
            let layer = self.take_layer(&format!("{prefix}.linear"), Activation::Relu);
            layers.push(behind(norm.as_ref(), layer));
            norm = Some(self.take_norm(&format!("{prefix}.norm")));
        }
        let output = self.take_layer("output", scores);
        layers.push(behind(norm.as_ref(), output));
        layers
    }

    fn take_layer(&mut self, prefix: &str, activation: Activation) -> Dense {
        let weights = self.take_values(&format!("{prefix}.weight"));
        Dense { weights, bias: self.take_values(&format!("{prefix}.bias")), activation }
    }

    fn take_norm(&mut self, prefix: &str) -> Affine {
        let [gamma, beta, mean, variance] =
            ["gamma", "beta", "running_mean", "running_var"].map(|name| self.take_values(&format!("{prefix}.{name}")));
        Affine::of_batch_norm(Some(&gamma), Some(&beta), &mean, &variance, EPSILON)
    }

    fn take_values(&mut self, name: &str) -> Vec<f32> {
        self.0.remove(name).map(|tensor| tensor.values).expect("the record of a head is complete")
    }
}

fn behind(norm: Option<&Affine>, layer: Dense) -> Dense {
    match norm {
        Some(norm) => norm.before(&layer),
        None => layer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::record::TensorRecord;

    /// A record of tensors of made-up values with these shapes.
    fn record(tensors: &[(&str, &[usize])]) -> HeadRecord {
        let made_up = |(at, (name, shape)): (usize, &(&str, &[usize]))| {
            let value = |i: usize| ((at * 31 + i * 17) % 23) as f32 / 23.0;
            let values = (0..shape.iter().product()).map(value).collect();
            ((*name).to_owned(), TensorRecord { shape: shape.to_vec(), values })
        };
        HeadRecord(tensors.iter().enumerate().map(made_up).collect())
    }

    #[test]
    fn a_linear_head_is_one_layer() {
        let record = record(&[("linear.weight", &[3, 2]), ("linear.bias", &[2])]);
        let layers = record.clone().into_layers(Activation::Softmax);
        let values = |name: &str| record.0[name].values.clone();
        let (weights, bias) = (values("linear.weight"), values("linear.bias"));
        assert_eq!(layers, [Dense { weights, bias, activation: Activation::Softmax }]);
    }

    #[test]
    fn batch_norms_between_layers_are_folded_away() {
        let mut tensors = Vec::new();
        let names: Vec<String> = (0..2)
            .flat_map(|n| {
                ["linear.weight", "linear.bias", "norm.gamma", "norm.beta", "norm.running_mean", "norm.running_var"]
                    .map(|name| format!("hidden.{n}.{name}"))
            })
            .collect();
        for (at, name) in names.iter().enumerate() {
            let shape: &[usize] = if at == 0 || at == 6 { &[4, 4] } else { &[4] };
            tensors.push((name.as_str(), shape));
        }
        tensors.extend([("output.weight", &[4, 3][..]), ("output.bias", &[3])]);
        let record = record(&tensors);

        let row = [0.5, -1.0, 2.0, 0.25];
        let mut expected = row.to_vec();
        let dense = |prefix: &str, activation| Dense {
            weights: record.0[&format!("{prefix}.weight")].values.clone(),
            bias: record.0[&format!("{prefix}.bias")].values.clone(),
            activation,
        };
        for n in 0..2 {
            expected = dense(&format!("hidden.{n}.linear"), Activation::Relu).apply(&expected);
            let norm = |name: &str, i: usize| record.0[&format!("hidden.{n}.norm.{name}")].values[i];
            for (i, x) in expected.iter_mut().enumerate() {
                let deviation = (norm("running_var", i) + 1e-3).sqrt();
                *x = (*x - norm("running_mean", i)) / deviation * norm("gamma", i) + norm("beta", i);
            }
        }
        let expected = dense("output", Activation::Sigmoid).apply(&expected);
        let layers = record.clone().into_layers(Activation::Sigmoid);
        assert_eq!(layers.len(), 3);
        let found = layers.iter().fold(row.to_vec(), |row, layer| layer.apply(&row));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} and {expected:?}");
    }
}

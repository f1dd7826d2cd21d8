//! A model as an ONNX file.

use super::Artefact;
use crate::ModelError;
use crate::dense::Activation;
use crate::export::{ExportError, HeadSpec, head_onnx, yamnet_onnx};
use crate::head::{HeadRecord, Scores};
use crate::open::yamnet_weights;
use crate::weights::WeightsCache;

impl Artefact {
    /// The head alone, for pooled embeddings; see [`head_onnx`].
    pub fn head_onnx(&self, version: &str) -> Result<Vec<u8>, ModelError> {
        self.with_spec(version, |spec| Ok(head_onnx(spec)?))
    }

    /// YAMNet and the head behind it, for samples; see [`yamnet_onnx`]. The weights are those that the model was trained with.
    pub fn yamnet_onnx(&self, version: &str, cache: &WeightsCache) -> Result<Vec<u8>, ModelError> {
        if self.meta.embedder.name != "yamnet" {
            return Err(ExportError::OtherEmbedder(self.meta.embedder.clone()).into());
        }
        if self.meta.train.window > 0 {
            return Err(ExportError::Windows.into());
        }
        let weights = yamnet_weights(&self.meta.embedder, cache)?;
        self.with_spec(version, |spec| Ok(yamnet_onnx(spec, &weights)?))
    }

    fn with_spec<T>(
        &self,
        version: &str,
        export: impl FnOnce(&HeadSpec<'_>) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let layers = HeadRecord::from(&self.head).into_layers(match self.head.scores() {
            Scores::Softmax => Activation::Softmax,
            Scores::Sigmoid => Activation::Sigmoid,
        });
        let decision = self.meta.decision();
        let normaliser = self.head.normaliser();
        export(&HeadSpec {
            mean: &normaliser.mean,
            scale: &normaliser.scale,
            layers: &layers,
            // The fitted one is folded into the weights of the last layer.
            temperature: 1.0,
            fitted_temperature: self.meta.selection.as_ref().map(|selection| selection.fitted_temperature),
            decision: &decision,
            summary: self.meta.train.summary(),
            embedder: &self.meta.embedder,
            version,
            is_leaky: self.meta.is_leaky,
            digest: &self.digest()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefact::tests::artefact;
    use crate::head::HeadKind;

    #[test]
    fn what_is_exported_gives_the_probabilities_of_the_head() {
        let x: Vec<f32> = (0..50 * 4).map(|i| (i * 13 % 17) as f32 - 8.0).collect();
        for kind in [HeadKind::Linear, HeadKind::Mlp] {
            let artefact = artefact(kind);
            let found: Vec<f32> = artefact
                .with_spec("v", |spec| {
                    let score = |row: &[f32]| {
                        let row =
                            row.iter().zip(spec.mean).zip(spec.scale).map(|((x, mean), scale)| (x - mean) / scale);
                        spec.layers.iter().fold(row.collect(), |row: Vec<f32>, layer| layer.apply(&row))
                    };
                    Ok(x.chunks(4).flat_map(score).collect())
                })
                .unwrap();
            let expected = artefact.head.probabilities(&x);
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(found.len() == expected.len() && apart < 1e-5, "{kind:?}: {apart}");
            assert!(artefact.head_onnx("v").is_ok_and(|bytes| !bytes.is_empty()));
            let error = artefact.yamnet_onnx("v", &WeightsCache::new(std::path::Path::new("nowhere"))).unwrap_err();
            assert!(error.to_string().contains("logmel") && error.hint().is_some(), "{error}");
        }
    }
}

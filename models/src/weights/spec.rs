//! Names and shapes of YAMNet's tensors, as Keras stores them.

use crate::yamnet::{BLOCKS, CLASSES, EMBEDDING_DIM, STEM_CHANNELS};

/// One tensor of the published network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Keras layer, such as `layer2/depthwise_conv/bn`.
    pub layer: String,
    /// Variable of the layer, such as `moving_mean`.
    pub variable: &'static str,
    /// Shape in TensorFlow's order: `[height, width, in, out]` for kernels.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// The name under which the tensor is kept: `<layer>/<variable>`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.layer, self.variable)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values; never so for YAMNet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Layer name of the classifier. The published file calls it so; others are looked for by shape.
pub(super) const CLASSIFIER: &str = "logits";

/// All tensors of YAMNet in the order of the network (YAMNet's `yamnet.py`): each convolution with its batch
/// normalisation (no scale), then the classifier.
pub fn tensor_specs() -> Vec<TensorSpec> {
    let mut specs = Vec::new();
    let mut convolution = |layer: String, variable, shape: [usize; 4], channels: usize| {
        let normalisation = format!("{layer}/bn");
        specs.push(TensorSpec { layer, variable, shape: shape.to_vec() });
        for variable in ["beta", "moving_mean", "moving_variance"] {
            specs.push(TensorSpec { layer: normalisation.clone(), variable, shape: vec![channels] });
        }
    };
    convolution("layer1/conv".to_owned(), "kernel", [3, 3, 1, STEM_CHANNELS], STEM_CHANNELS);
    let mut channels = STEM_CHANNELS;
    for (layer, block) in (2..).zip(BLOCKS) {
        let depthwise = format!("layer{layer}/depthwise_conv");
        convolution(depthwise, "depthwise_kernel", [3, 3, channels, 1], channels);
        let pointwise = format!("layer{layer}/pointwise_conv");
        convolution(pointwise, "kernel", [1, 1, channels, block.channels], block.channels);
        channels = block.channels;
    }
    let logits = |variable, shape| TensorSpec { layer: CLASSIFIER.to_owned(), variable, shape };
    specs.push(logits("kernel", vec![EMBEDDING_DIM, CLASSES]));
    specs.push(logits("bias", vec![CLASSES]));
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_has_the_published_number_of_parameters() {
        let total: usize = tensor_specs().iter().map(TensorSpec::len).sum();
        assert_eq!(total, 3_751_369, "the count of Keras' `Model.summary` for YAMNet");
    }
}

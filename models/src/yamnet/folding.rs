//! A convolution and its batch normalisation as one convolution with a bias, in the layout of the network.
//!
//! At inference the normalisation is `(y - mean) / sqrt(variance + epsilon) + beta` (no scale in YAMNet), which is linear,
//! so it folds into the kernel. This halves the passes over the activations and changes the embeddings by rounding only.

use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::BATCH_NORM_EPSILON;
use crate::weights::YamnetWeights;

/// Taps of a 3×3 kernel.
pub(crate) const TAPS: usize = 9;

/// A folded convolution: `kernel` `[rows, columns]` and `bias` `[out]`.
pub(crate) struct Folded {
    pub(crate) kernel: Vec<f32>,
    shape: [usize; 2],
    pub(crate) bias: Vec<f32>,
}

impl Folded {
    /// The stem, kernel `[32, 9]`, taps mirrored.
    pub(crate) fn stem(weights: &YamnetWeights) -> Self {
        // `[3, 3, 1, out]` in TensorFlow: taps by out.
        Self::transposed(weights, "layer1/conv", "kernel", TAPS, |tap| TAPS - 1 - tap)
    }

    /// A depthwise convolution, kernel `[channels, 9]`, taps mirrored.
    pub(crate) fn depthwise(weights: &YamnetWeights, layer: usize) -> Self {
        // `[3, 3, channels, 1]` in TensorFlow: taps by channels.
        let name = format!("layer{layer}/depthwise_conv");
        Self::transposed(weights, &name, "depthwise_kernel", TAPS, |tap| TAPS - 1 - tap)
    }

    /// A pointwise convolution, kernel `[out, in]`.
    pub(crate) fn pointwise(weights: &YamnetWeights, layer: usize, inputs: usize) -> Self {
        // `[1, 1, in, out]` in TensorFlow.
        Self::transposed(weights, &format!("layer{layer}/pointwise_conv"), "kernel", inputs, |input| input)
    }

    /// Reads a kernel `[columns, out]`, scales it and turns it into `[out, columns]`, its columns taken from `source`.
    fn transposed(
        weights: &YamnetWeights,
        layer: &str,
        variable: &str,
        columns: usize,
        source: impl Fn(usize) -> usize,
    ) -> Self {
        let kernel = weights.tensor(&format!("{layer}/{variable}"));
        let normalisation = |variable: &str| weights.tensor(&format!("{layer}/bn/{variable}"));
        let (beta, mean, variance) =
            (normalisation("beta"), normalisation("moving_mean"), normalisation("moving_variance"));
        let out = beta.len();
        let scale: Vec<f32> = variance.iter().map(|v| (v + BATCH_NORM_EPSILON).sqrt().recip()).collect();
        Self {
            kernel: (0..out * columns)
                .map(|i| (i / columns, i % columns))
                .map(|(row, column)| kernel[source(column) * out + row] * scale[row])
                .collect(),
            shape: [out, columns],
            bias: beta.iter().zip(mean).zip(&scale).map(|((beta, mean), scale)| beta - mean * scale).collect(),
        }
    }

    /// The kernel `[out, columns]` on `device`.
    pub(super) fn kernel(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.kernel.clone(), self.shape), device)
    }

    /// The bias as a column `[out, 1]` on `device`.
    pub(super) fn bias(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.bias.clone(), [self.bias.len(), 1]), device)
    }
}

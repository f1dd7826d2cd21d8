//! The network.
//!
//! Two tricks make it fast on any backend without kernels of our own:
//!
//! * Activations lie as `[channels, height, width, patches]`. A pointwise convolution is then one matrix product over
//!   all patches, and a depthwise one is a convolution of an image of width `width · patches` that is dilated by
//!   `patches` along that axis, whose innermost loop is long and contiguous.
//! * TensorFlow pads a stride-2 convolution of an even extent at the end only. Patches and kernels are mirrored along
//!   both axes, which puts that padding at the beginning, where ordinary symmetric padding has it; the mean at the end
//!   does not see the mirroring.

use burn::module::{Module, Param};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, s};

use super::architecture::{BLOCKS, CLASSES, EMBEDDING_DIM, STEM_CHANNELS};
use super::folding::{Folded, TAPS};
use crate::frontend::MEL_BANDS;
use crate::frontend::params::PATCH_FRAMES;
use crate::weights::YamnetWeights;

/// YAMNet for inference, batch normalisation folded into the convolutions.
#[derive(Module, Debug)]
pub struct Yamnet {
    stem: Param<Tensor<2>>,
    stem_bias: Param<Tensor<2>>,
    blocks: Vec<SeparableBlock>,
    classifier: Param<Tensor<2>>,
    classifier_bias: Param<Tensor<2>>,
}

/// What the network makes of patches.
#[derive(Clone, Debug)]
pub struct YamnetOutput {
    /// Mean of the last activations over time and frequency, `[patches, 1024]`.
    pub embeddings: Tensor<2>,
    /// Probability of each AudioSet class, `[patches, 521]`.
    pub scores: Tensor<2>,
}

#[derive(Module, Debug)]
struct SeparableBlock {
    /// `[channels, 1, 3, 3]`, mirrored.
    depthwise: Param<Tensor<4>>,
    depthwise_bias: Param<Tensor<2>>,
    /// `[out, in]`.
    pointwise: Param<Tensor<2>>,
    pointwise_bias: Param<Tensor<2>>,
    stride: usize,
}

/// Activations `[channels, height · width · patches]` with their extents.
struct Activations {
    values: Tensor<2>,
    height: usize,
    width: usize,
    patches: usize,
}

impl Yamnet {
    /// The network with `weights` on `device`.
    pub fn new(weights: &YamnetWeights, device: &Device) -> Self {
        let stem = Folded::stem(weights);
        let mut inputs = STEM_CHANNELS;
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (layer, block) in (2..).zip(BLOCKS) {
            let depthwise = Folded::depthwise(weights, layer);
            let pointwise = Folded::pointwise(weights, layer, inputs);
            blocks.push(SeparableBlock {
                depthwise: Param::from_tensor(depthwise.kernel(device).reshape([inputs, 1, 3, 3])),
                depthwise_bias: Param::from_tensor(depthwise.bias(device)),
                pointwise: Param::from_tensor(pointwise.kernel(device)),
                pointwise_bias: Param::from_tensor(pointwise.bias(device)),
                stride: block.stride,
            });
            inputs = block.channels;
        }
        let matrix = |name: &str, shape: [usize; 2]| {
            Param::from_tensor(Tensor::from_data(TensorData::new(weights.tensor(name).to_vec(), shape), device))
        };
        Self {
            stem: Param::from_tensor(stem.kernel(device)),
            stem_bias: Param::from_tensor(stem.bias(device)),
            blocks,
            classifier: matrix("logits/kernel", [EMBEDDING_DIM, CLASSES]),
            classifier_bias: matrix("logits/bias", [1, CLASSES]),
        }
    }

    /// Embeddings and scores of log-mel `patches` `[patches, 96, 64]`.
    pub fn forward(&self, patches: Tensor<3>) -> YamnetOutput {
        let embeddings = self.embed(patches);
        let logits = embeddings.clone().matmul(self.classifier.val()) + self.classifier_bias.val();
        YamnetOutput { embeddings, scores: sigmoid(logits) }
    }

    /// Embeddings `[patches, 1024]` of log-mel `patches` `[patches, 96, 64]`.
    pub fn embed(&self, patches: Tensor<3>) -> Tensor<2> {
        let mut x = self.stem(patches);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let Activations { values, height, width, patches } = x;
        values
            .reshape([EMBEDDING_DIM, height * width, patches])
            .mean_dim(1)
            .reshape([EMBEDDING_DIM, patches])
            .transpose()
    }

    /// The first convolution, 3×3 with stride 2, as a matrix product over its nine taps.
    fn stem(&self, patches: Tensor<3>) -> Activations {
        let [count, _, _] = patches.dims();
        let (height, width) = (PATCH_FRAMES / 2, MEL_BANDS / 2);
        let mirrored = patches.flip([1, 2]).permute([1, 2, 0]);
        let padded = mirrored.pad([(1, 0), (1, 0), (0, 0)], 0.0);
        let tap = |index: usize| {
            let (row, column) = ((index / 3) as isize, (index % 3) as isize);
            let (rows, columns) = (row + 2 * height as isize - 1, column + 2 * width as isize - 1);
            padded.clone().slice(s![row..rows;2, column..columns;2, ..]).reshape([1, height * width * count])
        };
        let taps = Tensor::cat((0..TAPS).map(tap).collect(), 0);
        let values = relu(self.stem.val().matmul(taps) + self.stem_bias.val());
        Activations { values, height, width, patches: count }
    }
}

impl SeparableBlock {
    fn forward(&self, x: Activations) -> Activations {
        let Activations { values, height, width, patches } = x;
        let [channels, _] = values.dims();
        let image = values.reshape([1, channels, height, width * patches]);
        // Along the width the stride would skip whole groups of patches, so all columns are computed there and every
        // other one is dropped.
        let options = ConvOptions::new([self.stride, 1], [1, patches], [1, patches], channels);
        let filtered = conv2d(image, self.depthwise.val(), None, options);
        let (height, width) = (height / self.stride, width / self.stride);
        let columns = filtered.reshape([channels * height * width, self.stride * patches]);
        let kept = columns.slice(s![.., 0..patches]).reshape([channels, height * width * patches]);
        let between = relu(kept + self.depthwise_bias.val());
        let values = relu(self.pointwise.val().matmul(between) + self.pointwise_bias.val());
        Activations { values, height, width, patches }
    }
}

//! The shape of the network, from YAMNet's `yamnet.py` and `params.py`: `MobileNet` v1 on log-mel patches.

/// Classes of AudioSet that the network scores.
pub const CLASSES: usize = 521;

/// Values of an embedding.
pub const EMBEDDING_DIM: usize = 1024;

/// Channels behind the first convolution, 3×3 with stride 2.
pub const STEM_CHANNELS: usize = 32;

/// Added to the variance in batch normalisation.
pub(super) const BATCH_NORM_EPSILON: f32 = 1e-4;

/// One depthwise-separable block: 3×3 depthwise, then 1×1 pointwise convolution, each with batch normalisation and
/// rectifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Stride of the depthwise convolution along both axes.
    pub stride: usize,
    /// Output channels of the pointwise convolution.
    pub channels: usize,
}

/// The thirteen blocks, `layer2` to `layer14`.
pub const BLOCKS: [Block; 13] = [
    Block { stride: 1, channels: 64 },
    Block { stride: 2, channels: 128 },
    Block { stride: 1, channels: 128 },
    Block { stride: 2, channels: 256 },
    Block { stride: 1, channels: 256 },
    Block { stride: 2, channels: 512 },
    Block { stride: 1, channels: 512 },
    Block { stride: 1, channels: 512 },
    Block { stride: 1, channels: 512 },
    Block { stride: 1, channels: 512 },
    Block { stride: 1, channels: 512 },
    Block { stride: 2, channels: 1024 },
    Block { stride: 1, channels: 1024 },
];

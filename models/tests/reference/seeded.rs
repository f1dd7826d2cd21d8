//! Weights and waveforms from a portable generator; the same in `tests/oracles/yamnet_seeded.py`.

use ecosight_models::weights::{TensorSpec, YamnetWeights, tensor_specs};

/// Value `index` of stream `stream`, uniform in [0, 1) with 24 bits: `SplitMix64` of `stream · 2³² + index`.
fn uniform(stream: u64, index: u64) -> f32 {
    let mut z = (stream << 32 | index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f32 / (1u32 << 24) as f32
}

/// `count` values in [low, low + width).
fn stream(stream: u64, count: usize, low: f32, width: f32) -> Vec<f32> {
    (0..count as u64).map(|index| low + width * uniform(stream, index)).collect()
}

/// Weights that keep activations and their gradients of the order of one.
pub(crate) fn weights() -> YamnetWeights {
    let specs = tensor_specs();
    let values = |spec: &TensorSpec| {
        let index = specs.iter().position(|other| other == spec).unwrap() as u64;
        let (low, width) = match spec.variable {
            "moving_variance" => (0.5, 1.0),
            "beta" | "moving_mean" | "bias" => (-0.1, 0.2),
            variable => {
                let last = if variable == "depthwise_kernel" { 2 } else { spec.shape.len() - 1 };
                let fan_in: usize = spec.shape[..last].iter().product();
                let bound = (6.0 / fan_in as f64).sqrt() as f32;
                (-bound, 2.0 * bound)
            }
        };
        stream(index, spec.len(), low, width)
    };
    YamnetWeights::from_fn(values).unwrap()
}

/// White noise whose loudness rises and falls over `count` samples, so that frames differ.
pub(crate) fn waveform(count: usize) -> Vec<f32> {
    let loudness = |i: usize| (i % 8_000) as f32 / 8_000.0;
    stream(1_000, count, -0.5, 1.0).iter().enumerate().map(|(i, value)| value * loudness(i)).collect()
}

/// Uniform noise in [-1, 1).
pub(crate) fn noise(count: usize) -> Vec<f32> {
    stream(1_001, count, -1.0, 2.0)
}

//! YAMNet's network: patches to embeddings.

use super::graph::{Graph, Value, int, ints};
use crate::weights::YamnetWeights;
use crate::yamnet::{BLOCKS, Folded, STEM_CHANNELS, TAPS};

/// Embeddings `[patches, 1024]`, under the name `name`, of `patches` `[patches, 1, 96, 64]`.
pub(super) fn add_network(graph: &mut Graph, weights: &YamnetWeights, patches: &Value, name: &str) -> Value {
    let mut x = add_3x3(graph, "layer1/conv", patches, &Folded::stem(weights), 2, 1);
    let mut channels = STEM_CHANNELS;
    for (layer, block) in (2..).zip(BLOCKS) {
        let depthwise = Folded::depthwise(weights, layer);
        x = add_3x3(graph, &format!("layer{layer}/depthwise_conv"), &x, &depthwise, block.stride, channels);
        let pointwise = Folded::pointwise(weights, layer, channels);
        let shape = [block.channels, channels, 1, 1];
        let name = format!("layer{layer}/pointwise_conv");
        let kernel = graph.f32s(&format!("{name}/kernel"), &shape, &pointwise.kernel);
        x = add_conv(graph, &name, &x, &kernel, &pointwise.bias, &[ints("kernel_shape", &[1, 1])]);
        channels = block.channels;
    }
    let mean = graph.node("GlobalAveragePool", "embeddings.image", &[&x], &[]);
    graph.node("Flatten", name, &[&mean], &[int("axis", 1)])
}

/// A 3×3 convolution with one input channel in each of `groups`. TensorFlow pads one line on both sides, and where the stride is 2 and
/// the extent even, as they all are here, at the end only.
fn add_3x3(graph: &mut Graph, name: &str, x: &Value, folded: &Folded, stride: usize, groups: usize) -> Value {
    // The folded taps are mirrored, for a network that mirrors its patches; this one does not.
    let kernel: Vec<f32> = folded.kernel.chunks_exact(TAPS).flat_map(|taps| taps.iter().rev().copied()).collect();
    let kernel = graph.f32s(&format!("{name}/kernel"), &[folded.bias.len(), 1, 3, 3], &kernel);
    let before = i64::from(stride == 1);
    let arguments = [
        ints("kernel_shape", &[3, 3]),
        ints("strides", &[stride as i64; 2]),
        ints("pads", &[before, before, 1, 1]),
        int("group", groups as i64),
    ];
    add_conv(graph, name, x, &kernel, &folded.bias, &arguments)
}

/// A convolution with bias and rectifier.
fn add_conv(
    graph: &mut Graph,
    name: &str,
    x: &Value,
    kernel: &Value,
    bias: &[f32],
    arguments: &[super::proto::Attribute],
) -> Value {
    let bias = graph.f32s(&format!("{name}/bias"), &[bias.len()], bias);
    let sums = graph.node("Conv", name, &[x, kernel, &bias], arguments);
    graph.node("Relu", &format!("{name}/relu"), &[&sums], &[])
}

//! The head: pooled rows to probabilities and labels.

use super::graph::{Element, Extent, Graph, Value, int};
use super::metadata::metadata;
use super::{ExportError, HeadSpec};
use crate::dense::Activation;

/// Name of the probabilities among the outputs.
pub(super) const PROBABILITIES: &str = "probabilities";

/// The head as an ONNX model.
///
/// Input `embedding`: pooled rows, `[n, dim]` f32. Outputs: `probabilities`, `[n, classes]` f32, and, for softmax, `label`, `[n]` text:
/// the most probable class, the first of equals.
pub fn head_onnx(spec: &HeadSpec<'_>) -> Result<Vec<u8>, ExportError> {
    spec.check()?;
    let rows = Extent::Named("n");
    let mut graph = Graph::new("ecosight-head");
    let embedding = graph.input("embedding", Element::F32, &[rows, Extent::Fixed(spec.dim())]);
    let probabilities = add_head(&mut graph, spec, &embedding, PROBABILITIES);
    graph.output(&probabilities, Element::F32, &[rows, Extent::Fixed(spec.classes.len())]);
    add_label(&mut graph, spec, &probabilities, &[rows]);
    Ok(graph.into_model(metadata(spec)))
}

/// Probabilities, `[n, classes]`, of `rows`, `[n, dim]`, under the name `name`.
pub(super) fn add_head(graph: &mut Graph, spec: &HeadSpec<'_>, rows: &Value, name: &str) -> Value {
    let mean = graph.f32s("normaliser.mean", &[spec.dim()], spec.mean);
    let scale = graph.f32s("normaliser.scale", &[spec.dim()], spec.scale);
    let centred = graph.node("Sub", "centred", &[rows, &mean], &[]);
    let mut x = graph.node("Div", "standardised", &[&centred, &scale], &[]);
    for (index, layer) in spec.layers.iter().enumerate() {
        let layer_name = format!("layers.{index}");
        let shape = [layer.inputs(), layer.outputs()];
        let weights = graph.f32s(&format!("{layer_name}.weights"), &shape, &layer.weights);
        let bias = graph.f32s(&format!("{layer_name}.bias"), &shape[1..], &layer.bias);
        x = graph.node("Gemm", &layer_name, &[&x, &weights, &bias], &[]);
        if layer.activation == Activation::Relu {
            x = graph.node("Relu", &format!("{layer_name}.relu"), &[&x], &[]);
        }
    }
    let temperature = graph.f32s("temperature", &[], &[spec.temperature as f32]);
    let logits = graph.node("Div", "calibrated", &[&x, &temperature], &[]);
    if spec.scores() == Activation::Sigmoid {
        graph.node("Sigmoid", name, &[&logits], &[])
    } else {
        graph.node("Softmax", name, &[&logits], &[int("axis", -1)])
    }
}

/// Hands out the most probable label along the last axis of the probabilities, where a clip has just one; `extents` are those of the
/// other axes.
pub(super) fn add_label(graph: &mut Graph, spec: &HeadSpec<'_>, probabilities: &Value, extents: &[Extent]) {
    if spec.scores() == Activation::Sigmoid {
        return;
    }
    let labels = graph.texts("labels", spec.classes);
    let best = graph.node("ArgMax", "best", &[probabilities], &[int("axis", -1), int("keepdims", 0)]);
    let label = graph.node("Gather", "label", &[&labels, &best], &[int("axis", 0)]);
    graph.output(&label, Element::Text, extents);
}

//! The head: pooled rows to probabilities and labels.

use super::graph::{Element, Extent, Graph, Value, int, ints};
use super::metadata::metadata;
use super::{ExportError, HeadSpec};
use crate::dense::Activation;
use crate::head::{UNKNOWN, UnknownLimit};

/// Name of the probabilities among the outputs.
pub(super) const PROBABILITIES: &str = "probabilities";

/// The head as an ONNX model.
///
/// Input `embedding`: pooled rows, `[n, dim]` f32. Outputs: `probabilities`, `[n, classes]` f32, and, for softmax, `label`, `[n]` text:
/// the answer of the model's [`Decision`](crate::decision::Decision).
pub fn head_onnx(spec: &HeadSpec<'_>) -> Result<Vec<u8>, ExportError> {
    spec.check()?;
    let rows = Extent::Named("n");
    let mut graph = Graph::new("ecosight-head");
    let embedding = graph.input("embedding", Element::F32, &[rows, Extent::Fixed(spec.dim())]);
    let scores = add_head(&mut graph, spec, &embedding, PROBABILITIES);
    graph.output(&scores.probabilities, Element::F32, &[rows, Extent::Fixed(spec.classes().len())]);
    if let Some(label) = add_label(&mut graph, spec, &scores) {
        graph.output(&label, Element::Text, &[rows]);
    }
    Ok(graph.into_model(metadata(spec)))
}

/// What the head makes of rows, `[n, classes]` each.
pub(super) struct Scores {
    pub(super) logits: Value,
    pub(super) probabilities: Value,
}

/// Scores of `rows`, `[n, dim]`; the probabilities have the name `name`.
pub(super) fn add_head(graph: &mut Graph, spec: &HeadSpec<'_>, rows: &Value, name: &str) -> Scores {
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
    let probabilities = if spec.scores() == Activation::Sigmoid {
        graph.node("Sigmoid", name, &[&logits], &[])
    } else {
        graph.node("Softmax", name, &[&logits], &[int("axis", -1)])
    };
    Scores { logits, probabilities }
}

/// The label of each row, `[n]` text, where a clip has just one: [`Decision::answer`](crate::decision::Decision::answer) in operators.
///
/// A class that is never answered has an infinite threshold. `unknown` stands behind the classes in the table of labels.
pub(super) fn add_label(graph: &mut Graph, spec: &HeadSpec<'_>, scores: &Scores) -> Option<Value> {
    if spec.scores() == Activation::Sigmoid {
        return None;
    }
    let decision = spec.decision;
    let unknown = decision.classes.len() as i64;
    let texts: Vec<String> = decision.classes.iter().cloned().chain([UNKNOWN.to_owned()]).collect();
    let labels = graph.texts("labels", &texts);
    let thresholds: Vec<f32> = decision.thresholds.iter().map(|found| found.unwrap_or(f32::INFINITY)).collect();
    let thresholds = graph.f32s("thresholds", &[thresholds.len()], &thresholds);
    let fallback = decision.fallback().class().map_or(unknown, |class| class as i64);
    let fallback = graph.i64s("fallback", &[], &[fallback]);
    let best = graph.node("ArgMax", "best", &[&scores.probabilities], &[int("axis", -1), int("keepdims", 0)]);
    let highest = [ints("axes", &[-1]), int("keepdims", 0)];
    let highest = graph.node("ReduceMax", "highest", &[&scores.probabilities], &highest);
    let least = graph.node("Gather", "least", &[&thresholds, &best], &[int("axis", 0)]);
    let passes = graph.node("GreaterOrEqual", "passes", &[&highest, &least], &[]);
    let mut answer = graph.node("Where", "answer.known", &[&passes, &best, &fallback], &[]);
    if let Some(limit) = decision.unknown {
        let is_unknown = match limit {
            UnknownLimit::Probability(limit) => {
                let limit = graph.f32s("unknown.limit", &[], &[limit as f32]);
                graph.node("Less", "is_unknown", &[&highest, &limit], &[])
            }
            UnknownLimit::Energy(limit) => {
                let limit = graph.f32s("unknown.limit", &[], &[limit as f32]);
                let over_classes = [ints("axes", &[-1]), int("keepdims", 0)];
                let log_sum = graph.node("ReduceLogSumExp", "log_sum_exp", &[&scores.logits], &over_classes);
                let energy = graph.node("Neg", "energy", &[&log_sum], &[]);
                graph.node("Greater", "is_unknown", &[&energy, &limit], &[])
            }
        };
        let index = graph.i64s("unknown.index", &[], &[unknown]);
        answer = graph.node("Where", "answer", &[&is_unknown, &index, &answer], &[]);
    }
    Some(graph.node("Gather", "label", &[&labels, &answer], &[int("axis", 0)]))
}

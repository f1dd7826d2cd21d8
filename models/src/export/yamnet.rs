//! Everything from samples to probabilities in one graph.

use super::frontend::add_frontend;
use super::graph::{Element, Extent, Graph, Value};
use super::head::{PROBABILITIES, Scores, add_head, add_label};
use super::metadata::{entry, metadata};
use super::mobilenet::add_network;
use super::pooling::add_pooling;
use super::{ExportError, HeadSpec};
use crate::embedder::{Dtype, EmbedderId, Precision};
use crate::frontend::SAMPLE_RATE_HZ;
use crate::weights::YamnetWeights;
use crate::yamnet::{EMBEDDING_DIM, identity};

const EMBEDDINGS: &str = "embeddings";

/// YAMNet and the head behind it as an ONNX model, for a head that was trained with these weights.
///
/// Input `waveform`: a clip, `[samples]` f32, 16 kHz mono, of any length; all of it is held in memory several times over, so hours are to be
/// cut first. Outputs: `probabilities`, `[classes]` f32, `embeddings`, `[patches, 1024]` f32, and, for softmax, `label`, one text.
pub fn yamnet_onnx(spec: &HeadSpec<'_>, weights: &YamnetWeights) -> Result<Vec<u8>, ExportError> {
    spec.check()?;
    check_embedder(spec, weights)?;
    let mut graph = Graph::new("ecosight-yamnet");
    let waveform = graph.input("waveform", Element::F32, &[Extent::Named("samples")]);
    let patches = add_frontend(&mut graph, &waveform);
    let embeddings = add_embeddings(&mut graph, weights, &patches, spec.embedder.dtype);
    let row = add_pooling(&mut graph, spec.summary, &embeddings);
    let row = add_head(&mut graph, spec, &row, "probabilities.row");
    let first = graph.i64s("first_axis", &[1], &[0]);
    let probabilities = graph.node("Squeeze", PROBABILITIES, &[&row.probabilities, &first], &[]);
    let logits = graph.node("Squeeze", "logits", &[&row.logits, &first], &[]);
    graph.output(&probabilities, Element::F32, &[Extent::Fixed(spec.classes().len())]);
    graph.output(&embeddings, Element::F32, &[Extent::Named("patches"), Extent::Fixed(EMBEDDING_DIM)]);
    if let Some(label) = add_label(&mut graph, spec, &Scores { logits, probabilities }) {
        graph.output(&label, Element::Text, &[]);
    }
    let mut metadata = metadata(spec);
    metadata.push(entry("sample_rate_hz", SAMPLE_RATE_HZ.to_string()));
    Ok(graph.into_model(metadata))
}

/// The embeddings, rounded where the head was trained on rounded ones.
fn add_embeddings(graph: &mut Graph, weights: &YamnetWeights, patches: &Value, dtype: Dtype) -> Value {
    match dtype {
        Dtype::F32 => add_network(graph, weights, patches, EMBEDDINGS),
        Dtype::F16 => {
            let exact = add_network(graph, weights, patches, "embeddings.exact");
            let half = graph.cast("embeddings.half", &exact, Element::F16);
            graph.cast(EMBEDDINGS, &half, Element::F32)
        }
    }
}

fn check_embedder(spec: &HeadSpec<'_>, weights: &YamnetWeights) -> Result<(), ExportError> {
    let wanted = spec.embedder;
    if !matches!(wanted.precision, Precision::F32 | Precision::F32Gpu) {
        return Err(ExportError::Precision(wanted.precision));
    }
    let found = EmbedderId { dtype: wanted.dtype, ..identity(weights.content_hash(), wanted.precision) };
    if *wanted != found {
        return Err(ExportError::Embedder { wanted: wanted.clone(), found });
    }
    let expected = spec.summary.dim(EMBEDDING_DIM);
    if spec.dim() == expected {
        Ok(())
    } else {
        Err(ExportError::Length { part: "mean".to_owned(), expected, found: spec.dim() })
    }
}

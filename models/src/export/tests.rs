use std::collections::BTreeSet;

use prost::Message;

use super::graph::Element;
use super::*;
use crate::decision::{Decision, Labelling};
use crate::dense::{Activation, Dense};
use crate::embedder::{Dtype, EmbedderId, Precision};
use crate::head::Pooling;
use crate::weights::YamnetWeights;
use crate::yamnet::identity;

/// The parts of a head over rows of `mean.len()` values.
#[derive(Clone)]
struct Parts {
    mean: Vec<f32>,
    scale: Vec<f32>,
    layers: Vec<Dense>,
    temperature: f64,
    decision: Decision,
    embedder: EmbedderId,
}

fn parts(dim: usize) -> Parts {
    let layer = |inputs, outputs, activation| Dense {
        weights: vec![0.25; inputs * outputs],
        bias: vec![0.5; outputs],
        activation,
    };
    Parts {
        mean: vec![0.5; dim],
        scale: vec![2.0; dim],
        layers: vec![layer(dim, 4, Activation::Relu), layer(4, 3, Activation::Softmax)],
        temperature: 1.5,
        decision: Decision {
            thresholds: vec![Some(0.5), None, Some(0.0)],
            ..Decision::plain(Labelling::Single, &["a", "b", "c"].map(str::to_owned), &["c".to_owned()])
        },
        embedder: identity(weights().content_hash(), Precision::F32),
    }
}

fn weights() -> YamnetWeights {
    YamnetWeights::from_fn(|spec| vec![0.5; spec.len()]).unwrap()
}

impl Parts {
    fn spec(&self) -> HeadSpec<'_> {
        HeadSpec {
            mean: &self.mean,
            scale: &self.scale,
            layers: &self.layers,
            temperature: self.temperature,
            fitted_temperature: Some(2.5),
            decision: &self.decision,
            summary: Pooling::Mean.into(),
            embedder: &self.embedder,
            version: "v1",
            is_leaky: false,
            digest: "d",
        }
    }
}

fn model(bytes: &[u8]) -> proto::Model {
    proto::Model::decode(bytes).unwrap()
}

#[test]
fn every_name_is_given_once_and_before_it_is_used() {
    let whole = yamnet_onnx(&parts(1024).spec(), &weights()).unwrap();
    for bytes in [head_onnx(&parts(5).spec()).unwrap(), whole] {
        let graph = model(&bytes).graph.unwrap();
        let mut known = BTreeSet::new();
        let given = graph.input.iter().map(|v| &v.name).chain(graph.initializer.iter().map(|t| &t.name));
        assert!(given.into_iter().all(|name| known.insert(name)), "a constant has the name of another");
        for node in &graph.node {
            assert!(node.input.iter().all(|name| known.contains(name)), "{} comes too early", node.name);
            assert!(node.output.iter().all(|name| known.insert(name)), "{} is there twice", node.name);
        }
        assert!(graph.output.iter().all(|output| known.contains(&output.name)));
        for tensor in graph.initializer.iter().filter(|tensor| tensor.data_type != Element::Text as i32) {
            let width = if tensor.data_type == Element::F32 as i32 { 4 } else { 8 };
            let values: i64 = tensor.dims.iter().product();
            assert_eq!(tensor.raw_data.as_ref().map(Vec::len), Some(values as usize * width), "{}", tensor.name);
        }
    }
}

#[test]
fn equal_models_are_equal_bytes() {
    let [first, again] = [0; 2].map(|_| yamnet_onnx(&parts(1024).spec(), &weights()).unwrap());
    assert!(first == again);
}

#[test]
fn the_header_says_what_readers_must_know() {
    let model = model(&head_onnx(&parts(5).spec()).unwrap());
    assert_eq!((model.ir_version, model.producer_name.as_str()), (8, "ecosight"));
    assert_eq!((model.opset_import.len(), model.opset_import[0].version), (1, 17));
    let keys: Vec<&str> = model.metadata_props.iter().map(|entry| entry.key.as_str()).collect();
    let expected = ["labels", "temperature", "scores", "pooling", "embedder", "version", "digest"];
    assert_eq!(keys, [&expected[..], &["fitted_temperature", "thresholds", "decision"]].concat());
    let value = |key: &str| model.metadata_props.iter().find(|e| e.key == key).unwrap().value.clone();
    assert_eq!((value("pooling").as_str(), value("temperature").as_str()), ("mean", "1.5"));
    assert_eq!((value("thresholds").as_str(), value("fitted_temperature").as_str()), ("[0.5,null,0.0]", "2.5"));
    assert_eq!(value("decision"), r#"{"background":["c"],"fallback":"c","rule":"most_probable"}"#);
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    let refused = |change: fn(&mut Parts)| {
        let mut parts = parts(5);
        change(&mut parts);
        head_onnx(&parts.spec()).unwrap_err()
    };
    let length = |part: &str, expected, found| ExportError::Length { part: part.to_owned(), expected, found };
    assert_eq!(refused(|p| p.scale.truncate(4)), length("scale", 5, 4));
    assert_eq!(refused(|p| (p.mean, p.scale) = (vec![], vec![])), length("mean", 1, 0));
    assert_eq!(refused(|p| p.layers[0].weights.push(0.0)), length("layers.0.weights", 20, 21));
    assert_eq!(refused(|p| p.layers[0].bias.clear()), length("layers.0.bias", 1, 0));
    assert_eq!(refused(|p| p.decision.classes.push("d".to_owned())), length("layers.1.bias", 4, 3));
    assert!(matches!(refused(|p| p.decision.thresholds.truncate(1)), ExportError::Decision(_)));
    assert!(matches!(refused(|p| p.decision.thresholds[0] = Some(f32::NAN)), ExportError::Decision(_)));
    assert_eq!(refused(|p| p.decision.classes.truncate(1)), ExportError::TooFewClasses(1));
    assert_eq!(refused(|p| p.layers.clear()), ExportError::NoLayers);
    for (part, error) in [
        ("scale", refused(|p| p.scale[1] = 0.0)),
        ("mean", refused(|p| p.mean[1] = f32::NAN)),
        ("layers.1.bias", refused(|p| p.layers[1].bias[0] = f32::INFINITY)),
        ("temperature", refused(|p| p.temperature = 0.0)),
        ("temperature", refused(|p| p.temperature = f64::NAN)),
    ] {
        assert_eq!(error, ExportError::Value(part.to_owned()));
    }
    assert!(matches!(
        refused(|p| p.layers[0].activation = Activation::Softmax),
        ExportError::Activation { layer: 0, .. }
    ));
    assert!(matches!(refused(|p| p.layers[1].activation = Activation::Relu), ExportError::Activation { layer: 1, .. }));
}

#[test]
fn yamnet_is_exported_only_with_the_head_that_was_trained_on_it() {
    let refused = |dim, change: fn(&mut EmbedderId)| {
        let mut parts = parts(dim);
        change(&mut parts.embedder);
        yamnet_onnx(&parts.spec(), &weights()).unwrap_err()
    };
    assert!(matches!(refused(1024, |id| id.name = "logmel".to_owned()), ExportError::Embedder { .. }));
    assert!(matches!(refused(1024, |id| id.weights = None), ExportError::Embedder { .. }));
    assert!(matches!(refused(1024, |id| id.version = 9), ExportError::Embedder { .. }));
    let precision = refused(1024, |id| id.precision = Precision::Bf16Amx);
    assert_eq!(precision, ExportError::Precision(Precision::Bf16Amx));
    assert!(matches!(refused(2048, |_| ()), ExportError::Length { expected: 1024, found: 2048, .. }));
    let mut half = parts(1024);
    half.embedder.dtype = Dtype::F16;
    assert!(yamnet_onnx(&half.spec(), &weights()).is_ok());
}

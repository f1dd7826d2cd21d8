//! Exported models in ONNX Runtime. Needs the reference data, and the Python environment that the end-to-end tests make.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the other tests use more of it")]
mod reference;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ecosight_models::decision::{Decision, Labelling};
use ecosight_models::dense::{Activation, Dense};
use ecosight_models::embedder::{Dtype, EmbedderId, Precision};
use ecosight_models::export::{HeadSpec, head_onnx, yamnet_onnx};
use ecosight_models::head::{Features, Pooling, Summary, UnknownLimit};
use ecosight_models::weights::YamnetWeights;
use reference::{max_difference, npz, seeded, wav};
use serde_json::Value;

/// Largest absolute difference from ONNX Runtime.
const TOLERANCE: f32 = 1e-4;

const CLASSES: usize = 5;

/// The parts of a head, of seeded values.
struct Parts {
    mean: Vec<f32>,
    scale: Vec<f32>,
    layers: Vec<Dense>,
    decision: Decision,
    embedder: EmbedderId,
}

/// Classes with thresholds, one of which is never answered.
fn decision(scores: Activation) -> Decision {
    let labelling = if scores == Activation::Softmax { Labelling::Single } else { Labelling::Multi };
    let classes = ["chainsaw", "fire crackling", "größer", "", "e"].map(str::to_owned);
    let thresholds = vec![Some(0.5), Some(0.25), Some(0.125), None, Some(0.1)];
    Decision { thresholds, ..Decision::plain(labelling, &classes, &[]) }
}

impl Parts {
    /// A head over rows of `dim` values with the hidden layers `hidden`.
    fn new(dim: usize, hidden: &[usize], scores: Activation) -> Self {
        let noise = seeded::noise(2_000_000);
        let mut taken = 0;
        let mut take = |count: usize, width: f32| -> Vec<f32> {
            taken += count;
            noise[taken - count..taken].iter().map(|x| x * width).collect()
        };
        let mut inputs = dim;
        let mut layers = Vec::new();
        for (index, &outputs) in hidden.iter().chain(&[CLASSES]).enumerate() {
            let activation = if index == hidden.len() { scores } else { Activation::Relu };
            let weights = take(inputs * outputs, 3.0 / (inputs as f32).sqrt());
            layers.push(Dense { weights, bias: take(outputs, 0.5), activation });
            inputs = outputs;
        }
        Self {
            mean: take(dim, 0.5),
            scale: take(dim, 0.4).iter().map(|x| x + 0.5).collect(),
            layers,
            decision: decision(scores),
            embedder: EmbedderId {
                name: "yamnet".to_owned(),
                version: 1,
                weights: None,
                precision: Precision::F32,
                dtype: Dtype::F32,
            },
        }
    }

    fn spec(&self, summary: Summary) -> HeadSpec<'_> {
        HeadSpec {
            mean: &self.mean,
            scale: &self.scale,
            layers: &self.layers,
            temperature: 1.75,
            fitted_temperature: None,
            decision: &self.decision,
            summary,
            embedder: &self.embedder,
            version: "v3",
            is_leaky: false,
            digest: "00ff",
        }
    }

    /// The label that the decision gives a row with these probabilities and logits.
    fn label(&self, probabilities: &[f32], logits: &[f32]) -> String {
        self.decision.name(&self.decision.answer(probabilities, logits))
    }

    /// Logits of a row.
    fn logits(&self, row: &[f32]) -> Vec<f32> {
        self.scores(row, Activation::Linear)
    }

    /// Probabilities of a row.
    fn probabilities(&self, row: &[f32]) -> Vec<f32> {
        self.scores(row, self.layers[self.layers.len() - 1].activation)
    }

    /// What the last layer makes of a row with this activation, layer by layer.
    fn scores(&self, row: &[f32], activation: Activation) -> Vec<f32> {
        let x = row.iter().zip(&self.mean).zip(&self.scale).map(|((x, mean), scale)| (x - mean) / scale).collect();
        let (last, hidden) = self.layers.split_last().unwrap();
        let x = hidden.iter().fold(x, |x: Vec<f32>, layer| layer.apply(&x));
        let cooled = |values: &[f32]| values.iter().map(|x| x / 1.75).collect();
        let (weights, bias) = (cooled(&last.weights), cooled(&last.bias));
        Dense { weights, bias, activation }.apply(&x)
    }
}

/// Metadata, and what ONNX Runtime makes of each of `inputs`; nothing where there is no Python.
fn run(test: &str, folder: &Path, model: &[u8], inputs: &[Value]) -> Option<Vec<Value>> {
    // The one that the end-to-end tests, which come before, have made.
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python/bin/python");
    if !python.is_file() {
        let is_required = std::env::var_os("ECOSIGHT_REQUIRE_PYTHON").is_some();
        assert!(!is_required, "python is required here: there is no `{}`", python.display());
        eprintln!("SKIPPED: {test}: the end-to-end tests have made no Python environment");
        return None;
    }
    let path = folder.join("model.onnx");
    fs::write(&path, model).unwrap();
    let files: Vec<PathBuf> = (0..inputs.len()).map(|index| folder.join(format!("{index}.json"))).collect();
    for (file, input) in files.iter().zip(inputs) {
        fs::write(file, input.to_string()).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/run_onnx.py");
    let output = Command::new(python).arg(script).arg(path).args(files).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    Some(out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// All numbers of nested lists.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

#[test]
fn heads_agree_with_onnx_runtime() {
    let test = "heads_agree_with_onnx_runtime";
    let mut worst = 0.0f32;
    for (hidden, scores) in [
        (&[][..], Activation::Softmax),
        (&[], Activation::Sigmoid),
        (&[512, 256, 128, 64], Activation::Softmax),
        (&[9], Activation::Sigmoid),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(2048, hidden, scores);
        let rows: Vec<Vec<f32>> = seeded::waveform(7 * 2048).chunks(2048).map(<[f32]>::to_vec).collect();
        let inputs = [serde_json::json!({ "embedding": rows }), serde_json::json!({ "embedding": &rows[..1] })];
        let model = head_onnx(&parts.spec(Pooling::MeanStd.into())).unwrap();
        let Some(found) = run(test, folder.path(), &model, &inputs) else { return };
        let expected: Vec<Vec<f32>> = rows.iter().map(|row| parts.probabilities(row)).collect();
        worst = worst.max(max_difference(&flat(&found[1]["probabilities"]), &expected.concat()));
        worst = worst.max(max_difference(&flat(&found[2]["probabilities"]), &expected[0]));
        if scores == Activation::Softmax {
            let labels: Vec<String> = expected.iter().map(|row| parts.label(row, row)).collect();
            assert_eq!(found[1]["label"], serde_json::json!(labels));
        } else {
            assert!(found[1].get("label").is_none());
        }
        let metadata = &found[0];
        assert_eq!(metadata["labels"], r#"["chainsaw","fire crackling","größer","","e"]"#);
        assert_eq!(metadata["thresholds"], "[0.5,0.25,0.125,null,0.1]");
        assert_eq!((&metadata["temperature"], &metadata["pooling"]), (&"1.75".into(), &"mean_std".into()));
        assert_eq!((&metadata["version"], &metadata["digest"]), (&"v3".into(), &"00ff".into()));
        let embedder: EmbedderId = serde_json::from_str(metadata["embedder"].as_str().unwrap()).unwrap();
        assert_eq!(embedder, parts.embedder);
    }
    println!("largest difference: {worst}");
    assert!(worst < TOLERANCE, "{worst}");
}

#[test]
fn labels_follow_the_decision_with_fallback_and_unknown() {
    let test = "labels_follow_the_decision_with_fallback_and_unknown";
    let mut parts = Parts::new(64, &[], Activation::Softmax);
    let rows: Vec<Vec<f32>> = seeded::waveform(200 * 64).chunks(64).map(<[f32]>::to_vec).collect();
    let input = [serde_json::json!({ "embedding": rows })];
    let energy = |row: &Vec<f32>| -parts.logits(row).iter().map(|z| f64::from(z.exp())).sum::<f64>().ln();
    let mut energies: Vec<f64> = rows.iter().map(energy).collect();
    energies.sort_by(f64::total_cmp);
    // Between two rows, where rounding decides nothing.
    let limit = UnknownLimit::Energy(f64::midpoint(energies[149], energies[150]));
    let mut highest: Vec<f32> =
        rows.iter().map(|row| parts.probabilities(row).into_iter().fold(0.0, f32::max)).collect();
    highest.sort_by(f32::total_cmp);
    let threshold = f32::midpoint(highest[99], highest[100]);
    parts.decision.thresholds.iter_mut().flatten().for_each(|of_class| *of_class = threshold);
    let mut seen = std::collections::BTreeSet::new();
    for (background, unknown) in [
        (&[][..], None),
        (&["e"][..], None),
        (&["e"][..], Some(UnknownLimit::Probability(f64::midpoint(highest[49].into(), highest[50].into())))),
        (&["e"][..], Some(limit)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        parts.decision.background = background.iter().map(|&name| name.to_owned()).collect();
        parts.decision.unknown = unknown;
        let model = head_onnx(&parts.spec(Pooling::Mean.into())).unwrap();
        let Some(found) = run(test, folder.path(), &model, &input) else { return };
        let label = |row: &Vec<f32>| parts.label(&parts.probabilities(row), &parts.logits(row));
        let expected: Vec<String> = rows.iter().map(label).collect();
        assert_eq!(found[1]["label"], serde_json::json!(expected), "{background:?}, {unknown:?}");
        let expected_unknown = unknown.is_some() || background.is_empty();
        assert_eq!(expected.iter().any(|label| label == "unknown"), expected_unknown, "{background:?}, {unknown:?}");
        seen.extend(expected);
    }
    // A class, the background and what is neither.
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn yamnet_agrees_with_the_reference() {
    let test = "yamnet_agrees_with_the_reference";
    let Some(data) = reference::folder(test) else { return };
    let weights = YamnetWeights::from_h5(&data.join("weights/yamnet.h5")).unwrap();
    let golden = npz::read(&data.join("golden/yamnet_golden.npz"));
    let names: Vec<&str> = golden.keys().filter_map(|key| key.strip_suffix("/logmel")).collect();
    let mut clips: Vec<Value> = names
        .iter()
        .map(|name| serde_json::json!({ "waveform": wav::read(&data.join(format!("golden/wav/{name}.wav"))) }))
        .collect();
    let short = [(0, 1), (1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3)];
    clips.extend(short.iter().map(|&(samples, _)| serde_json::json!({ "waveform": seeded::waveform(samples) })));
    let mut worst = [0.0f32; 2];
    let contrast = |pooling| Summary { features: Features::Contrast, pooling, window: 0 };
    for (summary, hidden, dtype) in [
        (Pooling::MeanStd.into(), &[][..], Dtype::F32),
        (Pooling::Mean.into(), &[64], Dtype::F32),
        (contrast(Pooling::MeanStd), &[], Dtype::F32),
        (Pooling::MeanStd.into(), &[], Dtype::F16),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = Parts::new(summary.dim(1024), hidden, Activation::Softmax);
        (parts.embedder.weights, parts.embedder.dtype) = (Some(weights.content_hash().to_string()), dtype);
        let model = yamnet_onnx(&parts.spec(summary), &weights).unwrap();
        let Some(found) = run(test, folder.path(), &model, &clips) else { return };
        assert_eq!(found[0]["sample_rate_hz"], "16000");
        for (name, found) in names.iter().zip(&found[1..]) {
            let (embeddings, probabilities) = (flat(&found["embeddings"]), flat(&found["probabilities"]));
            let reference = &golden[&format!("{name}/embeddings")];
            let expected = parts.probabilities(&summary.pool(reference, 1024));
            if dtype == Dtype::F32 {
                worst[0] = worst[0].max(max_difference(&embeddings, reference));
                worst[1] = worst[1].max(max_difference(&probabilities, &expected));
            } else {
                assert!(embeddings.iter().all(|&x| half_bits_suffice(x)), "{name}");
                let again = parts.probabilities(&summary.pool(&embeddings, 1024));
                worst[1] = worst[1].max(max_difference(&probabilities, &again));
            }
            assert_eq!(found["label"], parts.label(&probabilities, &probabilities));
        }
        for ((samples, patches), found) in short.iter().zip(&found[1 + names.len()..]) {
            assert_eq!(flat(&found["embeddings"]).len(), patches * 1024, "{samples} samples");
        }
    }
    println!("largest differences: embeddings {}, probabilities {}", worst[0], worst[1]);
    assert!(worst.iter().all(|worst| *worst < TOLERANCE), "{worst:?}");
}

/// Whether a value of ordinary size has at most the 11 significant bits of half precision.
fn half_bits_suffice(x: f32) -> bool {
    x.abs() < 6.2e-5 || x.to_bits().trailing_zeros() >= 13
}

//! The registry of models: listed, compared, moved, checked, exported.

use std::fs;
use std::process::Command;

use ecosight_models::artefact::Artefact;
use serde_json::{Value, json};

use crate::clips::recordings;
use crate::python::python;
use crate::roots::document;
use crate::support::{Sandbox, repository};

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=1";

/// A data root with two models; the second is in production.
fn sandbox() -> (Sandbox, [String; 2]) {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    let train = |more: &str| {
        let outcome = sandbox.json(&format!("{RETRAIN} {more}"));
        outcome["model"].as_str().unwrap().to_owned()
    };
    let versions = [train("--set train.l2=1.0"), train("--set train.l2=2.0")];
    (sandbox, versions)
}

#[test]
fn models_are_listed_shown_and_compared() {
    let (sandbox, [first, second]) = sandbox();
    let listed = sandbox.json("models list");
    // Both may have been made within a second.
    let state = |version: &str| {
        let model = listed.as_array().unwrap().iter().find(|model| model["version"] == version);
        model.unwrap_or_else(|| panic!("{version} is not in {listed}"))["state"].clone()
    };
    assert_eq!((state(&first), state(&second)), (json!("former"), json!("production")));
    let text = sandbox.ok("models list").stdout;
    assert!(text.contains("100.0 % (54.1 % – 100.0 %, by 6 recordings)"), "{text}");
    let shown = sandbox.ok("models show").stdout;
    for expected in [&second, "train.l2", "test rows", "against production", "parity", "in production"] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    let diff = sandbox.json(&format!("models diff {first} production"));
    assert_eq!(diff["settings"]["train.l2"], json!({ "a": "1.0", "b": "2.0" }));
    assert_eq!(diff["figures"]["accuracy"]["difference"], json!(0.0));
    sandbox.ok(&format!("models diff {first} {second}"));

    let unknown = sandbox.run("models show nonesuch");
    assert!(unknown.code == 1 && unknown.stderr.contains("hint: there are 2"), "{}", unknown.stderr);
    let vague = sandbox.run("models show 2");
    assert!(vague.code == 2 && vague.stderr.contains("2 models begin with"), "{}", vague.stderr);

    // Programs written against the replaced system find their fields.
    let folder = sandbox.path().join("ecosight-data/models").join(&second);
    let metadata = document(&folder.join("model_metadata.json"));
    assert_eq!((&metadata["num_classes"], &metadata["classes"]), (&json!(2), &json!(["high", "low"])));
    assert_eq!((&metadata["test_accuracy"], &metadata["sample_rate"]), (&json!(1.0), &json!(16000)));
    assert_eq!(metadata["sample_counts"], json!({ "high": 20, "low": 20 }));
    assert_eq!(metadata["training_date"].as_str().unwrap().len(), "2026-01-01 00:00:00".len());
    let performance = document(&folder.join("performance_metrics.json"));
    assert_eq!(
        (&performance["recall"], &performance["per_class_metrics"]["low"]["f1_score"]),
        (&json!([1.0, 1.0]), &json!(1.0))
    );
    assert_eq!(performance["confusion_matrix"], json!([[3, 0], [0, 3]]));
}

#[test]
fn a_changed_byte_is_found_and_a_damaged_model_is_not_promoted() {
    let (sandbox, [first, second]) = sandbox();
    let promoted = sandbox.json(&format!("models promote {first}"));
    assert_eq!((&promoted["version"], &promoted["previous"]), (&json!(first), &json!(second)));
    let predicted = sandbox.json("predict recordings/high/0.wav");
    assert_eq!(predicted["model"], json!(first));
    // Back, and back again: to where nothing was before.
    sandbox.ok("models rollback");
    sandbox.ok("models rollback");
    let last = sandbox.run("models rollback");
    assert!(last.code == 1 && last.stderr.contains("hint: "), "{}", last.stderr);

    sandbox.ok("models verify");
    let path = sandbox.path().join("ecosight-data/models").join(&second).join("model.json");
    let text = fs::read_to_string(&path).unwrap();
    // As good a model.json as before, but not the one that was written.
    fs::write(&path, text.replacen("\"seed\": 0", "\"seed\": 1", 1)).unwrap();
    let verified = sandbox.run("models verify --json");
    let states: Value = serde_json::from_str(&verified.stdout).unwrap();
    for model in states.as_array().unwrap() {
        let expected = if model["version"] == second { "damaged" } else { "whole" };
        assert_eq!(model["state"], expected, "{states}");
    }
    assert_eq!((verified.code, states.as_array().unwrap().len()), (1, 2));
    let refused = sandbox.run(&format!("models promote {second}"));
    assert!(refused.code == 1 && refused.stderr.contains("its checksum is another one"), "{}", refused.stderr);
    assert_eq!(document(&sandbox.path().join("ecosight-data/models/production.json"))["version"], json!(first));
}

#[test]
fn an_exported_head_is_the_head() {
    let (sandbox, [_, second]) = sandbox();
    sandbox.ok("models export production --onnx out/head.onnx");
    let onnx = sandbox.path().join("out/head.onnx");
    let whole = sandbox.run("models export production --onnx whole.onnx --with-embedder");
    assert!(whole.code == 1 && whole.stderr.contains("hint: export the head alone"), "{}", whole.stderr);
    let Some(python) = python() else { return };
    let artefact = Artefact::load(&sandbox.path().join("ecosight-data/models").join(&second)).unwrap();
    let dim = artefact.head.input_dim();
    let row = |n: usize| -> Vec<f32> { (0..dim).map(|i| ((i * 31 + n * 17) % 101) as f32 / 50.0 - 1.0).collect() };
    let rows: Vec<Vec<f32>> = (0..5).map(row).collect();
    let input = sandbox.path().join("rows.json");
    fs::write(&input, json!({ "embedding": rows }).to_string()).unwrap();
    let output =
        Command::new(python).arg(repository().join("tests/run_onnx.py")).arg(onnx).arg(input).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["labels"], &lines[0]["version"]), (&json!(r#"["high","low"]"#), &json!(second)));
    let expected = artefact.head.probabilities(&rows.concat());
    let found = lines[1]["probabilities"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let found: Vec<f64> = found.map(|p| p.as_f64().unwrap()).collect();
    let apart = found.iter().zip(&expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
    assert!(found.len() == expected.len() && apart < 1e-4, "{apart}");
}

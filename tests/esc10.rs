//! Real recordings and genuine weights, where they are at hand: accuracy on recordings that the model has not seen.

use crate::support::{Sandbox, test_data};

const PATTERN: &str = r"--set split.pattern=(?<fold>\d)-(?<recording>\d+)-";

/// Cross-validated accuracy over the given folds 1–3; trained on originals and variants, scored on originals.
fn cross_validated(sandbox: &Sandbox, source: &std::path::Path, embedder: &str) -> f64 {
    let line = format!("evaluate --cv --source {} {PATTERN} --set embed.embedder={embedder}", source.display());
    let document = sandbox.json(&line);
    assert_eq!(document["metrics"]["n"], 238);
    assert_eq!(document["folds"].as_object().unwrap().keys().collect::<Vec<_>>(), ["1", "2", "3"]);
    document["accuracy"].as_f64().unwrap()
}

#[test]
fn logmel_classifies_four_of_five_unseen_recordings() {
    let Some(source) = test_data("audio/esc10") else { return };
    let accuracy = cross_validated(&Sandbox::new(), &source, "logmel");
    assert!(accuracy >= 0.80, "{accuracy}");
}

#[test]
fn yamnet_classifies_93_of_100_unseen_recordings_and_retrains() {
    let (Some(source), Some(weights)) = (test_data("audio/esc10"), test_data("weights/yamnet.h5")) else {
        return;
    };
    let sandbox = Sandbox::new();
    let imported = sandbox.run(&format!("weights import {}", weights.display()));
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let accuracy = cross_validated(&sandbox, &source, "yamnet");
    assert!(accuracy >= 0.93, "{accuracy}");
    let accuracy = cross_validated(&sandbox, &source, "yamnet --set augment.variants=0");
    assert!(accuracy >= 0.94, "trained on originals alone: {accuracy}");

    let outcome = sandbox.json(&format!(
        "retrain --source {} {PATTERN} --set augment.variants=1 --allow-leak --force-publish",
        source.display()
    ));
    assert_eq!(outcome["counts"]["manifest"]["clips"], 238);
    assert_eq!(outcome["quarantined"], serde_json::json!([]));
    assert!(outcome["metrics"]["test"]["accuracy"].as_f64().unwrap() > 0.8);
    // A classifier of the replaced system that is for other embeddings is told from one that can be compared.
    for name in ["keras_plain.keras", "expected.json"] {
        let fixture = crate::support::repository().join("tests/fixtures/keras").join(name);
        std::fs::copy(fixture, sandbox.path().join("old.keras")).unwrap();
        std::fs::write(sandbox.path().join("class_names.json"), r#"["rain", "rooster", "gunshot"]"#).unwrap();
        let refused = sandbox.run("evaluate --keras old.keras");
        let expected =
            if name == "keras_plain.keras" { "takes 16 values, and embeddings have 1024" } else { "old.keras" };
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(refused.stderr.contains(expected) && refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
    // Weights other than the model's are refused, not used.
    std::fs::remove_dir_all(sandbox.path().join("cache")).unwrap();
    let refused = sandbox.run(&format!("predict {}", source.join("rain").display()));
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("trained with the embedder `yamnet-v1-"), "{}", refused.stderr);
}

//! Real recordings and genuine weights, where they are at hand: accuracy on recordings that the model has not seen.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Sandbox, measured, test_data};

const PATTERN: &str = r"--set split.pattern=(?<fold>\d)-(?<recording>\d+)-";

/// Cross-validated accuracy over the given folds 1–3, on originals.
fn cross_validated(sandbox: &Sandbox, source: &Path, embedder: &str) -> f64 {
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
fn yamnet_classifies_94_of_100_unseen_recordings_and_retrains() {
    let (Some(source), Some(weights)) = (test_data("audio/esc10"), test_data("weights/yamnet.h5")) else {
        return;
    };
    let sandbox = Sandbox::new();
    let imported = sandbox.run(&format!("weights import {}", weights.display()));
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let accuracy = cross_validated(&sandbox, &source, "yamnet");
    assert!(accuracy >= 0.94, "{accuracy}");

    let outcome = sandbox.json(&format!(
        "retrain --source {} {PATTERN} --set augment.variants=1 --allow-leak --force-publish",
        source.display()
    ));
    assert_eq!(outcome["counts"]["manifest"]["clips"], 238);
    assert_eq!(outcome["quarantined"], serde_json::json!([]));
    assert!(outcome["metrics"]["test"]["accuracy"].as_f64().unwrap() > 0.8);
    planted_labels_are_found(&sandbox, &source);
    // Weights other than the model's are refused, not used.
    std::fs::remove_dir_all(sandbox.path().join("cache")).unwrap();
    let refused = sandbox.run(&format!("predict {}", source.join("rain").display()));
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("trained with the embedder `yamnet-v1-"), "{}", refused.stderr);
}

/// Gives one clip in twenty the label of the next class, and looks who is suspected first.
fn planted_labels_are_found(sandbox: &Sandbox, source: &Path) {
    let folders = |path: &Path| -> Vec<_> {
        let mut found: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let classes: Vec<_> = folders(source).into_iter().filter(|path| path.is_dir()).collect();
    let (mut planted, mut csv, mut number) = (BTreeSet::new(), "uri,label\n".to_owned(), 0);
    for (place, class) in classes.iter().enumerate() {
        for clip in folders(class) {
            let is_planted = number % 20 == 7;
            let label = name(&classes[(place + usize::from(is_planted)) % classes.len()]);
            let uri = format!("clips/{}/{}", name(class), name(&clip));
            let copy = sandbox.path().join(&uri);
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(&clip, copy).unwrap();
            csv.push_str(&format!("{uri},{label}\n"));
            if is_planted {
                planted.insert(uri);
            }
            number += 1;
        }
    }
    std::fs::write(sandbox.path().join("planted.csv"), csv).unwrap();
    sandbox
        .json(&format!("retrain --source planted.csv {PATTERN} --set augment.variants=1 --allow-leak --force-publish"));
    let document = sandbox.json(&format!("audit labels --top {}", planted.len()));
    let suspects = document["suspects"].as_array().unwrap().iter();
    let suspects: Vec<&str> = suspects.map(|suspect| suspect["uri"].as_str().unwrap()).collect();
    let found = suspects.iter().filter(|uri| planted.contains(**uri)).count();
    measured(&format!(
        "of the first {} suspected labels, {found} are planted ({} in all)",
        suspects.len(),
        planted.len()
    ));
    assert!(2 * found > planted.len(), "{found} of {}: {suspects:?}", planted.len());
}

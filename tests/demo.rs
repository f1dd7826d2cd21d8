//! The demo, from nothing to predictions, and what it leaves on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{Sandbox, embed_parts};

/// Content of every file below `folder`, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_demo_trains_evaluates_and_predicts_offline() {
    let sandbox = Sandbox::new();
    let ran = sandbox.ok("demo");
    for expected in ["accuracy", "gunshot", "in production", "new-chainsaw.wav"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in\n{}", ran.stdout);
    }
    assert!(ran.stderr.contains("\nNext:\n  ecosight predict"), "{}", ran.stderr);
    let root = sandbox.path().join("ecosight-demo");
    for file in ["tables/manifest", "tables/split", "tables/augment", "tables/quarantine", "models/production.json"] {
        assert!(root.join(file).exists(), "{file}");
    }
    assert!(root.join("tables/embed/embedder=logmel-v1-f32").is_dir() && embed_parts(&root)[0].exists());
    let production: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("models/production.json")).unwrap()).unwrap();
    let model = root.join("models").join(production["version"].as_str().unwrap());
    for file in ["head.safetensors", "model.json", "class_names.json", "training_history.parquet"] {
        assert!(model.join(file).exists(), "{file}");
    }
    let document = sandbox.json("predict --data-root ecosight-demo ecosight-demo/new_clips");
    for row in document["rows"].as_array().unwrap() {
        let path = row["path"].as_str().unwrap();
        assert!(path.contains(row["predicted"].as_str().unwrap()), "{path} was taken for {}", row["predicted"]);
        let sum: f64 = row["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_second_run_and_another_number_of_threads_give_the_same_tables_and_the_same_model() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.json("demo --jobs 1");
    assert_eq!(outcome["predictions"]["rows"].as_array().unwrap().len(), 5);
    let outcome = outcome["run"].clone();
    let root = sandbox.path().join("ecosight-demo");
    let model = |outcome: &serde_json::Value| files(&root.join("models").join(outcome["model"].as_str().unwrap()));
    let contents = |files: BTreeMap<PathBuf, Vec<u8>>| -> BTreeMap<_, _> {
        // Dates stand in these alone.
        let is_dated = |path: &PathBuf| {
            ["gate.json", "model_metadata.json", "MODEL_CARD.md", "snapshot.json"]
                .iter()
                .any(|name| path.ends_with(name))
        };
        let files = files.into_iter().filter(|(path, _)| !is_dated(path));
        files.map(|(path, bytes)| (path.file_name().unwrap().to_owned(), bytes)).collect()
    };
    let (tables, first) = (files(&root.join("tables")), contents(model(&outcome)));
    assert!(
        outcome["metrics"]["test"]["accuracy"].as_f64().unwrap() > 0.8,
        "{}",
        outcome["metrics"]["test"]["accuracy"]
    );

    let again = sandbox.json("retrain --data-root ecosight-demo --set embed.embedder=logmel --jobs 2 --force");
    assert_ne!(outcome["run_id"], again["run_id"]);
    assert!(files(&root.join("tables")) == tables, "the tables differ");
    assert!(contents(model(&again)) == first, "the models differ");
    assert!(!root.join(".staging").join("embed").exists());
}

#[test]
fn predictions_come_as_table_csv_json_and_parquet_and_per_window() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let predict = "predict --data-root ecosight-demo ecosight-demo/new_clips";
    let csv = sandbox.ok(&format!("{predict} --format csv")).stdout;
    assert_eq!(csv.lines().next().unwrap(), "path,predicted,confidence,bird,chainsaw,engine,gunshot,rain");
    assert_eq!(csv.lines().count(), 6);
    let windows = sandbox.ok(&format!("{predict} --windows --format csv")).stdout;
    assert!(windows.starts_with("path,start_s,end_s,predicted,confidence,"));
    for name in ["scores.csv", "deep/scores.json", "scores.parquet"] {
        let ran = sandbox.ok(&format!("{predict} --out {name}"));
        assert!(ran.stdout.is_empty() && sandbox.path().join(name).exists(), "{name}");
    }
    let wrong = sandbox.run(&format!("{predict} --out scores.xls"));
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("hint: end the name with .csv, .json or .parquet"), "{}", wrong.stderr);
}

//! Clips of several classes, of none, and of which only is known what they are not.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::clips::{RATE, write_wav};
use crate::roots::document;
use crate::support::Sandbox;

const RETRAIN: &str = "retrain --source recordings/manifest.csv --set embed.embedder=logmel --set augment.variants=1 \
                       --set audit.neighbours=0 --set train.background=[\"quiet\"]";

/// Label and tones, Hz.
const KINDS: [(&str, &[f64]); 6] = [
    ("high", &[2000.0]),
    ("low", &[300.0]),
    ("low; high", &[300.0, 2000.0]),
    ("high;low", &[300.0, 2000.0]),
    ("quiet", &[]),
    ("!high", &[300.0]),
];

fn chord(path: &Path, tones: &[f64], number: u32) {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(77);
    let samples: Vec<i16> = (0..RATE)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 16) / 65_536.0 - 0.5;
            let t = f64::from(i) / f64::from(RATE) * (1.0 + 0.02 * f64::from(number % 7));
            let tones: f64 = tones.iter().map(|hz| (std::f64::consts::TAU * hz * t).sin() * 6000.0).sum();
            (tones + noise * 2000.0) as i16
        })
        .collect();
    write_wav(path, &samples);
}

/// Twelve recordings of each kind, four on each side.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut csv = "uri,label,recording_id,fold\n".to_owned();
    for (kind, (label, tones)) in KINDS.iter().enumerate() {
        for number in 0..12 {
            let uri = format!("{kind}/{number}.wav");
            chord(&sandbox.path().join("recordings").join(&uri), tones, 100 * kind as u32 + number);
            csv.push_str(&format!("{uri},{label},{kind}-{number},{}\n", ["train", "val", "test"][number as usize % 3]));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();
    sandbox
}

fn predicted(sandbox: &Sandbox, uri: &str) -> String {
    let found = sandbox.json(&format!("predict recordings/{uri}"));
    found["rows"][0]["predicted"].as_str().unwrap().to_owned()
}

#[test]
fn several_sounds_at_once_are_told_and_none_too() {
    let sandbox = sandbox();
    let line = format!("{RETRAIN} --set train.multi_label=true");
    for head in ["linear", "mlp"] {
        let outcome = sandbox.json(&format!("{line} --set train.head={head} --set train.max_epochs=30"));
        assert!(outcome["gate"]["passed"].as_bool().unwrap(), "{outcome:#}");
        let model = sandbox.path().join(format!("ecosight-data/models/{}", outcome["model"].as_str().unwrap()));
        let meta = document(&model.join("model.json"));
        assert_eq!((&meta["classes"], &meta["train"]["multi_label"]), (&json!(["high", "low"]), &true.into()));
        let test = &meta["metrics"]["test"];
        // `!high` says nothing of the low tone that is there.
        assert_eq!((&test["n"], &test["per_class"][1]["support"]), (&24.into(), &12.into()), "{test}");
        assert!(test["subset_accuracy"].as_f64().unwrap() > 0.9 && test.get("accuracy").is_none(), "{test}");
        assert!(test["ci95"]["mean_balanced_accuracy"]["low"].as_f64().is_some());
        let listed = sandbox.json("models list");
        assert!(listed[0]["test_subset_accuracy"].is_f64() && listed[0]["test_accuracy"].is_null(), "{listed}");
        let shown = sandbox.ok("models show production").stdout;
        assert!(shown.contains("subset accuracy") && shown.contains("mean balanced accuracy"), "{shown}");
        let answers = ["0/2.wav", "1/2.wav", "2/2.wav", "4/2.wav"].map(|uri| predicted(&sandbox, uri));
        assert_eq!(answers, ["high", "low", "high;low", "quiet"], "{head}");
        let rows: Vec<Value> = sandbox.json("audit labels")["labels"].as_array().unwrap().clone();
        assert!(rows.iter().all(|row| row["label"] != "low; high"), "{rows:?}");
    }
    assert!(
        sandbox.ok(&format!("{line} --set train.head=mlp --set train.max_epochs=30")).stdout.contains("up to date")
    );
    let run = sandbox.json("runs show");
    let page = sandbox.path().join(format!("ecosight-data/runs/{}/report.html", run["run_id"].as_str().unwrap()));
    assert!(fs::read_to_string(page).is_ok() || sandbox.ok("runs report").code == 0);
    let folds = sandbox.json(&format!("evaluate --cv --groups 3 {} --set train.multi_label=true", &RETRAIN[8..]));
    assert!(folds["subset_accuracy"].as_f64().unwrap() > 0.9 && folds.get("accuracy").is_none(), "{folds:#}");
}

#[test]
fn where_a_clip_is_of_one_class_what_it_is_not_is_background() {
    let sandbox = sandbox();
    let csv = fs::read_to_string(sandbox.path().join("recordings/manifest.csv")).unwrap();
    let single: String = csv.lines().filter(|line| !line.contains(';')).map(|line| format!("{line}\n")).collect();
    fs::write(sandbox.path().join("recordings/manifest.csv"), single).unwrap();
    let outcome = sandbox.json(&format!("{RETRAIN} --force-publish"));
    let model = sandbox.path().join(format!("ecosight-data/models/{}", outcome["model"].as_str().unwrap()));
    let meta = document(&model.join("model.json"));
    assert_eq!(meta["classes"], json!(["high", "low", "quiet"]));
    assert_eq!(meta["metrics"]["test"]["per_class"][2]["support"], 8, "{}", meta["metrics"]["test"]);

    let unsaid = sandbox.run(&RETRAIN.replace("[\"quiet\"]", "[]"));
    assert_eq!(unsaid.code, 1, "{}", unsaid.stderr);
    assert!(unsaid.stderr.contains("`!high`") && unsaid.stderr.contains("train.background"), "{}", unsaid.stderr);
}

#[test]
fn labels_of_several_classes_are_not_taken_for_one_without_a_word() {
    let sandbox = sandbox();
    let csv = fs::read_to_string(sandbox.path().join("recordings/manifest.csv")).unwrap();
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv.replace("low; high", "high;low")).unwrap();
    let ran = sandbox.ok(&format!("{RETRAIN} --force-publish"));
    assert!(ran.stderr.contains("train.multi_label = true"), "{}", ran.stderr);
}

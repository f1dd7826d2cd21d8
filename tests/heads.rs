//! Options of the classifier head, through the real binary.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::clips::{RATE, recording, recordings, write_wav};
use crate::roots::document;
use crate::support::Sandbox;

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=1";

/// Clips of three seconds, so of several patches: `steady` tones, and `broken` ones that come and go.
fn long_recordings(sandbox: &Sandbox, n: u32) {
    for (class, first) in [("steady", 0), ("broken", 1000)] {
        for number in first..first + n {
            let mut state = number.wrapping_mul(2_654_435_761);
            let sample = |i: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(state >> 16) / 65_536.0 - 0.5;
                let is_on = class == "steady" || (i / (RATE / 2)).is_multiple_of(2);
                let tone = (f64::from(i) * (0.3 + 0.01 * f64::from(number % 9))).sin() * 9000.0;
                (noise * 3000.0 + if is_on { tone } else { 0.0 }) as i16
            };
            let samples: Vec<i16> = (0..3 * RATE).map(sample).collect();
            write_wav(&recording(sandbox, &format!("{class}/{number}.wav")), &samples);
        }
    }
}

/// A file of the model that `outcome` tells of.
fn of_model(sandbox: &Sandbox, outcome: &Value, file: &str) -> Value {
    let version = outcome["model"].as_str().unwrap();
    document(&sandbox.path().join("ecosight-data/models").join(version).join(file))
}

#[test]
fn with_every_option_audio_is_scored_as_in_training_and_what_is_unknown_is_called_so() {
    let sandbox = Sandbox::new();
    long_recordings(&sandbox, 20);
    let options = "--set train.head=mlp --set train.max_epochs=10 --set train.features=contrast --set train.sampling=balanced \
                   --set train.mixup=0.2 --set train.unknown=energy --set train.known_recall=0.2";
    let outcome = sandbox.json(&format!("{RETRAIN} {options} --force-publish"));
    let gate = of_model(&sandbox, &outcome, "gate.json");
    let parity = gate["criteria"].as_array().unwrap().iter().find(|criterion| criterion["name"] == "parity").unwrap();
    assert_eq!(parity["result"], "pass", "{parity}");
    let model = of_model(&sandbox, &outcome, "model.json");
    assert_eq!((&model["train"]["features"], &model["train"]["mixup"]), (&"contrast".into(), &0.2.into()));
    assert!(model["decision"]["unknown"]["energy"].is_number(), "{}", model["decision"]);

    for windows in ["", "--windows"] {
        let predicted = sandbox.json(&format!("predict recordings {windows}"));
        let rows = predicted["rows"].as_array().unwrap();
        let unknown: Vec<&Value> = rows.iter().filter(|row| row["predicted"] == "unknown").collect();
        // Four fifths of what was not trained on, as was asked for; most of these clips were.
        assert!((1..rows.len() * 4 / 5).contains(&unknown.len()), "{} of {}", unknown.len(), rows.len());
        let row = unknown[0];
        let best = row["probabilities"].as_object().unwrap().values().filter_map(Value::as_f64).fold(0.0, f64::max);
        assert!((row["confidence"].as_f64().unwrap() - best).abs() < 1e-6 && best >= 0.5, "{row}");
    }
    // Figures count what is answered: most of the test clips are wrong, being called unknown.
    let test = &model["metrics"]["test"];
    let counted: u64 = test["confusion_matrix"]
        .to_string()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    assert!(counted < test["n"].as_u64().unwrap() && test["accuracy"].as_f64().unwrap() < 1.0, "{test}");
    let cv = sandbox.json(&format!("evaluate --cv --set embed.embedder=logmel {options}"));
    assert_eq!(cv["metrics"]["n"], 40);
}

#[test]
fn cross_validation_of_the_mlp_stops_early() {
    let sandbox = Sandbox::new();
    long_recordings(&sandbox, 10);
    let with = |patience: u32| {
        let options = format!("--set train.head=mlp --set train.max_epochs=30 --set train.patience={patience}");
        let found = sandbox.json(&format!("evaluate --cv --source recordings --set embed.embedder=logmel {options}"));
        found["metrics"]["log_loss"].as_f64().unwrap()
    };
    assert_ne!(with(1).to_bits(), with(50).to_bits());
}

#[test]
fn the_train_side_is_scored_for_the_label_audit_whatever_the_head() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    for head in ["linear", "mlp"] {
        let ran = sandbox.ok(&format!("{RETRAIN} --set train.head={head} --set train.max_epochs=4 --force-publish"));
        assert_eq!(ran.stderr.contains("5 trainings on 4/5 of them"), head == "mlp", "{}", ran.stderr);
        assert_eq!(sandbox.json("audit labels")["examined"], 24, "{head}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    let ran = sandbox.run(&format!("{RETRAIN} --set train.sampling=balanced --set train.mixup=0.2"));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for expected in ["`sampling` is \"balanced\"", "`class_weights = \"balanced\"`", "`mixup` is 0.2"] {
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    fs::rename(recording(&sandbox, "low"), recording(&sandbox, "unknown")).unwrap();
    let ran = sandbox.run(&format!("{RETRAIN} --set train.unknown=threshold"));
    assert!(ran.code == 1 && ran.stderr.contains("there is a class `unknown`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: call the class something else"), "{}", ran.stderr);
    sandbox.ok(RETRAIN);
}

#[test]
fn a_search_begins_with_ones_own_settings_and_keeps_what_it_has_found() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    let line = format!("{RETRAIN} --set train.pooling=mean --set train.max_epochs=4 --set train.search.trials=4");
    // Cut off once two trials are finished.
    let mut command = sandbox.command(&format!("{line} --events -"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("trial 1 of 4: ")));
    child.kill().unwrap();
    child.wait().unwrap();

    let ran = sandbox.ok(&line);
    assert!(ran.stderr.contains("trials were finished by an earlier run"), "{}", ran.stderr);
    assert!(ran.stderr.contains("trial 3 of 4: ") && !ran.stderr.contains("trial 0 of 4: "), "{}", ran.stderr);
    let resumed = sandbox.json(&line);
    let found = of_model(&sandbox, &resumed, "search.json");
    let trials = found["trials"].as_array().unwrap();
    assert_eq!((trials.len(), &found["ended"]), (4, &"trials".into()));
    assert_eq!((&trials[0]["settings"], &trials[0]["settings"]["pooling"]), (&found["asked"], &"mean".into()));
    let chosen = &trials[found["chosen"].as_u64().unwrap() as usize];
    assert_eq!(of_model(&sandbox, &resumed, "model.json")["train"], chosen["settings"]);

    // The same search for the same model is not made again, and an undisturbed one finds the same.
    fs::remove_file(sandbox.path().join("ecosight-data/index/train.json")).unwrap();
    let again = sandbox.ok(&format!("{line} -v"));
    assert!(again.stderr.contains("it stays") && !again.stderr.contains("trial 0 of 4"), "{}", again.stderr);
    let undisturbed = sandbox.json(&format!("{line} --data-root undisturbed"));
    let version = undisturbed["model"].as_str().unwrap();
    let other = document(&sandbox.path().join("undisturbed/models").join(version).join("search.json"));
    let losses = |found: &Value| -> Vec<Value> {
        found["trials"].as_array().unwrap().iter().map(|trial| trial["log_loss"].clone()).collect()
    };
    assert_eq!((losses(&other), &other["chosen"]), (losses(&found), &found["chosen"]));

    let brief = sandbox.ok(&format!("{line} --set train.search.budget_s=0"));
    assert!(brief.stderr.contains("0 s are over after 1 of 4 trials"), "{}", brief.stderr);
    assert!(brief.stderr.contains("trial 0 is trained"), "{}", brief.stderr);
}

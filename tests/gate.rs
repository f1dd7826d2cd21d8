//! The gate between a new model and production, and what people do about its word.

use std::fs;

use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::Layout;
use serde_json::Value;

use crate::clips::recordings;
use crate::roots::document;
use crate::support::Sandbox;

/// The clips are so simple that the audit takes some for copies of others.
const RETRAIN: &str = "retrain --source recordings/manifest.csv --set embed.embedder=logmel --set augment.variants=1 \
                       --set audit.neighbours=0";

/// Clips of each class.
const CLIPS: u32 = 30;

/// A manifest with given sides and parts of files; on the train and val sides, labels may be the wrong way round.
fn manifest(sandbox: &Sandbox, are_swapped: bool, more: &str) {
    let mut csv = "uri,label,recording_id,fold,start_s,end_s\n".to_owned();
    for number in 0..CLIPS {
        let fold = ["train", "val", "test"][number as usize % 3];
        for (class, other) in [("high", "low"), ("low", "high")] {
            let label = if are_swapped && fold != "test" { other } else { class };
            csv.push_str(&format!("{class}/{number}.wav,{label},{class}{number},{fold},0.1,0.9\n"));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv + more).unwrap();
}

fn sandbox(are_swapped: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    recordings(&sandbox, CLIPS);
    manifest(&sandbox, are_swapped, "");
    sandbox
}

/// What was found of each criterion.
fn found(gate: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let criteria = gate["criteria"].as_array().unwrap().iter();
    criteria.map(|criterion| (text(&criterion["name"]), text(&criterion["result"]))).collect()
}

fn result(gate: &Value, name: &str) -> String {
    found(gate).into_iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("no `{name}` in {gate}")).1
}

fn production(sandbox: &Sandbox) -> String {
    let pointer = document(&sandbox.path().join("ecosight-data/models/production.json"));
    pointer["version"].as_str().unwrap().to_owned()
}

fn history(sandbox: &Sandbox) -> Vec<Value> {
    let entries = Journal::History.read(&Layout::new(sandbox.path().join("ecosight-data"))).unwrap();
    entries.iter().map(|entry| serde_json::from_slice(&entry.bytes).unwrap()).collect()
}

#[test]
fn a_worse_model_is_refused_kept_and_published_only_by_force() {
    let sandbox = sandbox(false);
    let first = sandbox.json(RETRAIN);
    let good = first["model"].as_str().unwrap().to_owned();
    let gate = &first["gate"];
    assert_eq!((&gate["passed"], &gate["champion"]), (&true.into(), &Value::Null), "{gate}");
    assert_eq!(result(gate, "parity"), "pass", "{gate}");
    assert!(gate["criteria"].to_string().contains("20 test clips scored again"), "{gate}");
    assert_eq!(result(gate, "false alarms"), "n/a");
    assert_eq!(*gate, document(&sandbox.path().join(format!("ecosight-data/models/{good}/gate.json"))));

    let uses = sandbox.json("models show production")["test_uses"].as_array().unwrap().len();
    assert_eq!(uses, 1, "the test side is asked once");

    manifest(&sandbox, true, "");
    let refused = sandbox.run(RETRAIN);
    assert_eq!(refused.code, 4, "{}{}", refused.stdout, refused.stderr);
    for expected in [
        "does not go into production",
        "against production: balanced accuracy 1.000 → 0.000",
        "`high` 1.000 → 0.000",
        "hint: ",
    ] {
        assert!(refused.stderr.contains(expected), "`{expected}` is not in\n{}", refused.stderr);
    }
    assert!(refused.stdout.contains("refused") && refused.stdout.contains("not published"), "{}", refused.stdout);
    let page = refused.stdout.lines().find_map(|line| line.strip_prefix("report  ")).unwrap();
    let page = fs::read_to_string(sandbox.path().join(page)).unwrap();
    for expected in
        ["in production before", &good, "Against production", "Recall of high", "−100.0 points", "on the 20 "]
    {
        assert!(page.to_lowercase().contains(&expected.to_lowercase()), "`{expected}` is not in the report");
    }
    assert_eq!((production(&sandbox), history(&sandbox).len()), (good.clone(), 1));
    let listed = sandbox.json("models list");
    let state = |model: &Value| model["state"].as_str().unwrap().to_owned();
    let mut states: Vec<_> = listed.as_array().unwrap().iter().map(state).collect();
    // Both may have been made within a second.
    states.sort();
    assert_eq!(states, ["production", "refused"]);
    let again = sandbox.run(&format!("{RETRAIN} --json"));
    let again_document: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((again.code, result(&again_document["gate"], "recall of each class")), (4, "fail".to_owned()));
    assert_eq!(sandbox.run(&RETRAIN.replace("retrain", "status")).code, 3);

    let forced = sandbox.json(&format!("{RETRAIN} --force-publish"));
    let bad = forced["model"].as_str().unwrap().to_owned();
    assert_eq!((&forced["gate"]["passed"], &forced["gate"]["forced"]), (&false.into(), &true.into()));
    assert_eq!((production(&sandbox), forced["published"].as_bool()), (bad.clone(), Some(true)));
    let last = history(&sandbox).pop().unwrap();
    assert_eq!(
        (&last["by"], &last["forced"], &last["previous"]),
        (&"publish".into(), &true.into(), &good.clone().into())
    );

    sandbox.ok("models rollback");
    assert_eq!(production(&sandbox), good);
    // What people chose stays as it is until there is something new.
    let idle = sandbox.ok(RETRAIN);
    assert!(idle.stdout.contains("is up to date"), "{}", idle.stdout);
    assert_eq!((production(&sandbox), history(&sandbox).len()), (good, 3));
    sandbox.ok("models promote candidate");
    assert_eq!(production(&sandbox), bad);
}

#[test]
fn a_first_model_must_be_good_by_itself_and_not_cry_wolf() {
    let sandbox = sandbox(true);
    let limits = "--set train.background=[\"low\"] --set publish.max_false_alarms_per_hour=100";
    let refused = sandbox.run(&format!("{RETRAIN} {limits} --json"));
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let outcome: Value = serde_json::from_str(&refused.stdout).unwrap();
    let gate = &outcome["gate"];
    assert_eq!(
        (result(gate, "balanced accuracy"), result(gate, "false alarms")),
        ("fail".to_owned(), "fail".to_owned())
    );
    // Ten clips of 0.8 s.
    assert!(gate["criteria"].to_string().contains("10 on 8 s of background, 4500.0 an hour"), "{gate}");
    assert!(!sandbox.path().join("ecosight-data/models/production.json").exists());
    let unknown = sandbox.run("predict recordings");
    assert!(unknown.code == 1 && unknown.stderr.contains("no model in production"), "{}", unknown.stderr);

    manifest(&sandbox, false, "");
    let gate = &sandbox.json(&format!("{RETRAIN} {limits}"))["gate"];
    assert_eq!(result(gate, "false alarms"), "pass", "{gate}");
}

/// The test clips of `low`, some of which sound like `high`.
fn background_that_is_mistaken(sandbox: &Sandbox) -> Vec<String> {
    recordings(sandbox, CLIPS);
    let mut csv = "uri,label,recording_id,fold\n".to_owned();
    for number in 0..CLIPS {
        let fold = ["train", "val", "test"][number as usize % 3];
        for class in ["high", "low"] {
            csv.push_str(&format!("{class}/{number}.wav,{class},{class}{number},{fold}\n"));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();
    for number in [2, 11, 20, 29] {
        crate::clips::wav(&sandbox.path().join(format!("recordings/low/{number}.wav")), 2000.0, number + 500);
    }
    (0..CLIPS).filter(|number| number % 3 == 2).map(|number| format!("recordings/low/{number}.wav")).collect()
}

#[test]
fn the_false_alarms_that_the_gate_counts_are_those_that_predict_raises() {
    let sandbox = Sandbox::new();
    let background = background_that_is_mistaken(&sandbox);
    let line = format!("{RETRAIN} --set train.background=[\"low\"] --force-publish");
    for (thresholds, expected) in [("auto", Some(4)), ("best_f1", None), ("0.5", None), ("0.999", Some(0))] {
        let outcome = sandbox.json(&format!("{line} --set train.thresholds={thresholds}"));
        let criteria = outcome["gate"]["criteria"].as_array().unwrap();
        let alarms = criteria.iter().find(|criterion| criterion["name"] == "false alarms").unwrap();
        let counted: u64 = alarms["words"].as_str().unwrap().split_once(" on ").unwrap().0.parse().unwrap();
        let predicted = sandbox.json(&format!("predict {}", background.join(" ")));
        let rows = predicted["rows"].as_array().unwrap();
        let raised = rows.iter().filter(|row| row["predicted"] != "low").count() as u64;
        assert_eq!((rows.len(), counted), (10, raised), "{thresholds}: {alarms}");
        assert!(expected.is_none_or(|expected| expected == counted), "{thresholds}: {alarms}");
        let windows = sandbox.json(&format!("predict {} --windows", background.join(" ")));
        let windows = windows["rows"].as_array().unwrap().iter().filter(|row| row["predicted"] != "low").count();
        assert_eq!(windows as u64, raised, "each clip is one window");
        let matrix = &outcome["metrics"]["test"]["confusion_matrix"];
        assert_eq!(matrix[1][0], counted, "{thresholds}: {matrix}");
    }
    let told = "precision 0.999 of `high` cannot be shown with 20 clips of 20 recordings: it is never answered";
    let shown = sandbox.ok("models show production").stdout;
    assert!(shown.contains(told) && shown.contains("high never, low 0.000") && shown.contains("below them"), "{shown}");
    let again = sandbox.ok(&format!("{line} --set train.thresholds=0.999 --force=train"));
    assert!(again.stderr.contains(told), "{}", again.stderr);
}

#[test]
fn what_was_trained_on_its_test_clips_is_refused_unless_forced() {
    let sandbox = sandbox(false);
    manifest(&sandbox, false, "high/0.wav,high,another,test,0.2,0.8\n");
    let retrain = format!("{RETRAIN} --set split.copies=stop");
    let leak = sandbox.run(&retrain);
    assert!(leak.code == 1 && leak.stderr.contains("--allow-leak"), "{}", leak.stderr);
    let refused = sandbox.run(&format!("{retrain} --allow-leak"));
    assert!(refused.code == 4 && refused.stderr.contains("leaks: clips of the test side"), "{}", refused.stderr);
    sandbox.ok(&format!("{retrain} --allow-leak --force-publish"));
    let listed = sandbox.ok("models list").stdout;
    assert!(listed.contains("leaky") && listed.contains("production"), "{listed}");
}

#[test]
fn a_few_new_recordings_make_no_new_model() {
    let mut sandbox = sandbox(false);
    sandbox.set("MIN_NEW_SAMPLES", "4");
    let first = sandbox.json(RETRAIN);
    let models = || sandbox.json("models list").as_array().unwrap().len();
    let row = |number: u32, class: &str| {
        crate::clips::wav(&sandbox.path().join(format!("recordings/{class}/{number}.wav")), 2000.0, number);
        format!("{class}/{number}.wav,{class},{class}{number},train,0.1,0.9\n")
    };
    let more = [row(50, "high"), row(51, "high"), row(52, "high")].concat();
    manifest(&sandbox, false, &more);
    let waiting = sandbox.json(RETRAIN);
    let why = waiting["skipped"]["train"].as_str().unwrap();
    assert!(why.starts_with("3 new recordings since the model in production, 4 are needed"), "{why}");
    assert_eq!((&waiting["model"], &waiting["metrics"], models()), (&first["model"], &first["metrics"], 1));
    assert_eq!(sandbox.run(&RETRAIN.replace("retrain", "status")).code, 0);
    assert!(sandbox.ok(RETRAIN).stdout.contains("is up to date"));
    // Other settings are to be tried, and what is forced is done.
    sandbox.ok(&format!("{RETRAIN} --force=train"));
    assert_eq!(models(), 2);
    manifest(&sandbox, false, &(more.clone() + &row(53, "high")));
    assert!(sandbox.json(RETRAIN)["skipped"]["train"].is_string());
    assert!(sandbox.json(&format!("{RETRAIN} --set train.l2=3.0"))["skipped"]["train"].is_null());
    assert_eq!(models(), 3);
    let enough: String = (53..58).map(|number| row(number, "high")).collect();
    manifest(&sandbox, false, &(more + &enough));
    assert!(sandbox.json(&format!("{RETRAIN} --set train.l2=3.0"))["skipped"]["train"].is_null());
    assert_eq!(models(), 4);
}

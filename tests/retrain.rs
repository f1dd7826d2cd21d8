//! Retraining on a folder as people have it: with files that are no audio, damaged, repeated, or in the wrong place.

use std::fs;

use crate::clips::{recordings, wav};
use crate::support::Sandbox;

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1";

#[test]
fn bad_files_are_quarantined_with_their_reason_and_the_run_goes_on() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 40);
    let at = |name: &str| sandbox.path().join("recordings").join(name);
    fs::copy(at("high/0.wav"), at("high/copy of 0.WAV")).unwrap();
    fs::copy(at("high/1.wav"), at("low/contradiction.wav")).unwrap();
    fs::write(at("low/empty.wav"), b"").unwrap();
    fs::write(at("low/text.mp3"), b"this is no music").unwrap();
    fs::write(at("low/notes.txt"), b"this is no music either").unwrap();
    fs::create_dir_all(at("high/deep/er")).unwrap();
    fs::rename(at("high/2.wav"), at("high/deep/er/ünï çode.WAV")).unwrap();
    fs::rename(at("low/3.wav"), at("low/3.dat")).unwrap();
    let whole = fs::read(at("low/4.wav")).unwrap();
    fs::write(at("low/4.wav"), &whole[..whole.len() / 2]).unwrap();
    let outcome = sandbox.json(&format!("retrain --source recordings {FAST} --set pipeline.max_failed=0.2"));
    assert_eq!(outcome["exit"], "ok");
    let mut codes: Vec<_> = outcome["quarantined"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["uri"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    codes.sort();
    let expected = [
        "high/1.wav label_conflict",
        "low/4.wav truncated",
        "low/contradiction.wav label_conflict",
        "low/empty.wav empty",
        "low/text.mp3 not_audio",
    ];
    assert_eq!(codes, expected);
    let counts = &outcome["counts"]["manifest"];
    assert_eq!((counts["ignored"].as_u64(), counts["duplicates"].as_u64()), (Some(1), Some(1)));
    assert_eq!(outcome["metrics"]["test"]["accuracy"], 1.0);
}

#[test]
fn too_many_bad_files_stop_the_run_with_their_own_exit_code() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 5);
    for number in 0..3 {
        let bad = sandbox.path().join(format!("recordings/low/bad{number}.wav"));
        fs::write(bad, format!("RIFF....WAVEfmt nonsense {number}")).unwrap();
    }
    let ran = sandbox.run(&format!("retrain --source recordings {FAST}"));
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("caused by: 3 of 13 clips could not be used"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: `ecosight failed` lists the reasons"), "{}", ran.stderr);
    assert!(sandbox.path().join("ecosight-data/tables/quarantine").is_dir());
    assert!(!sandbox.path().join("ecosight-data/models").exists());
}

#[test]
fn unusable_sources_are_refused_before_anything_expensive() {
    let sandbox = Sandbox::new();
    let refuse = |line: &str, code: i32, expected: &str| {
        let ran = sandbox.run(line);
        assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("hint: "), "{line}: {}", ran.stderr);
    };
    refuse(&format!("retrain {FAST}"), 2, "nothing to train on yet");
    refuse(&format!("retrain --source nowhere {FAST}"), 1, "there is no such folder");
    refuse(&format!("retrain --source ftp://b/p {FAST}"), 2, "an address begins with");
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    refuse(&format!("retrain --source empty {FAST}"), 1, "no labelled audio");
    for number in 0..5 {
        wav(&sandbox.path().join(format!("one/high/{number}.wav")), 2000.0, number);
    }
    refuse(&format!("retrain --source one {FAST}"), 1, "only `high`");
    recordings(&sandbox, 2);
    refuse(&format!("retrain --source recordings {FAST}"), 1, "the val side of the split is empty");
    refuse("retrain --source recordings", 1, "the weights of `yamnet` are not on this machine");
    let ran = sandbox.run("retrain --source recordings");
    assert!(
        ran.stderr.contains("ecosight weights fetch") && ran.stderr.contains("ecosight weights import"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_manifest_with_spans_recordings_and_folds_is_a_source() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    let mut csv = "uri,label,recording_id,fold,start_s,end_s\n".to_owned();
    for number in 0..8 {
        let fold = ["train", "train", "train", "train", "val", "val", "test", "test"][number];
        for class in ["high", "low"] {
            for (start, end) in [("0", "0.5"), ("0.5", "")] {
                csv.push_str(&format!("{class}/{number}.wav,{class},{class}{number},{fold},{start},{end}\n"));
            }
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();
    let outcome = sandbox.json(&format!("retrain --source recordings/manifest.csv {FAST}"));
    let split = &outcome["counts"]["split"];
    let sides = ["train", "val", "test", "recordings"].map(|side| split[side].as_u64().unwrap());
    assert_eq!(sides, [16, 8, 8, 16]);
}

#[test]
fn stages_run_up_to_or_alone_and_say_what_they_lack() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    let lacking = sandbox.run(&format!("retrain --only train --source recordings {FAST}"));
    assert_eq!(lacking.code, 1);
    assert!(lacking.stderr.contains("hint: make it first: `ecosight retrain --to manifest`"), "{}", lacking.stderr);
    let plan = sandbox.json(&format!("retrain --dry-run --to split --source recordings {FAST}"));
    let stages: Vec<_> = plan["stages"].as_array().unwrap().iter().map(|s| (&s["stage"], &s["rows"]["new"])).collect();
    assert_eq!(stages, [(&"manifest".into(), &16.into()), (&"split".into(), &16.into())]);
    assert!(!sandbox.path().join("ecosight-data").exists(), "a dry run writes nothing");
    sandbox.ok(&format!("retrain --to audit --source recordings {FAST}"));
    // The source of the last run is remembered.
    sandbox.ok(&format!("retrain --only train {FAST}"));
    let other = sandbox.run(&format!("retrain --only train {FAST} --set embed.dtype=f16"));
    assert!(other.code == 1 && other.stderr.contains("embed.dtype: \"f32\" → \"f16\""), "{}", other.stderr);
    assert!(sandbox.path().join("ecosight-data/models/candidate.json").exists());
    assert!(!sandbox.path().join("ecosight-data/models/production.json").exists());
    sandbox.ok(&format!("evaluate {FAST}"));
    let unknown = sandbox.run(&format!("retrain --to embbed {FAST}"));
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("unknown stage `embbed`; did you mean `embed`?"), "{}", unknown.stderr);
}

#[test]
fn cross_validation_reuses_embeddings_and_knows_folds_and_groups() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    let grouped = sandbox.json(&format!("evaluate --cv --source recordings {FAST} --groups 4"));
    assert_eq!(grouped["folds"].as_object().unwrap().len(), 4);
    // Each clip and its variant; originals alone are scored.
    assert_eq!((grouped["computed"].as_u64(), grouped["reused"].as_u64()), (Some(40), Some(0)));
    assert_eq!((&grouped["metrics"]["n"], &grouped["accuracy"]), (&20.into(), &1.0.into()));
    let outcome = sandbox.json(&format!("retrain --source recordings {FAST}"));
    let units = outcome["counts"]["embed"]["units"].as_u64().unwrap();
    let again = sandbox.json(&format!("evaluate --cv {FAST} --set split.pattern=/(?<fold>[0-9])"));
    assert_eq!((again["computed"].as_u64(), again["reused"].as_u64()), (Some(40 - units), Some(units)));
    assert_eq!(again["metrics"]["n"], 20);
}

#[test]
fn a_model_trained_on_halves_predicts_with_halves() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    let outcome = sandbox.json(&format!("retrain --source recordings {FAST} --set embed.dtype=f16"));
    let root = sandbox.path().join("ecosight-data");
    assert!(root.join("tables/embed/embedder=logmel-v1-f32-f16").is_dir());
    let model = root.join("models").join(outcome["model"].as_str().unwrap());
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(model.join("model.json")).unwrap()).unwrap();
    assert_eq!(meta["embedder"]["dtype"], "f16");
    let predicted = sandbox.json("predict recordings/high");
    assert!(predicted["rows"].as_array().unwrap().iter().all(|row| row["predicted"] == "high"));
}

#[test]
fn a_run_tells_where_its_time_went() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    let ran = sandbox.ok(&format!("retrain --source recordings {FAST} --json --verbose"));
    for word in ["per CPU second", "decode", "log-mel", "network", "write", "evaluate"] {
        assert!(ran.stderr.contains(word), "{word} is missing in\n{}", ran.stderr);
    }
    let outcome: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let timings = outcome["timings"].as_array().unwrap();
    let embed = timings.iter().find(|timing| timing["stage"] == "embed").unwrap();
    let items =
        |name: &str| embed["steps"].as_array().unwrap().iter().find(|s| s["step"] == name).unwrap()["items"].clone();
    let patches = outcome["counts"]["embed"]["patches"].clone();
    assert_eq!((items("network"), items("write")), (patches.clone(), patches));
    assert_eq!(timings.len(), 8);
}

#[test]
fn the_mlp_is_a_setting_and_the_seed_changes_it() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    let mlp = format!("retrain --source recordings {FAST} --set train.head=mlp --set train.max_epochs=8");
    let head = |line: &str| {
        let outcome = sandbox.json(line);
        let model = sandbox.path().join("ecosight-data/models").join(outcome["model"].as_str().unwrap());
        fs::read(model.join("head.safetensors")).unwrap()
    };
    let first = head(&mlp);
    assert!(head(&mlp) == first, "one seed gives one model");
    assert!(head(&format!("{mlp} --seed 7")) != first, "another seed gives another");
}

#[test]
fn a_model_is_never_judged_on_tables_that_have_changed_since() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    sandbox.ok(&format!("retrain --source recordings {FAST}"));
    sandbox.ok(&format!("evaluate {FAST}"));
    sandbox.ok(&format!("retrain --to split {FAST} --set split.seed=7"));
    let ran = sandbox.run(&format!("evaluate {FAST} --set split.seed=7"));
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stderr.contains("the tables have changed since the model was trained"), "{}", ran.stderr);
}

#[test]
fn cross_validation_after_a_run_with_a_bad_clip_and_with_unsound_folds() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    let bad = sandbox.path().join("recordings/low/1.wav");
    let whole = fs::read(&bad).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    sandbox.ok(&format!("retrain --source recordings {FAST}"));
    let document = sandbox.json(&format!("evaluate --cv {FAST}"));
    assert_eq!((document["quarantined"].as_u64(), document["metrics"]["n"].as_u64()), (Some(1), Some(39)));

    let partial = sandbox.run(&format!("evaluate --cv {FAST} --set split.pattern=/(?<fold>[0-4])[.]"));
    assert!(partial.code == 1 && partial.stderr.contains("the others have none"), "{}", partial.stderr);
    let narrow = sandbox.run(&format!("evaluate --cv {FAST} --set split.pattern=(?<fold>high|low)"));
    assert!(narrow.code == 1 && narrow.stderr.contains("class `high`, `low` are in one fold"), "{}", narrow.stderr);
    let torn = sandbox.run(&format!("evaluate --cv {FAST} --set split.pattern=(?<recording>high|low)/1?(?<fold>.)"));
    assert!(torn.code == 1 && torn.stderr.contains("has clips in the folds"), "{}", torn.stderr);
    let sides = "--set split.val_folds=[\"2\"] --set split.test_folds=[\"3\"]";
    let parted =
        sandbox.run(&format!("retrain {FAST} --set split.pattern=(?<recording>high|low)/1?(?<fold>.) {sides}"));
    assert!(parted.code == 1 && parted.stderr.contains("recording `high` has clips in the folds"), "{}", parted.stderr);
}

#[test]
fn a_class_with_one_recording_is_trained_on_and_decides_nothing_for_the_others() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    let selection = |root: &str| {
        let outcome = sandbox.json(&format!("retrain --source recordings {FAST} --data-root {root}"));
        let model = sandbox.path().join(root).join("models").join(outcome["model"].as_str().unwrap());
        let meta: serde_json::Value = serde_json::from_slice(&fs::read(model.join("model.json")).unwrap()).unwrap();
        (
            meta["selection"].clone(),
            outcome["warnings"].to_string(),
            fs::read_to_string(model.join("MODEL_CARD.md")).unwrap(),
        )
    };
    let (before, warnings, card) = selection("without");
    assert!(!warnings.contains("recording") && !card.contains("1 recording"), "{warnings} {card}");
    wav(&sandbox.path().join("recordings/rare/0.wav"), 1900.0, 777);
    let (after, warnings, card) = selection("with");
    // One more class in the fits may move the penalty by a step of its grid.
    let l2 = [&before, &after].map(|selection| selection["l2"].as_f64().unwrap());
    assert!(l2[1] / l2[0] < 4.0 && l2[0] / l2[1] < 4.0, "{l2:?}");
    for name in ["fitted_temperature", "calibrated_on"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!((&after["positives"][0], after["positives"][2]["clips"].as_u64()), (&before["positives"][0], Some(0)));
    assert!(
        warnings.contains("class `rare` has 1 recording: its clips take no part in choosing penalty"),
        "{warnings}"
    );
    assert!(
        card.contains("Classes with 1 recording on the train and val sides")
            && card.contains("| rare | 1 | 0 | 0 | 1 | 1 | 0 |"),
        "{card}"
    );
    // Its one recording is on the train side.
    let shown = sandbox.ok("runs show --data-root with").stdout;
    let row = shown.lines().find(|line| line.trim_start().starts_with("rare")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["rare", "0", "n/a", "n/a", "n/a", "–"], "{shown}");
}

#[cfg(unix)]
#[test]
fn what_is_written_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    let outcome = sandbox.json(&format!("retrain --source recordings {FAST}"));
    sandbox.ok("predict recordings/high/1.wav --out scores.csv");
    let model = format!("ecosight-data/models/{}/model.json", outcome["model"].as_str().unwrap());
    let expected = fs::metadata(sandbox.path().join("recordings/high/1.wav")).unwrap().permissions().mode();
    for file in ["scores.csv", "ecosight-data/models/production.json", &model] {
        let mode = fs::metadata(sandbox.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode, expected, "{file}: {mode:o}");
    }
}

#[test]
fn a_class_called_like_a_column_of_the_predictions_is_refused() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    fs::rename(sandbox.path().join("recordings/low"), sandbox.path().join("recordings/path")).unwrap();
    let ran = sandbox.run(&format!("retrain --source recordings {FAST}"));
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("rename its folder"), "{}", ran.stderr);
}

#[test]
fn the_next_run_reads_the_same_source_and_is_told_what_else_differs() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    sandbox.ok(&format!("retrain --source recordings {FAST} --set split.pattern=/(?<recording>[0-9]+)"));
    let ran = sandbox.ok(&format!("evaluate --cv {FAST}"));
    assert!(
        ran.stderr.contains("since the last run split.pattern was \"/(?<recording>[0-9]+)\", now \"\""),
        "{}",
        ran.stderr
    );
    // A run that failed before its manifest was made is not remembered.
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    assert_eq!(sandbox.run(&format!("retrain --source empty {FAST}")).code, 4);
    assert!(sandbox.ok(&format!("retrain --dry-run {FAST}")).stdout.contains("recordings"));
}

#[test]
fn a_damaged_model_is_refused_with_the_way_out() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    let outcome = sandbox.json(&format!("retrain --source recordings {FAST}"));
    let head =
        sandbox.path().join("ecosight-data/models").join(outcome["model"].as_str().unwrap()).join("head.safetensors");
    let mut bytes = fs::read(&head).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&head, bytes).unwrap();
    let ran = sandbox.run("predict recordings/high/1.wav");
    assert!(
        ran.code == 1 && ran.stderr.contains("damaged") && ran.stderr.contains("hint: train anew"),
        "{}",
        ran.stderr
    );
    let unknown = sandbox.run("predict recordings/high/1.wav --model nowhere");
    assert!(
        unknown.stderr.contains(&format!("hint: there are {}", outcome["model"].as_str().unwrap())),
        "{}",
        unknown.stderr
    );
}

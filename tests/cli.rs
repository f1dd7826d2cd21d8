//! The command line itself: help, mistakes, and what is on which stream.

use std::fs;

use crate::support::{Sandbox, repository};

#[test]
fn every_verb_has_help_with_an_example() {
    let sandbox = Sandbox::new();
    let everyday = ["demo", "retrain", "status", "evaluate", "predict", "embed", "graph", "weights"];
    let upkeep = ["runs", "runs show", "runs diff", "failed", "gc", "verify"];
    for verb in everyday.into_iter().chain(["init", "config", "doctor", "completions"]).chain(upkeep) {
        let ran = sandbox.ok(&format!("{verb} --help"));
        assert!(ran.stdout.contains("Example"), "{verb}");
        assert!(ran.stdout.contains("--data-root"), "{verb}");
    }
    let typo = sandbox.run("retrian");
    assert_eq!(typo.code, 2);
    assert!(typo.stderr.contains("retrain"), "{}", typo.stderr);
    // A demo does not write into a folder that holds something else.
    fs::create_dir_all(sandbox.path().join("mine/extracted_audio")).unwrap();
    assert_eq!(sandbox.run("demo --out mine").code, 2);
}

#[test]
fn all_mistakes_of_a_pipeline_file_are_reported_at_once() {
    let sandbox = Sandbox::new();
    let file = "[stages.splitt]\n[stages.split]\ntrain = 2.0\n[stages.train]\nl2 = 'x'\nlr = 1\n[stages.manifest]\nneeds = ['train']";
    fs::write(sandbox.path().join("mine.toml"), file).unwrap();
    let ran = sandbox.run("graph --config mine.toml");
    assert_eq!(ran.code, 2);
    for expected in ["stages.splitt", "stages.split.train", "stages.train.l2", "stages.train.lr", "hint: "] {
        assert!(ran.stderr.contains(expected), "{expected} is missing in\n{}", ran.stderr);
    }
    fs::write(sandbox.path().join("mine.toml"), "[stages.train]\nl2 = = 1").unwrap();
    let ran = sandbox.run("graph --config mine.toml");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("mine.toml") && ran.stderr.contains("line 2"), "{}", ran.stderr);
    assert_eq!(sandbox.run("graph --config nowhere.toml").code, 2);
}

#[test]
fn logmel_has_one_precision() {
    let ran = Sandbox::new().run("graph --set embed.embedder=logmel --set embed.precision=bf16");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("stages.embed.precision") && ran.stderr.contains("`f32` only"), "{}", ran.stderr);
}

#[test]
fn files_keep_their_order_and_a_bad_one_leaves_no_rows() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let clip = |name: &str| format!("ecosight-demo/new_clips/new-{name}.wav");
    let whole = fs::read(sandbox.path().join(clip("rain"))).unwrap();
    fs::write(sandbox.path().join("cut.wav"), &whole[..whole.len() / 2]).unwrap();
    let line = format!("embed {} cut.wav gone.wav {} --embedder logmel", clip("rain"), clip("bird"));
    let document = |jobs: u32| {
        let ran = sandbox.run(&format!("{line} --out {jobs}.parquet --jobs {jobs} --json"));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let first = document(1);
    let codes: Vec<_> = first["failed"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!((codes, first["files"].as_u64()), (vec!["truncated", "io"], Some(2)));
    document(4);
    let bytes = |name: &str| fs::read(sandbox.path().join(name)).unwrap();
    assert!(bytes("1.parquet") == bytes("4.parquet"), "the rows depend on the number of threads");
}

#[test]
fn a_file_named_ecosight_toml_in_the_current_folder_counts() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("ecosight.toml"), "[stages.publish]\nneeds = ['train', 'evaluate', 'split']")
        .unwrap();
    assert!(sandbox.ok("graph --format dot").stdout.contains("split -> publish;"));
}

#[test]
fn the_readme_shows_the_declared_pipeline() {
    let drawn = Sandbox::new().ok("graph --format mermaid").stdout;
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains(drawn.trim_end()), "put this into the README:\n{drawn}");
}

#[test]
fn weights_that_are_none_are_refused_and_nothing_is_kept() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("bad.h5"), b"\x89HDF\r\n\x1a\n but not really").unwrap();
    for file in ["bad.h5", "nowhere.h5"] {
        let ran = sandbox.run(&format!("weights import {file}"));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(file), "{}", ran.stderr);
    }
    assert_eq!(sandbox.json("weights list")["weights"], serde_json::json!([]));
    let fetch = sandbox.run("weights fetch --url http://127.0.0.1:9/yamnet.h5");
    assert!(fetch.code != 0 && fetch.stderr.contains("weights import"), "{}", fetch.stderr);
}

#[test]
fn predicting_without_a_model_or_without_audio_says_what_to_do() {
    let sandbox = Sandbox::new();
    let none = sandbox.run("predict x.wav");
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("hint: train one with `ecosight retrain"), "{}", none.stderr);
    sandbox.ok("demo -q");
    fs::write(sandbox.path().join("a.wav"), b"").unwrap();
    fs::write(sandbox.path().join("b.wav"), b"RIFFxxxxWAVE").unwrap();
    let ran = sandbox
        .run("predict --data-root ecosight-demo a.wav b.wav gone.wav ecosight-demo/new_clips/new-bird.wav --json");
    assert_eq!(ran.code, 1);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["failed"].as_array().unwrap().len(), 3);
    assert_eq!(document["failed"][0]["code"], "empty");
    assert_eq!(document["rows"][0]["predicted"], "bird");
}

#[test]
fn embeddings_of_any_audio_go_to_a_file() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let document = sandbox.json("embed ecosight-demo/new_clips --embedder logmel --out deep/e.parquet");
    assert_eq!((document["files"].as_u64(), document["patches"].as_u64()), (Some(5), Some(5)));
    assert!(sandbox.path().join("deep/e.parquet").exists());
    let halves =
        sandbox.json("embed ecosight-demo/new_clips --embedder logmel --dtype f16 --out half.parquet --verbose");
    assert_eq!((&halves["embedder"], halves["patches"].as_u64()), (&"logmel-v1-f32-f16".into(), Some(5)));
    let steps = halves["timings"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["step"] == "network" && step["items"] == 5), "{steps:?}");
    let size = |name: &str| fs::metadata(sandbox.path().join(name)).unwrap().len();
    assert!(size("half.parquet") < size("deep/e.parquet") * 3 / 4);
    let bf16 = sandbox.run("embed ecosight-demo/new_clips --embedder logmel --precision bf16 --out e.parquet");
    assert!(bf16.code == 2 && bf16.stderr.contains("`f32` only"), "{}", bf16.stderr);
    assert!(bf16.stderr.contains("leave it out, or set it to \"f32\""), "{}", bf16.stderr);
    let before = fs::read(sandbox.path().join("half.parquet")).unwrap();
    let typo = sandbox.run("embed ecosight-demo/new_clip --embedder logmel --out half.parquet");
    assert!(typo.code == 1 && typo.stderr.contains("was not written"), "{}", typo.stderr);
    assert!(fs::read(sandbox.path().join("half.parquet")).unwrap() == before, "a typo has replaced a good file");
    fs::write(sandbox.path().join("mine.toml"), "[stages.embed]\nembedder = 'logmel'\ndtype = 'f16'\n").unwrap();
    let declared = sandbox.json("embed ecosight-demo/new_clips --config mine.toml --out declared.parquet");
    assert_eq!(declared["embedder"], "logmel-v1-f32-f16");
    let missing = sandbox.run("embed ecosight-demo/new_clips --out e.parquet");
    assert!(missing.code == 1 && missing.stderr.contains("ecosight weights fetch"), "{}", missing.stderr);
}

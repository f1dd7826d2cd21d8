//! `verify` reads everything that was written: each kind of file is garbled, found, and put right as far as that is possible.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clips::recordings;
use crate::ingest::clips;
use crate::roots::{document, files};
use crate::s3::Server;
use crate::support::{Ran, Sandbox};

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=0";

/// A data root with a model in production, and retired rows.
fn trained() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    sandbox.ok(&RETRAIN.replace("variants=0", "variants=1"));
    sandbox.ok(RETRAIN);
    let root = sandbox.path().join("ecosight-data");
    (sandbox, root)
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in\n{}{}", ran.stdout, ran.stderr))
}

/// Paths and healths of what is wrong.
fn wrong(ran: &Ran) -> Vec<(String, String)> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
    let wrong = parsed(ran)["wrong"].as_array().unwrap().clone();
    wrong.iter().map(|item| (text(item, "path"), text(item, "health"))).collect()
}

/// A file, and what is done to it.
type Harm<'a> = (PathBuf, &'a dyn Fn(&Path));

/// Writes zeros over the middle of a file, whose size and ends stay.
fn blank(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len() / 2;
    bytes[4..end].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn recordings_that_are_gone_cut_off_or_changed_are_found_and_left_where_they_are() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..4);
    sandbox.ok("ingest in --class dog --new-class");
    let sound = sandbox.json("verify --deep");
    assert_eq!((&sound["by_part"]["recordings"]["ok"], &sound["wrong"]), (&json!(4), &json!([])), "{sound:#}");
    let root = sandbox.path().join("ecosight-data");
    let mut stored = files(&root.join("extracted_audio"));
    stored.sort();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    fs::remove_file(&stored[0]).unwrap();
    let bytes = fs::read(&stored[1]).unwrap();
    fs::write(&stored[1], &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = fs::read(&stored[2]).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&stored[2], bytes).unwrap();

    let quick = sandbox.run("verify --json");
    let mut expected = vec![(name(&stored[0]), "missing".to_owned()), (name(&stored[1]), "damaged".to_owned())];
    assert_eq!((quick.code, wrong(&quick)), (1, expected.clone()));
    let deep = sandbox.run("verify --deep --json");
    expected.push((name(&stored[2]), "damaged".to_owned()));
    assert_eq!((deep.code, wrong(&deep)), (1, expected));
    let before = files(&root.join("extracted_audio"));
    let repair = sandbox.run("verify --deep --repair");
    assert!(repair.code == 1 && repair.stderr.contains("cannot be made again: "), "{}", repair.stderr);
    assert_eq!(files(&root.join("extracted_audio")), before, "a recording is not moved");
}

#[test]
fn whatever_is_garbled_is_found_and_what_can_be_made_again_is() {
    let (sandbox, root) = trained();
    sandbox.ok("verify");
    let run = {
        let mut records: Vec<PathBuf> = files(&root.join("runs"));
        records.retain(|path| path.ends_with("run.json"));
        records.sort();
        records.remove(0)
    };
    let retired = files(&root.join("retired/embed")).remove(0);
    let garble = |path: &Path| fs::write(path, "{ no\nsense").unwrap();
    let first_line = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, format!("garbage\n{text}")).unwrap();
    };
    // As earlier versions wrote it.
    let history = root.join("models/history.jsonl");
    let version = document(&root.join("models/production.json"))["version"].clone();
    let moves = format!(
        "{{\"at\":\"2026-01-01T00:00:00Z\",\"version\":{version},\"previous\":null,\"by\":\"publish\",\"forced\":false}}\n"
    );
    fs::write(&history, &moves).unwrap();
    sandbox.ok("verify");
    let harms: [Harm<'_>; 5] = [
        (history.clone(), &first_line),
        (root.join("index/sounds.parquet"), &garble),
        (root.join(".last_run.json"), &garble),
        (run, &garble),
        (retired, &blank),
    ];
    for (path, harm) in harms {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        harm(&path);
        let found = sandbox.run("verify --json");
        assert_eq!((found.code, wrong(&found)), (1, vec![(name.clone(), "damaged".to_owned())]), "{name}");
        let repaired = sandbox.run("verify --repair");
        assert!(repaired.code == 0 && repaired.stderr.contains(&format!("set aside: {name}")), "{}", repaired.stderr);
        sandbox.ok("verify");
        sandbox.ok(RETRAIN);
    }
    assert_eq!(fs::read_to_string(&history).unwrap(), moves, "the lines that can be read stay");
    assert!(fs::read_to_string(root.join("retired/damaged/models/history.jsonl")).unwrap().starts_with("garbage\n"));

    // What a person has written is not touched; the line is named.
    fs::write(root.join("corrections.csv"), "clip_id,label,uri\nabc,dog,a.wav\n").unwrap();
    let found = sandbox.run("verify --repair");
    assert!(found.code == 1 && found.stdout.contains("line 2: `abc` is not a clip id"), "{}", found.stdout);
    assert!(root.join("corrections.csv").exists());
}

#[test]
fn a_lost_pointer_to_the_model_in_production_is_written_again_from_the_history() {
    let (sandbox, root) = trained();
    let path = root.join("models/production.json");
    let before = document(&path);
    let other = before.to_string().replace("\"since\":\"2", "\"since\":\"1");
    for text in [None, Some("{"), Some(&other)] {
        match text {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        let found = sandbox.run("verify");
        assert!(found.code == 1 && found.stdout.contains("models/production.json"), "{}", found.stdout);
        let repaired = sandbox.ok("verify --repair");
        assert!(repaired.stderr.contains("written again: models/production.json"), "{}", repaired.stderr);
        assert_eq!(document(&path), before);
        sandbox.ok("verify");
    }
    sandbox.ok("predict recordings/low/1.wav");
}

#[test]
fn what_a_killed_run_was_writing_is_a_note_and_no_failure() {
    let (sandbox, root) = trained();
    // What a run leaves that is killed after the stage has written its table, and before it is known.
    fs::remove_file(root.join("index/audit.json")).unwrap();
    let run = root.join("runs").join(sandbox.json("runs show last")["run_id"].as_str().unwrap());
    fs::remove_file(run.join("run.json")).unwrap();
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let begun = |line: &&str| line.contains("stage_started") && line.contains("\"audit\"");
    let at = events.lines().position(|line| begun(&line)).unwrap();
    let lines: String = events.lines().take(at + 1).map(|line| format!("{line}\n")).collect();
    fs::write(run.join("events.jsonl"), lines).unwrap();

    let found = sandbox.json("verify");
    let paths: Vec<_> = found["unfinished"].as_array().unwrap().iter().map(|item| item["path"].clone()).collect();
    assert_eq!((paths, &found["wrong"]), (vec![json!("tables/audit/part-00000.parquet")], &json!([])));
    assert!(sandbox.ok("verify").stdout.contains("unfinished tables/audit/part-00000.parquet"));
    assert_eq!(sandbox.ok("verify -q").stdout, "");
    sandbox.ok(RETRAIN);
    assert_eq!(sandbox.json("verify")["unfinished"], json!([]));
    // Without a run that was writing it, the part is strange.
    fs::remove_file(root.join("index/audit.json")).unwrap();
    assert_eq!(sandbox.run("verify").code, 1);
}

#[test]
fn of_two_data_roots_that_share_a_bucket_each_is_verified_for_itself() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    for (root, numbers) in [("one", 0..3), ("two", 3..5)] {
        clips(&sandbox, root, numbers);
        sandbox.ok(&format!("ingest {root} --class dog --new-class --data-root root_{root}"));
    }
    for (root, same, others) in [("one", 3, 2), ("two", 2, 3)] {
        let line = format!("storage verify --data-root root_{root}");
        let verified = sandbox.json(&line);
        let extra = verified["extra"].as_array().unwrap().len();
        assert_eq!((verified["same"].as_u64(), extra), (Some(same), others), "{verified:#}");
        assert_eq!(sandbox.ok(&format!("{line} -q")).stdout, "");
        assert_eq!(sandbox.run(&format!("{line} --all")).code, 1);
    }
    // What was kept here and is gone, or is not in the bucket any more, is a failure.
    let kept = files(&sandbox.path().join("root_one/extracted_audio")).remove(0);
    fs::remove_file(&kept).unwrap();
    let gone = sandbox.run("storage verify --data-root root_one --json");
    assert_eq!((gone.code, parsed(&gone)["gone_here"].as_array().map(Vec::len)), (1, Some(1)), "{}", gone.stdout);
    let dropped = sandbox.json("storage migrate --delete-local --data-root root_two");
    assert_eq!(dropped["deleted"], 2);
    sandbox.ok("storage verify --data-root root_two");
    for object in files(&server.bucket_folder().join("extracted_audio")) {
        fs::remove_file(object).unwrap();
    }
    let lost = sandbox.run("storage verify --data-root root_two --json");
    assert_eq!((lost.code, parsed(&lost)["missing"].as_array().map(Vec::len)), (1, Some(2)), "{}", lost.stdout);
}

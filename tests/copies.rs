//! Recordings that are copies of each other: found, joined into one group, and told.

use std::collections::BTreeMap;
use std::fs;

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, CopyRow, LeakRow, Side, SplitRow, read_file, read_rows};
use serde_json::Value;

use crate::clips::{RATE, recording, recordings, write_wav};
use crate::roots::{busy, rows};
use crate::support::{Sandbox, test_data};

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel";

/// Recordings of each class.
const CLIPS: u32 = 10;

/// The samples of one of the [`recordings`].
fn samples(sandbox: &Sandbox, name: &str) -> Vec<i16> {
    let bytes = fs::read(recording(sandbox, name)).unwrap();
    bytes[44..].chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect()
}

/// Side and group of each clip, by its path.
fn split(sandbox: &Sandbox) -> BTreeMap<String, (Side, String)> {
    let layout = Layout::new(sandbox.path().join("ecosight-data"));
    let clips: Vec<ClipRow> = read_rows(&layout.table("manifest")).unwrap();
    let split: Vec<SplitRow> = read_rows(&layout.table("split")).unwrap();
    clips.into_iter().zip(split).map(|(clip, row)| (clip.uri, (row.side, row.group_id))).collect()
}

/// Recordings of which one is, cut and at another volume, on another side as well; the names of the two.
fn sandbox() -> (Sandbox, [String; 2]) {
    let sandbox = Sandbox::new();
    recordings(&sandbox, CLIPS);
    let copy = "high/copy.wav";
    for number in 0..CLIPS {
        let name = format!("high/{number}.wav");
        let part: Vec<i16> = samples(&sandbox, &name)[1_500..].iter().map(|&x| (f64::from(x) * 0.6) as i16).collect();
        write_wav(&recording(&sandbox, copy), &part);
        sandbox.ok(&format!("{RETRAIN} --to split"));
        let split = split(&sandbox);
        if split[&name].0 != split[copy].0 {
            fs::remove_dir_all(sandbox.path().join("ecosight-data")).unwrap();
            return (sandbox, [name, copy.to_owned()]);
        }
    }
    panic!("no recording is on another side than its copy");
}

/// How many pairs are known.
fn known(sandbox: &Sandbox) -> usize {
    read_file::<CopyRow>(&sandbox.path().join("ecosight-data/index/copies.parquet")).map_or(0, |rows| rows.len())
}

#[test]
fn a_copy_is_joined_with_its_recording_and_the_run_goes_on() {
    let (sandbox, [one, other]) = sandbox();
    let first = sandbox.run(&format!("{RETRAIN} --json"));
    assert_eq!(first.code, 0, "{}", first.stderr);
    let joined = format!(
        "2 recordings are copies of others, wholly or in part, and were joined into a group: `{one}` + `{other}`"
    );
    assert!(first.stderr.contains(&joined), "{}", first.stderr);
    assert!(first.stderr.contains("1 pair of copies found on different sides of the split"), "{}", first.stderr);
    let outcome: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((&outcome["published"], &outcome["metrics"]["test"]["is_leaky"]), (&true.into(), &Value::Null));
    // What the first pass computed is not called reused.
    let all = 2 * CLIPS + 1;
    assert_eq!(rows(&outcome, "manifest"), [all.into(), 0, 0, 0, 0]);
    assert!(rows(&outcome, "embed")[0] > all.into() && rows(&outcome, "embed")[2] == 0, "{outcome}");
    let stages = outcome["stages"].as_array().unwrap().iter();
    assert!(stages.clone().all(|stage| stage["status"] == "ok") && stages.count() == 8, "{outcome}");

    let split = split(&sandbox);
    assert_eq!(split[&one], split[&other]);
    let layout = Layout::new(sandbox.path().join("ecosight-data"));
    assert!(read_rows::<LeakRow>(&layout.table("audit")).unwrap().is_empty());
    assert_eq!((known(&sandbox), sandbox.run(&RETRAIN.replace("retrain", "status")).code), (1, 0));
    assert!(busy(&sandbox.json(RETRAIN)).is_empty());
    let listed = sandbox.json("audit leaks");
    assert_eq!(listed["leaks"], serde_json::json!([]));
    let copy = &listed["copies"][0];
    assert_eq!((&copy["kind"], &copy["is_joined"]), (&"near".into(), &true.into()));
    assert_eq!((&copy["uri_a"], &copy["uri_b"]), (&one.clone().into(), &other.clone().into()));
    let shown = sandbox.ok("audit leaks");
    assert!(shown.stdout.contains(&one) && shown.stderr.contains("the recordings of 1 are joined"), "{}", shown.stderr);

    // What is known is not found a second time, whatever the split.
    let reseeded = sandbox.json(&format!("{RETRAIN} --set split.seed=7 --to audit"));
    assert_eq!((&reseeded["warnings"], known(&sandbox)), (&serde_json::json!([]), 1));
    // The index can be made again.
    sandbox.ok(RETRAIN);
    fs::remove_file(sandbox.path().join("ecosight-data/index/copies.parquet")).unwrap();
    let status = sandbox.run(&RETRAIN.replace("retrain", "status --why"));
    assert!(status.code == 3 && status.stdout.contains("split copies: "), "{}", status.stdout);
    sandbox.ok(RETRAIN);
    assert_eq!((known(&sandbox), sandbox.run(&RETRAIN.replace("retrain", "status")).code), (1, 0));
}

#[test]
fn a_run_stops_at_copies_or_goes_on_with_leaky_figures_where_that_is_asked_for() {
    let (sandbox, [one, other]) = sandbox();
    let stopping = format!("{RETRAIN} --set split.copies=stop");
    for pairs in [1, 1] {
        let stopped = sandbox.run(&stopping);
        assert_eq!((stopped.code, known(&sandbox)), (1, pairs), "{}", stopped.stderr);
        for expected in [&*one, &*other, "copy of the other", "hint: ", "--allow-leak", "split.copies"] {
            assert!(stopped.stderr.contains(expected), "`{expected}` is not in\n{}", stopped.stderr);
        }
    }
    let listed = sandbox.json("audit leaks");
    assert_eq!(listed["leaks"].as_array().unwrap().len(), 1);
    assert_eq!(listed["copies"][0]["is_joined"], false);
    // What was found is known to a run that joins: its first pass is right.
    let joined = sandbox.run(RETRAIN);
    assert!(joined.code == 0 && !joined.stderr.contains("dealt again"), "{}", joined.stderr);
    assert!(joined.stderr.contains("were joined into a group"), "{}", joined.stderr);

    fs::remove_dir_all(sandbox.path().join("ecosight-data")).unwrap();
    let leaky = sandbox.json(&format!("{RETRAIN} --allow-leak --force-publish"));
    assert_eq!((&leaky["metrics"]["test"]["is_leaky"], known(&sandbox)), (&true.into(), 0));
}

/// A WAV file with the same samples and other bytes.
fn write_twin(sandbox: &Sandbox, of: &str, to: &str) {
    let mut bytes = fs::read(recording(sandbox, of)).unwrap();
    bytes.extend(b"junk\x02\0\0\0ab");
    let size = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&size);
    fs::write(recording(sandbox, to), bytes).unwrap();
}

#[test]
fn cross_validation_keeps_equal_sounds_in_one_fold_and_silence_apart() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, CLIPS);
    for number in 0..4 {
        write_twin(&sandbox, &format!("low/{number}.wav"), &format!("low/twin {number}.wav"));
        write_wav(&recording(&sandbox, &format!("low/silence {number}.wav")), &vec![0; RATE as usize / 2 + number]);
    }
    let line = "evaluate --cv --source recordings --set embed.embedder=logmel";
    let joined = sandbox.run(&format!("{line} --json"));
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    let document: Value = serde_json::from_str(&joined.stdout).unwrap();
    assert_eq!(document["is_leaky"], false, "{}", joined.stderr);
    assert!(
        joined.stderr.contains("8 recordings are copies of others, wholly or in part, and were joined into 4 groups")
    );
    assert!(!joined.stderr.contains("`low/silence 0.wav` + "), "{}", joined.stderr);
    let parted = sandbox.run(&format!("{line} --json --set split.copies=stop"));
    let document: Value = serde_json::from_str(&parted.stdout).unwrap();
    assert!(document["is_leaky"] == true && parted.stderr.contains("the figures are leaky"), "{}", parted.stderr);

    // Given folds that part copies: the group is where most of its clips are.
    let mut csv = "uri,label,fold\n".to_owned();
    for number in 0..CLIPS {
        for class in ["high", "low"] {
            csv.push_str(&format!("{class}/{number}.wav,{class},{}\n", number % 2));
        }
    }
    csv.push_str("low/twin 0.wav,low,1\n");
    fs::write(recording(&sandbox, "manifest.csv"), csv).unwrap();
    let given = sandbox.run(&format!("{} --json", line.replace("recordings", "recordings/manifest.csv")));
    assert_eq!(given.code, 0, "{}", given.stderr);
    let document: Value = serde_json::from_str(&given.stdout).unwrap();
    assert_eq!((&document["is_leaky"], &document["fold_clips"]["0"]), (&false.into(), &11.into()));
    assert!(given.stderr.contains("copies lie in different folds"), "{}", given.stderr);
}

#[test]
fn equal_embeddings_are_copies_even_of_clips_that_are_gone() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, CLIPS);
    for number in 0..CLIPS {
        write_twin(&sandbox, &format!("low/{number}.wav"), &format!("low/twin {number}.wav"));
    }
    sandbox.ok(&format!("{RETRAIN} --to embed"));
    for number in 0..CLIPS {
        fs::remove_file(recording(&sandbox, &format!("low/{number}.wav"))).unwrap();
    }
    // What was measured of them while they were there is gone, too.
    fs::remove_file(sandbox.path().join("ecosight-data/index/fingerprints.db")).unwrap();
    // The split is older than what is found now.
    let alone = sandbox.run(&format!("{RETRAIN} --only audit"));
    assert_eq!(alone.code, 1, "{}{}", alone.stdout, alone.stderr);
    for expected in
        ["clips could not be read again", "copy of the other", "`low/twin ", "hint: the split was made before"]
    {
        assert!(alone.stderr.contains(expected), "`{expected}` is not in\n{}", alone.stderr);
    }
    assert!(known(&sandbox) > 0);
}

#[test]
fn files_with_the_bytes_of_another_are_told_with_its_name() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, CLIPS);
    for name in ["0 again", "0 once more"] {
        fs::copy(recording(&sandbox, "high/0.wav"), recording(&sandbox, &format!("high/{name}.wav"))).unwrap();
    }
    let told = sandbox.ok(&format!("{RETRAIN} --to manifest -v")).stderr;
    assert!(told.contains("2 file(s) repeat the bytes of another clip"), "{told}");
    assert!(told.contains("(first: `high/0 once more.wav` repeats the bytes of `high/0 again.wav`)"), "{told}");
    assert_eq!(told.matches(" repeats the bytes of `high/0 again.wav`").count(), 3, "{told}");
}

#[test]
fn esc10_is_published_with_the_pattern_alone() {
    let (Some(source), Some(weights)) = (test_data("audio/esc10"), test_data("weights/yamnet.h5")) else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("weights import {}", weights.display()));
    let pattern = r"--set split.pattern=(?<fold>\d)-(?<recording>\d+)-";
    let line = format!("retrain --source {} {pattern} --set augment.variants=1", source.display());
    let ran = sandbox.run(&format!("{line} --json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&outcome["published"], &outcome["metrics"]["test"]["is_leaky"]), (&true.into(), &Value::Null));
    assert!(ran.stderr.contains("were joined into"), "{}", ran.stderr);
    assert!(busy(&sandbox.json(&line)).is_empty());
    let cv = sandbox.json(&line.replace("retrain", "evaluate --cv"));
    assert_eq!(cv["is_leaky"], false);
}

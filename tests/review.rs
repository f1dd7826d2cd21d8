//! Labels that are wrong: found, sent out to be corrected, and brought back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::{read_audacity, read_raven};
use ecosight_datasets::synth;
use ecosight_datasets::tables::{ClipRow, read_rows};
use serde_json::Value;

use crate::clips::{RATE, recording, recordings, wav, write_wav};
use crate::support::{Sandbox, measured, test_data};

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1";

/// Copies a folder of classes, with `share` of its files in the folder of another class; the paths of these.
fn planted(from: &Path, to: &Path, share: f64) -> BTreeSet<String> {
    let mut files: Vec<(String, String)> = Vec::new();
    for class in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(class.path()).unwrap().map(Result::unwrap) {
            let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            files.push((name(&class), name(&file)));
        }
    }
    let classes: Vec<String> =
        files.iter().map(|(class, _)| class.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    // A lottery that no directory's order decides.
    let lot = |what: &str, file: &(String, String)| KeyHasher::new(what).str(&file.0).str(&file.1).finish().to_string();
    files.sort_by_key(|file| lot("planted", file));
    let wrong = (share * files.len() as f64).round() as usize;
    let mut moved = BTreeSet::new();
    for (number, file) in files.iter().enumerate() {
        let mut class = file.0.clone();
        if number < wrong {
            let others: Vec<&String> = classes.iter().filter(|other| **other != class).collect();
            let draw = usize::from_str_radix(&lot("class", file)[..4], 16).unwrap();
            class.clone_from(others[draw % others.len()]);
            moved.insert(format!("{class}/{}", file.1));
        }
        fs::create_dir_all(to.join(&class)).unwrap();
        fs::copy(from.join(&file.0).join(&file.1), to.join(class).join(&file.1)).unwrap();
    }
    moved
}

/// The paths of the clips that are suspected most, as many as were planted.
fn suspects(sandbox: &Sandbox, planted: &BTreeSet<String>) -> BTreeSet<String> {
    let document = sandbox.json(&format!("audit labels --top {}", planted.len()));
    let labels = document["labels"].as_array().unwrap();
    assert!(labels.windows(2).all(|two| two[0]["surprisal"].as_f64() >= two[1]["surprisal"].as_f64()));
    labels.iter().map(|row| row["uri"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn most_of_the_wrong_labels_planted_in_real_recordings_come_first() {
    let (Some(source), Some(weights)) = (test_data("audio/esc10"), test_data("weights/yamnet.h5")) else { return };
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("weights import {}", weights.display()));
    let planted = planted(&source, &sandbox.path().join("recordings"), 0.05);
    let pattern = r"split.pattern=(?<fold>\d)-(?<recording>\d+)-";
    // ESC-10 has two pairs of near-duplicates under different recordings.
    let fast = "--set augment.variants=1 --set audit.allow_leak=true --to evaluate";
    sandbox.ok(&format!("retrain --source recordings --set {pattern} {fast}"));
    let found = suspects(&sandbox, &planted).intersection(&planted).count();
    measured(&format!("of {} wrong labels planted in ESC-10, {found} are among the first {0}", planted.len()));
    assert!(found * 2 >= planted.len(), "{found} of {}", planted.len());
}

#[test]
fn what_no_table_tells_is_an_error_with_the_way_out() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("ecosight-data")).unwrap();
    for verb in ["audit labels", "audit leaks", "review --out next.csv"] {
        let ran = sandbox.run(verb);
        assert_eq!(ran.code, 1, "{verb}: {}", ran.stderr);
        assert!(ran.stderr.contains("hint: `ecosight retrain --to evaluate` makes it"), "{}", ran.stderr);
    }
    assert_eq!(sandbox.run("review").code, 2);
}

/// The manifest's label of each clip.
fn labels(sandbox: &Sandbox) -> Vec<(String, String)> {
    let layout = Layout::new(sandbox.path().join("ecosight-data"));
    let clips: Vec<ClipRow> = read_rows(&layout.table("manifest")).unwrap();
    clips.into_iter().map(|clip| (clip.uri, clip.label)).collect()
}

#[test]
fn labels_go_out_to_be_corrected_and_come_back() {
    let sandbox = Sandbox::new();
    let (clean, source) = (sandbox.path().join("clean"), sandbox.path().join("recordings"));
    synth::write_clips(&clean, 24, &mut |_| {}).unwrap();
    let planted = planted(&clean, &source, 0.05);
    sandbox.ok(&format!("retrain --source recordings {FAST}"));
    let found = suspects(&sandbox, &planted);
    assert!(found.intersection(&planted).count() * 2 >= planted.len(), "{found:?} of {planted:?}");
    sandbox.ok("audit labels --top 3 --out suspects.csv");
    assert_eq!(fs::read_to_string(sandbox.path().join("suspects.csv")).unwrap().lines().count(), 4);
    assert!(sandbox.ok("audit leaks --json").stdout.contains("\"leaks\": []"));

    // Out: as many as are wanted, and the same ones each time.
    sandbox.ok("review --n 20 --out next.csv");
    let file = sandbox.path().join("next.csv");
    let text = fs::read_to_string(&file).unwrap();
    sandbox.ok("review --n 20 --out next.csv");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    assert_eq!(header, "uri,start_s,end_s,label,predicted,confidence,entropy,corrected_label,clip_id");
    let rows: Vec<Vec<String>> = lines.map(|line| line.split(',').map(str::to_owned).collect()).collect();
    assert_eq!(rows.len(), 20);

    // Back: one corrected, one confirmed, by identity and by path alone.
    let other = |label: &str| if label == "bird" { "rain" } else { "bird" };
    let (first, second, third) = (&rows[0], &rows[1], &rows[2]);
    let import = |lines: &[String]| {
        fs::write(sandbox.path().join("back.csv"), lines.join("\n")).unwrap();
        sandbox.run("review --import back.csv --json")
    };
    let filled = |row: &[String], label: &str| {
        let mut row = row.to_vec();
        row[7] = label.to_owned();
        row.join(",")
    };
    let ran =
        import(&[header.to_owned(), filled(first, other(&first[3])), filled(second, &second[3]), third.join(",")]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    assert_eq!((&document["read"], &document["corrected"]), (&2.into(), &1.into()));
    let ran = import(&["uri,corrected_label".to_owned(), format!("{},{}", third[0], other(&third[3]))]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);

    // What is unknown is named with its line, and nothing is taken.
    let wrong = ["uri,corrected_label".to_owned(), format!("{},dragon", first[0]), "bird/none.wav,bird".to_owned()];
    let ran = import(&wrong);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("line 2: there is no class `dragon`, only `bird`, `chainsaw`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 3: there is no clip `bird/none.wav`"), "{}", ran.stderr);

    // The next retrain uses them and embeds nothing again.
    assert_eq!(sandbox.run(&format!("status {FAST}")).code, 3);
    let (before, ran) = (labels(&sandbox), sandbox.ok(&format!("retrain {FAST}")));
    assert!(ran.stdout.contains("labels  2 corrected by `ecosight review --import`"), "{}", ran.stdout);
    let changed: BTreeSet<String> =
        labels(&sandbox).into_iter().filter(|clip| !before.contains(clip)).map(|(uri, _)| uri).collect();
    assert_eq!(changed, BTreeSet::from([first[0].clone(), third[0].clone()]));
    assert_eq!(sandbox.run(&format!("status {FAST}")).code, 0);
}

#[test]
fn clips_of_a_folder_are_chosen_and_marked_for_raven_and_audacity() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let review = "review --data-root ecosight-demo ecosight-demo/new_clips --n 3";
    let document = sandbox.json(&format!("{review} --out next.csv"));
    assert_eq!(document["clips"].as_array().unwrap().len(), 3);
    assert!(document["clips"][0]["entropy"].as_f64().unwrap() > 0.0);
    sandbox.ok(&format!("{review} --format raven --out raven"));
    sandbox.ok(&format!("{review} --format audacity --out audacity"));
    for clip in document["clips"].as_array().unwrap() {
        let name = clip["uri"].as_str().unwrap().trim_end_matches(".wav");
        let read =
            |path: String| fs::read_to_string(sandbox.path().join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let raven = read_raven(&read(format!("raven/{name}.selections.txt"))).unwrap();
        let audacity = read_audacity(&read(format!("audacity/{name}.txt"))).unwrap();
        for marked in [raven, audacity] {
            assert_eq!((marked.len(), marked[0].label.as_str()), (1, clip["predicted"].as_str().unwrap()));
            assert!(marked[0].span.end_s.unwrap() > 1.0);
        }
    }
}

#[test]
fn a_mark_from_the_tables_ends_where_its_clip_does() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 6);
    for (number, seconds) in [(0, 3), (1, 12)] {
        let samples: Vec<i16> = (0..seconds * RATE).map(|i| (i * i % 7001) as i16 - 3500).collect();
        write_wav(&recording(&sandbox, &format!("high/of_{seconds}_s_{number}.wav")), &samples);
    }
    sandbox.ok(&format!("retrain -q --source recordings {FAST}"));
    sandbox.ok("review --n 14 --format raven --out marks");
    let read = |name: &str| fs::read_to_string(sandbox.path().join("marks").join(name)).unwrap();
    for (name, seconds) in [("high/0", 1.0), ("high/of_3_s_0", 3.0), ("high/of_12_s_1", 12.0)] {
        let marked = read_raven(&read(&format!("{name}.selections.txt"))).unwrap();
        assert_eq!(marked[0].span.end_s, Some(seconds), "{name}");
    }
}

#[test]
fn figures_say_when_they_rest_on_corrected_labels() {
    let sandbox = Sandbox::new();
    for number in 0..16 {
        let side = ["train", "train", "val", "test"][number as usize % 4];
        wav(&recording(&sandbox, &format!("high/{number}-{side}.wav")), 2000.0, number);
        wav(&recording(&sandbox, &format!("low/{number}-{side}.wav")), 300.0, number + 100);
    }
    let line = format!("retrain --source recordings {FAST} --set split.pattern=(?<fold>train|val|test)");
    let before = sandbox.json(&line);
    assert_eq!(before["metrics"]["test"]["corrected_labels"], Value::Null);
    // One on the test side, and one that the figures do not rest on.
    fs::write(sandbox.path().join("back.csv"), "uri,corrected_label\nhigh/3-test.wav,low\nhigh/0-train.wav,low\n")
        .unwrap();
    sandbox.ok("review --import back.csv");
    let after = sandbox.json(&format!("{line} --force-publish"));
    assert_eq!(after["metrics"]["test"]["corrected_labels"], 1, "{}", after["metrics"]);
    let shown = sandbox.ok("runs show").stdout;
    assert!(shown.contains("the labels of 1 of these clips were corrected by review"), "{shown}");
    let layout = Layout::new(sandbox.path().join("ecosight-data"));
    let card = layout.model(after["model"].as_str().unwrap()).join("MODEL_CARD.md");
    let card = fs::read_to_string(card).unwrap();
    assert!(card.contains("the labels of 1 test clips were corrected by review"), "{card}");
}

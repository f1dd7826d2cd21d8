//! Recordings that are removed on purpose: they go on both sides, and come back only where somebody asks for them.

use std::fs;
use std::path::{Path, PathBuf};

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, EmbedParts, read_rows};
use serde_json::Value;

use crate::clips::{recordings, wav};
use crate::ingest::{clips, originals};
use crate::s3::{Server, State};
use crate::support::{Ran, Sandbox};

/// Keys of the recordings in the bucket.
fn bucket(server: &Server) -> Vec<String> {
    let folder = server.bucket_folder();
    let files = crate::roots::files(&folder.join("extracted_audio"));
    files.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned()).collect()
}

fn machine(server: &Server) -> Sandbox {
    let mut sandbox = Sandbox::with_env(server.env());
    sandbox.set("S3_RETRY_SECONDS", "1");
    sandbox
}

fn lose_index(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path().join("ecosight-data/index")).unwrap();
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr))
}

fn root(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("ecosight-data")
}

#[test]
fn a_recording_that_was_removed_does_not_come_back_from_a_copy_of_another_machine() {
    let server = Server::start();
    let (a, b) = (machine(&server), machine(&server));
    for machine in [&a, &b] {
        clips(machine, "in", 0..3);
        machine.ok("ingest in --class dog --new-class");
    }
    let key = bucket(&server)[0].clone();
    let shown = a.run(&format!("storage rm {key}"));
    assert_eq!((shown.code, shown.stdout.lines().count()), (2, 2), "both sides: {}", shown.stdout);
    let removed = a.json(&format!("storage rm {key} --yes"));
    assert_eq!(
        (removed["objects"].as_array().unwrap().len(), removed["recordings"][0]["class"].as_str()),
        (2, Some("dog"))
    );
    assert_eq!((bucket(&server).len(), originals(&a, "ecosight-data").len()), (2, 2));
    assert_eq!(a.json("storage outbox")["count"], 0);

    // The other machine still has its copy, and loses what it knows of it.
    lose_index(&b);
    for line in ["storage reindex --dry-run", "storage reindex", "storage sync", "storage migrate", "storage verify"] {
        let ran = b.ok(&format!("{line} --json"));
        assert_eq!(bucket(&server).len(), 2, "{line}: {}", ran.stdout);
    }
    for machine in [&a, &b] {
        let told = machine.json("ingest in --class dog");
        assert_eq!((&told["removed"], &told["already_present"]), (&1.into(), &2.into()), "{told}");
        let line = told["files"].as_array().unwrap().iter().find(|line| line["status"] == "removed").unwrap();
        assert!(line["hint"].as_str().unwrap().contains("--restore"), "{line}");
        assert_eq!(bucket(&server).len(), 2);
    }
    // Under another class the same bytes are another recording.
    a.ok("ingest in --class cat --new-class");
    assert_eq!(bucket(&server).len(), 5);

    // Nor is it trained on, though its copy is there.
    assert_eq!(originals(&b, "ecosight-data").len(), 3);
    let ran = b.ok("retrain --to manifest");
    assert!(ran.stderr.contains("1 clip(s) of recordings that were removed"), "{}", ran.stderr);
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root(&b)).table("manifest")).unwrap();
    assert_eq!(rows.len(), 2);

    assert_eq!(b.json("ingest in --class dog --restore")["already_present"], 3);
    assert_eq!(bucket(&server).len(), 6);
    lose_index(&b);
    b.ok("storage reindex");
    b.ok("storage sync");
    assert_eq!(bucket(&server).len(), 6);
    b.ok("retrain --to manifest");
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root(&b)).table("manifest")).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(a.json("ingest in --class dog")["removed"], 0);
}

#[test]
fn everything_of_one_ingest_is_removed_from_both_sides_and_from_the_tables() {
    let server = Server::start();
    let sandbox = machine(&server);
    recordings(&sandbox, 4);
    for class in ["high", "low"] {
        sandbox.ok(&format!("ingest recordings/{class} --class {class} --new-class"));
    }
    for number in 50..53 {
        wav(&sandbox.path().join(format!("wrong/{number}.wav")), 1000.0, number);
    }
    let told = sandbox.json("ingest wrong --class high");
    let id = told["ingest_id"].as_str().unwrap().to_owned();
    sandbox.ok("retrain --to embed --set embed.embedder=logmel --set augment.variants=1");
    let units = || {
        EmbedParts::read(&Layout::new(root(&sandbox)))
            .unwrap()
            .unwrap()
            .parts
            .iter()
            .map(|part| part.file.bytes)
            .sum::<u64>()
    };
    let before = units();

    // The objects say which call it was.
    lose_index(&sandbox);
    sandbox.ok("storage reindex");
    assert_eq!(sandbox.run("storage rm --ingest nobody --yes").code, 2);
    let shown = sandbox.ok(&format!("storage rm --ingest {id} --dry-run")).stdout;
    assert_eq!(shown.lines().count(), 6, "{shown}");
    assert_eq!((bucket(&server).len(), originals(&sandbox, "ecosight-data").len()), (11, 11));
    sandbox.ok(&format!("storage rm --ingest {id} --yes"));
    assert_eq!((bucket(&server).len(), originals(&sandbox, "ecosight-data").len()), (8, 8));
    sandbox.ok("retrain --to embed --set embed.embedder=logmel --set augment.variants=1");
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root(&sandbox)).table("manifest")).unwrap();
    assert_eq!(rows.len(), 8);
    assert!(units() < before);
    sandbox.ok("gc --yes");
    assert!(!root(&sandbox).join("retired/embed").exists());
    let again = sandbox.json("ingest wrong --class high");
    assert_eq!((&again["removed"], &again["stored"]), (&3.into(), &0.into()));
}

#[test]
fn without_a_bucket_the_data_root_alone_remembers() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..2);
    let told = sandbox.json("ingest in --class dog --new-class");
    let key = told["files"][0]["key"].as_str().unwrap();
    sandbox.ok(&format!("storage rm {key} --yes"));
    assert_eq!(originals(&sandbox, "ecosight-data").len(), 1);
    lose_index(&sandbox);
    assert_eq!(sandbox.json("ingest in --class dog")["removed"], 1);
    assert_eq!(sandbox.json("ingest in --class dog --restore")["stored"], 1);
    assert_eq!(originals(&sandbox, "ecosight-data").len(), 2);
    assert_eq!(sandbox.run("verify").code, 0);
}

fn tree(folder: &Path) -> usize {
    if folder.exists() { crate::roots::files(folder).len() } else { 0 }
}

#[test]
fn a_dry_run_of_an_ingest_shows_the_keys_and_stores_nothing() {
    let server = Server::start();
    let sandbox = machine(&server);
    clips(&sandbox, "in", 0..2);
    fs::copy(sandbox.path().join("in/0.wav"), sandbox.path().join("in/again.wav")).unwrap();
    fs::write(sandbox.path().join("in/empty.wav"), "").unwrap();
    let ran = sandbox.run("ingest in --class dog --new-class --dry-run --json");
    let told = document(&ran);
    assert_eq!(ran.code, 1, "one is rejected");
    assert_eq!(
        (&told["would_be_stored"], &told["already_present"], &told["rejected"]),
        (&2.into(), &1.into(), &1.into())
    );
    let key = told["files"][0]["key"].as_str().unwrap();
    assert!(key.starts_with("extracted_audio/dog/") && key.ends_with("_0.wav"), "{key}");
    assert_eq!((tree(&root(&sandbox)), bucket(&server).len()), (0, 0));
    assert_eq!(sandbox.run("ingest in --class dog --dry-run").code, 2, "there is no such class yet");
    fs::remove_file(sandbox.path().join("in/empty.wav")).unwrap();
    sandbox.ok("ingest in --class dog --new-class");
    let before = tree(&root(&sandbox));
    assert_eq!(sandbox.json("ingest in --class dog --dry-run")["already_present"], 3);
    assert_eq!(tree(&root(&sandbox)), before);
}

#[test]
fn a_data_root_takes_nothing_in_from_itself() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..2);
    sandbox.ok("ingest in --class dog --new-class");
    for path in ["ecosight-data", "ecosight-data/extracted_audio/dog"] {
        let ran = sandbox.run(&format!("ingest {path} --class rain --new-class"));
        assert!(ran.code == 2 && ran.stderr.contains("takes nothing in from itself"), "{path}: {}", ran.stderr);
    }
    clips(&sandbox, "in", 2..3);
    let ran = sandbox.run("ingest . --class rain --new-class");
    assert!(
        ran.stderr.contains("2 file(s) of the data root `ecosight-data` itself were passed over"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("stored")).count(), 3, "{}", ran.stdout);
    assert_eq!(originals(&sandbox, "ecosight-data").len(), 5);
}

#[test]
fn a_disk_that_takes_nothing_leaves_a_count_of_the_files_that_were_not_tried() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..3);
    fs::create_dir_all(root(&sandbox).join("extracted_audio")).unwrap();
    fs::write(root(&sandbox).join("extracted_audio/dog"), "in the way").unwrap();
    let ran = sandbox.run("ingest in --class dog --new-class");
    assert!(
        ran.code != 0 && ran.stderr.contains("2 file(s) were not tried: `in/0.wav` is not stored"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_bucket_that_got_nothing_is_an_exit_code() {
    let server = Server::start();
    let sandbox = machine(&server);
    clips(&sandbox, "in", 0..2);
    server.state(State::Down);
    let ran = sandbox.run("ingest in --class dog --new-class");
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("2 stored") && ran.stderr.contains("2 not in the bucket yet"), "{}", ran.stderr);
    server.state(State::Up);
    sandbox.ok("ingest in --class dog");
    assert_eq!(bucket(&server).len(), 2);
}

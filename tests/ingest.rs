//! Recordings that are taken in: good ones, bad ones, and what is said of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clips::{RATE, write_wav};
use crate::support::{Ran, Sandbox};

/// A fifth of a second of noise that no other number has.
pub(crate) fn clip(path: &Path, number: u32) {
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let samples: Vec<i16> = (0..RATE / 5)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 50) as i16
        })
        .collect();
    write_wav(path, &samples);
}

/// So many clips in a folder of the sandbox.
pub(crate) fn clips(sandbox: &Sandbox, folder: &str, numbers: std::ops::Range<u32>) {
    for number in numbers {
        clip(&sandbox.path().join(format!("{folder}/{number}.wav")), number);
    }
}

/// All files below the originals of a data root, hidden ones as well.
pub(crate) fn originals(sandbox: &Sandbox, root: &str) -> Vec<PathBuf> {
    crate::roots::files(&sandbox.path().join(root).join("extracted_audio"))
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr))
}

fn codes(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let files = document["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            (text(&file["file"]), if file["code"].is_null() { text(&file["status"]) } else { text(&file["code"]) })
        })
        .collect()
}

#[test]
fn each_file_gets_its_answer_and_a_bad_one_stops_nobody() {
    let sandbox = Sandbox::new();
    let at = |name: &str| sandbox.path().join(name);
    clip(&at("in/a.wav"), 1);
    clip(&at("in/z.wav"), 2);
    fs::copy(at("in/a.wav"), at("in/b same.wav")).unwrap();
    fs::write(at("in/empty.wav"), "").unwrap();
    fs::write(at("in/text.wav"), "no audio at all").unwrap();
    let whole = fs::read(at("in/a.wav")).unwrap();
    fs::write(at("in/truncated.wav"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("in/notes.txt"), "not even called audio").unwrap();
    let ran = sandbox.run("ingest in in/missing.wav --class dog --new-class --json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let document = document(&ran);
    let expected = [
        ("in/a.wav", "stored"),
        ("in/b same.wav", "already_present"),
        ("in/empty.wav", "empty"),
        ("in/text.wav", "not_audio"),
        ("in/truncated.wav", "truncated"),
        ("in/z.wav", "stored"),
        ("in/missing.wav", "missing"),
    ];
    assert_eq!(codes(&document), expected.map(|(file, code)| (file.to_owned(), code.to_owned())));
    let first = &document["files"][0];
    assert_eq!((first["duration_s"].as_f64(), first["s3_uploaded"].as_bool()), (Some(0.2), Some(false)));
    assert_eq!(fs::read(first["local_path"].as_str().unwrap()).unwrap(), whole);
    assert!(document["files"][2]["hint"].as_str().unwrap().contains("get the file again"));
    assert_eq!(originals(&sandbox, "ecosight-data").len(), 2, "nothing else is written");
    let again = sandbox.ok("ingest in/a.wav in/z.wav --class dog");
    assert_eq!(again.stdout.matches("already_present").count(), 2, "{}", again.stdout);
}

#[test]
fn a_class_is_spelled_as_before_or_new_on_purpose() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..1);
    let fails = |line: &str, expected: &str| {
        let ran = sandbox.run(line);
        assert!(ran.code == 2 && ran.stderr.contains(expected), "{line}: {} {}", ran.code, ran.stderr);
    };
    fails("ingest in --class chainsaw", "--new-class");
    fails("ingest in --class ../x --new-class", "a class is called with");
    sandbox.ok("ingest in --class chainsaw --new-class");
    fails("ingest in --class chainsw", "did you mean `chainsaw`?");
    fs::write(sandbox.path().join("ecosight.toml"), "version = 1\n[ingest]\nclasses = ['gunshot']\n").unwrap();
    sandbox.ok("ingest in --class gunshot");
    fs::write(sandbox.path().join("ecosight.toml"), "version = 1\n[ingest]\nclasses = ['A b']\nkeep = 3\n").unwrap();
    fails("ingest in --class gunshot", "2 mistakes");
    assert!(sandbox.run("config").stdout.contains("ingest.keep_local = true"));
}

#[test]
fn two_hours_are_taken_in_little_memory_and_too_many_bytes_are_not() {
    let sandbox = Sandbox::new();
    // 8 bits at 4 kHz, so that two hours have 28.8 MB.
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\xa0\x0f\0\0\xa0\x0f\0\0\x01\0\x08\0data".to_vec();
    bytes.extend(28_800_000_u32.to_le_bytes());
    bytes.extend((0..28_800_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 26) as u8 + 96));
    fs::write(sandbox.path().join("long.wav"), bytes).unwrap();
    let mut child = sandbox.command("ingest long.wav --class rain --new-class --json");
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut peak_kb = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kb = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak_kb = peak_kb.max(kb.unwrap_or(0_u64));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let document: Value = serde_json::from_reader(child.stdout.take().unwrap()).unwrap();
    assert_eq!((document["stored"].as_u64(), document["files"][0]["duration_s"].as_f64()), (Some(1), Some(7200.0)));
    assert!(peak_kb < 100_000, "{peak_kb} kB");
    let large = fs::File::create(sandbox.path().join("large.wav")).unwrap();
    large.set_len(60 << 20).unwrap();
    let ran = sandbox.run("ingest large.wav --class rain");
    assert!(
        ran.code == 1 && ran.stdout.contains("too_large") && ran.stdout.contains("MAX_UPLOAD_MB"),
        "{}",
        ran.stdout
    );
    let mut command = sandbox.command("ingest long.wav --class wind --new-class");
    let ran = crate::support::ran(&command.env("MAX_UPLOAD_MB", "20").output().unwrap());
    assert!(ran.code == 1 && ran.stdout.contains("20 are allowed"), "{}", ran.stdout);
}

#[test]
fn a_damaged_index_is_named_and_made_again() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..3);
    sandbox.ok("ingest in --class dog --new-class");
    let index = sandbox.path().join("ecosight-data/index/tracks.db");
    fs::write(&index, vec![7; 20_000]).unwrap();
    for line in ["ingest in --class dog", "storage outbox"] {
        let ran = sandbox.run(line);
        assert!(ran.code == 1 && ran.stderr.contains("damaged"), "{line}: {} {}", ran.code, ran.stderr);
        assert!(ran.stderr.contains("hint: `ecosight storage reindex`"), "{}", ran.stderr);
    }
    let done = sandbox.json("storage reindex");
    assert_eq!((done["local"].as_u64(), done["waiting"].as_u64()), (Some(3), Some(0)));
    assert_eq!(sandbox.json("ingest in --class dog")["already_present"].as_u64(), Some(3));
}

#[test]
fn eight_processes_with_the_same_files_store_each_once() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..20);
    let start = || {
        let mut command = sandbox.command("ingest in --class dog --new-class --json");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..8).map(|_| start()).collect();
    let mut stored = 0;
    for process in processes {
        let ran = crate::support::ran(&process.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        stored += document(&ran)["stored"].as_u64().unwrap();
    }
    assert_eq!((stored, originals(&sandbox, "ecosight-data").len()), (20, 20));
}

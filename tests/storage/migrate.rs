//! From a folder into a bucket, and both side by side.

use std::fs;
use std::time::Duration;

use super::{KEYS, beside_bucket, names};
use crate::clips::{wav, write_wav};
use crate::ingest::clip;
use crate::s3::{Faults, State};

#[test]
fn all_originals_end_in_the_bucket_under_their_own_keys() {
    let (server, sandbox) = beside_bucket();
    let root = sandbox.path().join("ecosight-data");
    fs::write(root.join("extracted_audio/dog/.half.tmp"), "x").unwrap();
    let planned = sandbox.json("storage migrate --dry-run");
    assert_eq!((planned["uploaded"].as_u64(), planned["total"].as_u64()), (Some(4), Some(4)));
    assert_eq!(names(&server.bucket_folder()), [""; 0]);
    let report = sandbox.json("storage migrate");
    assert_eq!((report["uploaded"].as_u64(), report["skipped"].as_u64()), (Some(4), Some(0)));
    let mut keys = KEYS.to_vec();
    keys.sort_unstable();
    assert_eq!(names(&server.bucket_folder()), keys);
    server.seen();
    let again = sandbox.json("storage migrate");
    assert_eq!((again["uploaded"].as_u64(), again["skipped"].as_u64()), (Some(0), Some(4)));
    assert_eq!(server.counts().into_keys().collect::<Vec<_>>(), ["LIST"], "what is there is only listed");
    sandbox.ok("storage verify");
    sandbox.ok("storage verify --deep");
    let deleted = sandbox.json("storage migrate --delete-local");
    assert_eq!(deleted["deleted"], 4);
    assert_eq!(names(&root.join("extracted_audio")), ["dog/.half.tmp"]);
    assert_eq!(sandbox.json("storage migrate --delete-local")["total"], 0);
}

#[test]
fn what_differs_is_told_and_never_overwritten_or_deleted() {
    let (server, sandbox) = beside_bucket();
    sandbox.ok("storage migrate");
    let there = server.bucket_folder().join(KEYS[0]);
    let bytes = fs::read(&there).unwrap();
    server.put(KEYS[0], vec![7; bytes.len()]);
    server.put("extracted_audio/fox/20260102_030409_x.wav", vec![1]);
    fs::remove_file(server.bucket_folder().join(KEYS[1])).unwrap();
    let verified = sandbox.run("storage verify --json");
    let report: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified.code, 1);
    assert_eq!(report["different"], serde_json::json!([KEYS[0]]));
    assert_eq!(report["missing"], serde_json::json!([KEYS[1]]));
    assert_eq!(report["extra"], serde_json::json!(["extracted_audio/fox/20260102_030409_x.wav"]));
    let migrated = sandbox.run("storage migrate --delete-local");
    assert!(migrated.code == 1 && migrated.stderr.contains("something else under this key"), "{}", migrated.stderr);
    assert_eq!(fs::read(there).unwrap(), vec![7; bytes.len()]);
    assert_eq!(names(&sandbox.path().join("ecosight-data/extracted_audio")), [&KEYS[0]["extracted_audio/".len()..]]);
}

#[test]
fn a_fifth_of_all_requests_goes_wrong_and_everything_arrives_once() {
    let (server, sandbox) = beside_bucket();
    let folder = sandbox.path().join("ecosight-data/extracted_audio/owl");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..60 {
        clip(&folder.join(format!("20260102_0304{number:02}_x.wav")), number);
    }
    write_wav(&folder.join("20260102_030500_large.wav"), &vec![3; 10 << 20]);
    for seed in 0..2 {
        server.faults(Faults::of_all_kinds(0.2, seed));
        let report = sandbox.json("storage migrate");
        assert_eq!((report["failed"].as_u64(), report["total"].as_u64()), (Some(0), Some(65)), "{report}");
    }
    server.faults(Faults::of_all_kinds(0.0, 0));
    sandbox.ok("storage verify --deep");
    assert_eq!(names(&server.bucket_folder()), names(&sandbox.path().join("ecosight-data")));
}

#[test]
fn a_migration_that_is_killed_goes_on_where_it_was() {
    let (server, sandbox) = beside_bucket();
    let folder = sandbox.path().join("ecosight-data/extracted_audio/owl");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..600 {
        clip(&folder.join(format!("20260102_{number:06}_x.wav")), number);
    }
    let mut child = sandbox.command("storage migrate -q").spawn().unwrap();
    let arrived = || names(&server.bucket_folder()).len();
    let begun = std::time::Instant::now();
    while arrived() < 50 && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = arrived();
    assert!((50..604).contains(&before), "{before} had arrived");
    let report = sandbox.json("storage migrate");
    assert_eq!((report["failed"].as_u64(), report["total"].as_u64()), (Some(0), Some(604)), "{report}");
    assert!(report["skipped"].as_u64().unwrap() + 16 >= before as u64, "{report}");
    assert_eq!(arrived(), 604);
    sandbox.ok("storage verify");
}

#[test]
fn a_server_that_disappears_stops_the_migration_and_nothing_is_lost() {
    let (server, mut sandbox) = beside_bucket();
    sandbox.set("S3_RETRY_SECONDS", "1");
    server.after(4, State::Down);
    let stopped = sandbox.run("storage migrate --delete-local");
    assert!(stopped.code == 6 && stopped.stderr.contains("does not answer"), "{} {}", stopped.code, stopped.stderr);
    server.state(State::Up);
    sandbox.ok("storage migrate --delete-local");
    let mut keys = KEYS.to_vec();
    keys.sort_unstable();
    assert_eq!(names(&server.bucket_folder()), keys);
}

#[test]
fn what_ingest_would_reject_stays_and_is_told() {
    let (server, mut sandbox) = beside_bucket();
    let folder = sandbox.path().join("ecosight-data/extracted_audio");
    sandbox.set("MAX_UPLOAD_MB", "0.05");
    for (name, text) in
        [("dog/no_audio.wav", "text"), ("dog/notes.txt", "notes"), ("dog/20260102_030405_a.txt", "0\t1\tdog\n")]
    {
        fs::write(folder.join(name), text).unwrap();
    }
    wav(&folder.join("Big Dog/20260102_030405_b.wav"), 440.0, 8);
    wav(&folder.join("20260102_030405_c.wav"), 440.0, 9);
    write_wav(&folder.join("dog/20260102_030405_long.wav"), &vec![1; 40_000]);
    for line in ["storage migrate --dry-run", "storage migrate"] {
        let report = sandbox.json(line);
        let counts = ["uploaded", "skipped", "failed", "total"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(counts, [5, 5, 0, 10], "{line}: {report}");
        let left = report["left_out"].as_array().unwrap();
        let why =
            |name: &str| left.iter().find(|l| l["name"].as_str().unwrap().ends_with(name)).unwrap()["why"].to_string();
        for (name, words) in [
            ("no_audio.wav", "not_audio"),
            ("_b.wav", "fix-keys"),
            ("_c.wav", "folder of a class"),
            ("_long.wav", "too_large"),
        ] {
            assert!(why(name).contains(words), "{}", why(name));
        }
    }
    assert!(
        server.bucket_folder().join("extracted_audio/dog/20260102_030405_a.txt").exists(),
        "labels go with their recording"
    );
    let verified = sandbox.ok("storage verify");
    assert!(
        verified.stdout.contains("5 same, 0 missing") && verified.stderr.contains("left out: "),
        "{}",
        verified.stderr
    );
}

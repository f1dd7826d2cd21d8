//! One recording, one name: in the data root, in the bucket, and on other machines.

use std::fs;

use super::{KEYS, beside_bucket, names};
use crate::clips::wav;
use crate::ingest::clips;
use crate::s3::Server;
use crate::support::Sandbox;

fn bucket(server: &Server) -> Vec<String> {
    names(&server.bucket_folder())
}

#[test]
fn keys_are_put_right_on_both_sides_and_the_old_ones_never_come_back() {
    let (server, sandbox) = beside_bucket();
    let root = sandbox.path().join("ecosight-data");
    // Without a time of its own, the time of the last change is taken, which differs between the sides.
    for (number, key) in
        ["extracted_audio/dog/late.wav", "extracted_audio/dog/20260102T030405_x.wav", "audio/dog/20250101_000000_y.wav"]
            .iter()
            .enumerate()
    {
        wav(&root.join(key), 700.0, number as u32);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        server.put(key, fs::read(root.join(key)).unwrap());
    }
    sandbox.ok("storage migrate");
    sandbox.ok("storage reindex");
    let shown = sandbox.json("storage fix-keys");
    assert_eq!(shown["wrong"][0]["places"].as_array().unwrap().len(), 2, "{shown}");
    let fixed = sandbox.json("storage fix-keys --yes");
    assert_eq!(fixed["wrong"].as_array().unwrap().len(), 4, "a space is wrong, too: {fixed}");
    let before = bucket(&server);
    let of = |names: Vec<String>| names.into_iter().filter(|name| name.contains("audio/")).collect::<Vec<_>>();
    assert_eq!((before.len(), of(names(&root))), (7, before.clone()));
    sandbox.ok("storage verify --deep");
    assert_eq!(sandbox.json("storage migrate")["uploaded"], 0);
    assert_eq!(sandbox.json("storage sync")["uploaded"], 0);
    // One lay where the index does not look.
    assert_eq!(sandbox.json("storage reindex")["added"], 1);
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
    assert_eq!(bucket(&server), before);
}

#[test]
fn a_recording_that_has_another_name_in_the_bucket_is_recognised() {
    let (server, sandbox) = beside_bucket();
    sandbox.ok("storage reindex");
    for key in &KEYS[..2] {
        let bytes = fs::read(sandbox.path().join("ecosight-data").join(key)).unwrap();
        server.put(&key.replace("20260102_", "20250102_"), bytes);
    }
    let migrated = sandbox.json("storage migrate");
    assert_eq!((migrated["uploaded"].as_u64(), migrated["skipped"].as_u64()), (Some(2), Some(2)));
    let verified = sandbox.json("storage verify");
    assert_eq!((verified["same"].as_u64(), verified["renamed"].as_object().unwrap().len()), (Some(4), 2));
    assert_eq!(bucket(&server).len(), 4);
    let again = sandbox.json("storage reindex");
    assert_eq!(
        ["local", "bucket", "waiting", "added", "dropped"].map(|name| again[name].as_u64().unwrap()),
        [4, 4, 0, 0, 0]
    );
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
    let dropped = sandbox.json("storage migrate --delete-local");
    assert_eq!((dropped["deleted"].as_u64(), bucket(&server).len()), (Some(4), 4));
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
}

#[test]
fn two_machines_store_the_same_recording_once_and_what_slipped_through_is_found() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    clips(&sandbox, "in", 0..3);
    for root in ["one", "two"] {
        let told = sandbox.json(&format!("ingest in --class dog --new-class --data-root {root}"));
        assert!(told["files"].as_array().unwrap().iter().all(|file| file["s3_uploaded"] == true), "{root}: {told}");
        assert_eq!(bucket(&server).len(), 3, "{root}");
        sandbox.ok(&format!("storage verify --data-root {root}"));
    }
    let first = bucket(&server)[0].clone();
    let bytes = fs::read(server.bucket_folder().join(&first)).unwrap();
    let second = "extracted_audio/dog/20990101_000000_again.wav";
    server.put(second, bytes.clone());
    server.put("extracted_audio/cat/20990101_000000_again.wav", bytes);
    let shown = sandbox.json("storage gc --data-root one");
    let removable = shown["removable"].as_array().unwrap();
    assert_eq!((removable.len(), &removable[0]["kind"]), (1, &"repeated".into()), "{shown}");
    assert!(removable[0]["name"].as_str().unwrap().ends_with(second));
    sandbox.ok("storage gc --yes --data-root one");
    let left = bucket(&server);
    assert!(left.len() == 4 && left.contains(&first) && !left.contains(&second.to_owned()), "{left:?}");
    assert_eq!(sandbox.json("storage gc --data-root one")["removable"], serde_json::json!([]));
}

#[test]
fn another_bucket_gets_what_it_lacks() {
    let server = Server::start();
    let mut sandbox = Sandbox::with_env(server.env());
    let other = server.bucket_folder().parent().unwrap().join("other");
    fs::create_dir(&other).unwrap();
    clips(&sandbox, "in", 0..3);
    sandbox.ok("ingest in --class dog --new-class");
    assert_eq!(sandbox.json("storage status")["outbox"]["not_in_bucket"], 0);
    sandbox.set("S3_BUCKET", "other");
    assert_eq!(sandbox.json("storage status")["outbox"]["not_in_bucket"], 3);
    assert_eq!(sandbox.json("storage sync --dry-run")["would_upload"].as_array().unwrap().len(), 3);
    assert_eq!(sandbox.json("storage sync")["uploaded"], 3);
    assert_eq!(names(&other), bucket(&server));
    assert_eq!(sandbox.json("storage sync")["uploaded"], 0);
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
}

#[test]
fn what_was_removed_by_name_stays_away_until_it_is_taken_in_again() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    clips(&sandbox, "in", 0..2);
    sandbox.ok("ingest in --class dog --new-class");
    let key = bucket(&server)[0].clone();
    let recordings = || bucket(&server).iter().filter(|key| key.starts_with("extracted_audio/")).count();
    let removed = sandbox.ok(&format!("storage rm {key} --yes"));
    assert!(removed.stderr.contains("1 recording(s) do not come back"), "{}", removed.stderr);
    for line in ["storage sync", "storage reindex", "storage sync", "storage migrate", "storage verify"] {
        sandbox.ok(line);
        assert_eq!(recordings(), 1, "{line}");
    }
    assert_eq!(sandbox.json("ingest in --class dog")["removed"], 1);
    assert_eq!(sandbox.json("ingest in --class dog --restore")["stored"], 1);
    assert_eq!(recordings(), 2);
}

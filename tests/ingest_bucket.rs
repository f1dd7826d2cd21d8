//! Recordings that are taken in where there is a bucket: sooner or later it has all of them, once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ecosight_datasets::runtime::block_on;
use serde_json::Value;

use crate::ingest::{clip, clips, originals};
use crate::s3::{Faults, Server, State};
use crate::support::{Sandbox, ran};

/// A server, and a sandbox whose commands soon give up on it.
fn impatient() -> (Server, Sandbox) {
    let server = Server::start();
    let patience = ("S3_RETRY_SECONDS".to_owned(), "1".to_owned());
    let sandbox = Sandbox::with_env(server.env().into_iter().chain([patience]).collect());
    (server, sandbox)
}

/// Keys below a folder of originals, and their content.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let key = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    crate::roots::files(folder).iter().map(|path| (key(path), fs::read(path).unwrap())).collect()
}

fn bucket(server: &Server) -> BTreeMap<String, Vec<u8>> {
    contents(&server.bucket_folder().join("extracted_audio"))
}

/// What is told of recordings of which the bucket gets none.
fn not_uploaded(sandbox: &Sandbox, line: &str) -> Value {
    let ran = sandbox.run(&format!("{line} --json"));
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn key(document: &Value) -> String {
    document["files"][0]["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_thousand_uploads_by_eight_processes_all_arrive_once_whatever_goes_wrong() {
    let (server, sandbox) = impatient();
    for process in 0..8 {
        clips(&sandbox, &format!("in{process}"), process * 125..(process + 1) * 125);
    }
    server.faults(Faults::of_all_kinds(0.2, 5));
    let start = |process: u32| {
        let mut command = sandbox.command(&format!("ingest in{process} --class c{} --new-class --json", process % 3));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..8).map(start).collect();
    std::thread::sleep(Duration::from_millis(1500));
    server.state(State::Down);
    std::thread::sleep(Duration::from_secs(3));
    server.state(State::Up);
    for process in processes {
        let ran = ran(&process.wait_with_output().unwrap());
        assert!(matches!(ran.code, 0 | 6), "{} {}", ran.code, ran.stderr);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["stored"], 125);
    }
    let is_done = (0..30).any(|_| sandbox.run("storage sync -q").code == 0);
    assert!(is_done, "{}", sandbox.run("storage outbox").stderr);
    assert_eq!(sandbox.json("storage outbox")["count"], 0);
    let here = contents(&sandbox.path().join("ecosight-data/extracted_audio"));
    assert_eq!(here.len(), 1000);
    assert!(here == bucket(&server), "the bucket has what is here, and nothing else");
    let tracks = sandbox.json("storage reindex");
    assert_eq!((&tracks["local"], &tracks["bucket"], &tracks["waiting"]), (&1000.into(), &1000.into(), &0.into()));
}

#[test]
fn the_outbox_tells_what_keeps_the_uploads_and_empties_once_it_is_mended() {
    let (server, sandbox) = impatient();
    let cases = [
        (State::RefusesWrites(403, "AccessDenied"), "forbidden", "`s3:PutObject`"),
        (State::BucketGone, "no_such_bucket", "ecosight storage setup"),
        (State::Refuses(403, "RequestTimeTooSkewed"), "clock_skew", "clock"),
        (State::Refuses(400, "AuthorizationHeaderMalformed"), "wrong_region", "`AWS_REGION`"),
        (State::Down, "unreachable", "`S3_ENDPOINT_URL`"),
    ];
    for (number, (state, trouble, hint)) in cases.into_iter().enumerate() {
        let file = format!("{number}.wav");
        clip(&sandbox.path().join(&file), number as u32);
        server.state(state);
        let told = not_uploaded(&sandbox, &format!("ingest {file} --class dog --new-class"));
        assert_eq!((&told["files"][0]["status"], &told["files"][0]["s3_uploaded"]), (&"stored".into(), &false.into()));
        let outbox = sandbox.json("storage outbox");
        let last = &outbox["last_error"];
        assert_eq!((&outbox["count"], &last["trouble"]), (&1.into(), &trouble.into()), "{state:?}: {last}");
        assert!(last["hint"].as_str().unwrap().contains(hint), "{state:?}: {last}");
        let ran = sandbox.run("storage sync");
        assert!(ran.code == 6 && ran.stderr.contains(hint), "{state:?}: {} {}", ran.code, ran.stderr);
        server.state(State::Up);
        assert_eq!(sandbox.json("storage sync --dry-run")["would_upload"][0], key(&told).as_str());
        assert_eq!(sandbox.json("storage sync")["uploaded"], 1);
        let again = sandbox.json(&format!("ingest {file} --class dog"));
        assert_eq!((&again["already_present"], &again["files"][0]["s3_uploaded"]), (&1.into(), &true.into()));
        let labels = block_on(server.store("", sandbox.path()).labels(&key(&told))).unwrap().unwrap();
        assert_eq!(labels.content_type.as_deref(), Some("audio/wav"));
        assert_eq!((labels.metadata["class"].as_str(), labels.metadata["duration-s"].as_str()), ("dog", "0.200"));
    }
}

#[test]
fn a_key_that_the_bucket_has_for_other_bytes_is_given_up() {
    let (server, sandbox) = impatient();
    clips(&sandbox, "in", 0..1);
    server.state(State::Down);
    let key = key(&not_uploaded(&sandbox, "ingest in --class dog --new-class"));
    server.state(State::Up);
    server.put(&key, b"somebody else's".to_vec());
    sandbox.ok("storage sync");
    let (here, there) = (contents(&sandbox.path().join("ecosight-data")), bucket(&server));
    let ours: Vec<_> = here.keys().filter(|key| key.starts_with("extracted_audio/")).collect();
    assert!(ours.len() == 1 && *ours[0] != key, "{ours:?}");
    assert_eq!(there.len(), 2);
    assert_eq!(there[ours[0].strip_prefix("extracted_audio/").unwrap()], here[ours[0]]);
    assert_eq!(sandbox.json("ingest in --class dog")["already_present"], 1);
}

#[test]
fn copies_here_are_dropped_once_the_bucket_has_them_and_not_before() {
    let (server, sandbox) = impatient();
    clips(&sandbox, "in", 0..3);
    fs::write(sandbox.path().join("ecosight.toml"), "version = 1\n[ingest]\nkeep_local = false\n").unwrap();
    server.state(State::Down);
    not_uploaded(&sandbox, "ingest in --class dog --new-class");
    assert_eq!(originals(&sandbox, "ecosight-data").len(), 3);
    server.state(State::Up);
    sandbox.ok("storage sync");
    assert_eq!((originals(&sandbox, "ecosight-data").len(), bucket(&server).len()), (0, 3));
    let again = sandbox.json("ingest in --class dog");
    assert_eq!((&again["already_present"], &again["files"][0]["local_path"]), (&3.into(), &Value::Null));
    assert_eq!(bucket(&server).len(), 3);
}

#[test]
fn what_was_removed_from_the_bucket_is_uploaded_again_when_it_is_taken_in_again() {
    for keep_local in [true, false] {
        let (server, sandbox) = impatient();
        clips(&sandbox, "in", 0..1);
        let text = format!("version = 1\n[ingest]\nkeep_local = {keep_local}\n");
        fs::write(sandbox.path().join("ecosight.toml"), text).unwrap();
        let key = key(&sandbox.json("ingest in --class dog --new-class"));
        assert_eq!(bucket(&server).len(), 1);
        sandbox.ok(&format!("storage rm {key} --yes"));
        assert_eq!(bucket(&server).len(), 0);
        assert_eq!(sandbox.json("ingest in --class dog --new-class")["removed"], 1);
        assert_eq!(bucket(&server).len(), 0);
        let again = sandbox.json("ingest in --class dog --new-class --restore");
        assert_eq!(
            (bucket(&server).len(), &again["files"][0]["s3_uploaded"]),
            (1, &true.into()),
            "{keep_local}: {again}"
        );
    }
}

#[test]
fn a_dry_run_shows_what_waits_and_writes_nothing() {
    let server = Server::start();
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..2);
    sandbox.ok("ingest in --class dog --new-class");
    let dry = || {
        let mut command = sandbox.command("storage sync --dry-run --json");
        let ran = ran(&command.envs(server.env()).output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        document["would_upload"].as_array().unwrap().len()
    };
    assert_eq!((dry(), &sandbox.json("storage outbox")["count"]), (2, &0.into()));
    let index = sandbox.path().join("ecosight-data/index");
    fs::remove_dir_all(&index).unwrap();
    assert_eq!((dry(), index.exists()), (2, false));
}

#[test]
fn a_lost_index_is_made_again_from_both_sides() {
    let (server, sandbox) = impatient();
    clips(&sandbox, "in", 0..4);
    clips(&sandbox, "late", 4..6);
    sandbox.ok("ingest in --class dog --new-class");
    server.put("extracted_audio/cat/20260102_030405_there.wav", fs::read(sandbox.path().join("in/0.wav")).unwrap());
    server.state(State::Down);
    not_uploaded(&sandbox, "ingest late --class dog");
    server.state(State::Up);
    fs::remove_dir_all(sandbox.path().join("ecosight-data/index")).unwrap();
    let done = sandbox.json("storage reindex");
    assert_eq!((&done["local"], &done["bucket"], &done["waiting"]), (&6.into(), &5.into(), &2.into()));
    sandbox.ok("storage sync");
    assert_eq!(bucket(&server).len(), 7);
    // Another machine knows the class, and the recordings, of the bucket.
    sandbox.ok("storage reindex --data-root other");
    assert_eq!(sandbox.json("ingest in late --class dog --data-root other")["already_present"], 6);
}

#[test]
fn a_data_root_in_a_bucket_takes_recordings_in_below_its_prefix() {
    let (server, sandbox) = impatient();
    clips(&sandbox, "in", 0..3);
    let told = sandbox.json("ingest in --class dog --new-class --data-root s3://recordings/root");
    assert!(told["files"].as_array().unwrap().iter().all(|file| file["s3_uploaded"] == true), "{told}");
    assert_eq!(contents(&server.bucket_folder().join("root/extracted_audio")).len(), 3);
    assert!(!sandbox.path().join("ecosight-data").exists());
    assert_eq!(sandbox.json("storage outbox --data-root s3://recordings/root")["count"], 0);
}

//! Ctrl-C while many objects are under way: nothing half-written stays, and the same command goes on.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::names;
use crate::ingest::{clip, clips};
use crate::s3::{Fault, Faults, Server, State};
use crate::support::{Sandbox, ran};

/// Runs `line` against a slow server, and stops it once something has `begun`.
fn stopped(server: &Server, sandbox: &Sandbox, line: &str, begun: &dyn Fn() -> bool) {
    server.faults(Faults { share: 1.0, kinds: vec![Fault::Delay(300)], seed: 1 });
    let child = sandbox.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !begun() {
        assert!(started.elapsed() < Duration::from_mins(1), "`{line}` does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{line}: {}", ran.stderr);
    assert!(ran.stderr.contains("interrupted") && ran.stderr.contains("hint: "), "{line}: {}", ran.stderr);
    server.faults(Faults { share: 0.0, kinds: Vec::new(), seed: 0 });
}

/// All of the files are whole, and some are missing.
fn some_of(got: &Path, whole: &Path, all: usize) {
    let names = names(got);
    assert!(!names.is_empty() && names.len() < all, "{} of {all}", names.len());
    for name in names {
        assert!(fs::read(got.join(&name)).unwrap() == fs::read(whole.join(&name)).unwrap(), "{name}");
    }
}

fn server_and_clips(count: u32) -> (Server, Sandbox) {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    for number in 0..count {
        let name = format!("ecosight-data/extracted_audio/dog/20260102_{number:06}_x.wav");
        clip(&sandbox.path().join(name), number);
    }
    (server, sandbox)
}

#[test]
fn ctrl_c_stops_a_migration() {
    let (server, sandbox) = server_and_clips(300);
    let (there, here) = (server.bucket_folder(), sandbox.path().join("ecosight-data"));
    stopped(&server, &sandbox, "storage migrate", &|| names(&there).len() > 20);
    some_of(&there, &here, 300);
    assert_eq!(sandbox.json("storage migrate")["failed"], 0);
    assert_eq!(names(&there).len(), 300);
}

#[test]
fn ctrl_c_stops_getting() {
    let (server, sandbox) = server_and_clips(300);
    let here = sandbox.path().join("ecosight-data");
    server.put_folder(&here, "");
    let got = sandbox.path().join("got");
    fs::create_dir(&got).unwrap();
    stopped(&server, &sandbox, "storage get -r extracted_audio got", &|| names(&got).len() > 20);
    some_of(&got, &here.join("extracted_audio"), 300);
    sandbox.ok("storage get -r extracted_audio got");
    assert_eq!(names(&got).len(), 300);
}

#[test]
fn ctrl_c_stops_a_sync() {
    let server = Server::start();
    let mut sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..300);
    sandbox.ok("ingest in --class dog --new-class");
    server.env().iter().for_each(|(name, value)| sandbox.set(name, value));
    let (there, here) = (server.bucket_folder(), sandbox.path().join("ecosight-data"));
    stopped(&server, &sandbox, "storage sync", &|| names(&there).len() > 20);
    some_of(&there, &here, 300);
    // What was on its way arrived, perhaps, without anybody hearing of it; it is looked for before it is sent again.
    let (waiting, missing) =
        (sandbox.json("storage outbox")["count"].as_u64().unwrap() as usize, 300 - names(&there).len());
    assert!((missing..=missing + 8).contains(&waiting), "{waiting} wait, {missing} are missing");
    sandbox.ok("storage sync");
    assert_eq!(names(&there).len(), 300);
}

#[test]
fn ctrl_c_is_heard_while_a_server_that_is_away_is_asked_again_and_again() {
    let (server, mut sandbox) = server_and_clips(2);
    server.state(State::Down);
    // Far longer than anybody waits: who does not hear Ctrl-C ends with the code of a failing store.
    sandbox.set("S3_RETRY_SECONDS", "120");
    for line in [
        "storage verify",
        "storage gc",
        "storage migrate",
        "storage ls",
        "retrain --source s3://recordings/x --set embed.embedder=logmel",
    ] {
        let child = sandbox.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
        assert!(sent.success());
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("interrupted") && ran.stderr.contains("hint: "), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_sync_asks_a_server_that_is_away_for_one_recording_and_leaves_the_rest() {
    let (server, mut sandbox) = server_and_clips(20);
    sandbox.set("S3_RETRY_SECONDS", "1");
    server.state(State::Down);
    let ran = sandbox.run("storage sync --json");
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["failed"], &report["uploaded"]), (&1.into(), &0.into()), "{report}");
    server.state(State::Up);
    sandbox.ok("storage sync");
    assert_eq!(sandbox.json("storage outbox")["count"], 0);
}

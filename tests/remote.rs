//! Data roots in a bucket, as people use them: from one machine and from several.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ecosight_datasets::layout::SNAPSHOT;
use ecosight_datasets::snapshot::Snapshot;

use crate::clips::recordings;
use crate::roots::{Contents, as_the_snapshot_says, busy, check_files, contents};
use crate::s3::{BUCKET, Server, State};
use crate::support::Sandbox;

const SETTINGS: &str = "--set embed.embedder=logmel --set augment.variants=1";

/// A bucket with six clips of each class in a data root, and a machine that knows it.
fn root() -> (Server, Sandbox) {
    let server = Server::start();
    let sandbox = machine(&server);
    recordings(&sandbox, 6);
    server.put_folder(&sandbox.path().join("recordings"), "root/extracted_audio");
    (server, sandbox)
}

/// One more machine.
fn machine(server: &Server) -> Sandbox {
    let mut sandbox = Sandbox::with_env(server.env());
    sandbox.set("ECOSIGHT_DATA_ROOT", &format!("s3://{BUCKET}/root"));
    sandbox
}

/// What a run makes of the same recordings in a folder.
fn expected(sandbox: &Sandbox) -> Contents {
    sandbox.ok(&format!("retrain -q --data-root local --source recordings {SETTINGS}"));
    without_manifest(contents(&sandbox.path().join("local")))
}

/// The entity tags in the manifest are the store's own.
fn without_manifest(mut contents: Contents) -> Contents {
    contents.retain(|name, _| !name.contains("manifest"));
    contents
}

/// What a reader finds who goes by the snapshot in the bucket.
fn made(server: &Server) -> Contents {
    let bucket = server.bucket_folder().join("root");
    assert!(!bucket.join("tables").exists() && !bucket.join("index").exists(), "they are in snapshots");
    let found = as_the_snapshot_says(&bucket);
    without_manifest(contents(found.path()))
}

fn lease(server: &Server) -> PathBuf {
    server.bucket_folder().join("root/.lease.json")
}

fn is_there(path: &Path) -> bool {
    path.exists()
}

#[test]
fn what_one_machine_has_made_another_finds_up_to_date() {
    let (server, first) = root();
    let outcome = first.json(&format!("retrain {SETTINGS}"));
    assert_eq!(outcome["published"], true);
    assert_eq!(made(&server), expected(&first));
    assert!(!is_there(&lease(&server)), "the lease is given back");

    let second = machine(&server);
    assert_eq!(second.run(&format!("status {SETTINGS}")).code, 0);
    assert_eq!(busy(&second.json(&format!("retrain {SETTINGS}"))), [""; 0]);
    assert_eq!(second.json("runs list").as_array().map(Vec::len), Some(1), "a run that did nothing has no record");
    assert_eq!(second.run("verify").code, 0);
    let clip = first.path().join("recordings/low/1.wav");
    let predicted = second.ok(&format!("predict {}", clip.display())).stdout;
    assert!(predicted.contains("low"), "{predicted}");

    // What the second adds the first goes on with.
    recordings(&second, 7);
    server.put_folder(&second.path().join("recordings"), "root/extracted_audio");
    second.ok(&format!("retrain -q {SETTINGS}"));
    assert_eq!(busy(&first.json(&format!("retrain {SETTINGS}"))), [""; 0]);
    assert_eq!(first.run("gc --yes").code, 0);
    assert_eq!(second.run("verify").code, 0);
}

#[cfg(unix)]
#[test]
fn a_command_is_told_of_the_end_once_the_bucket_has_the_run() {
    let (server, sandbox) = root();
    let folder = server.bucket_folder().join("root/runs");
    let script = format!(
        "id=$(basename $(dirname \"$1\")); ls '{}'/$id/run.json > listed; echo $ECOSIGHT_EXIT_CODE $ECOSIGHT_STATUS > status; cp \"$1\" told.json",
        folder.display()
    );
    fs::write(sandbox.path().join("told.sh"), script).unwrap();
    let line = format!("retrain -q {SETTINGS} --events events.jsonl");
    let run = || crate::support::ran(&sandbox.command(&line).args(["--on-finish", "sh told.sh"]).output().unwrap());
    let ran = run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let read = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap();
    assert!(read("listed").ends_with("run.json\n"), "{}", ran.stderr);
    assert_eq!(read("status"), "0 ok\n");

    // A store that does not answer: no run begins.
    server.state(State::Down);
    let ran = run();
    assert_eq!((ran.code, read("status").as_str()), (6, "6 store\n"), "{}", ran.stderr);
    let told: serde_json::Value = serde_json::from_str(&read("told.json")).unwrap();
    assert!(told["run_id"].is_null() && told["exit_code"] == 6 && told["hint"].is_string(), "{told:#}");
    let events = read("events.jsonl");
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"ended".into(), &6.into()), "{last:#}");
}

#[test]
fn of_two_machines_one_writes_and_the_other_is_told_who() {
    let (server, sandbox) = root();
    let hold = |expires_at: &str| {
        let holder = r#"{"name": "process 7 on elsewhere", "copy": "other"}"#;
        let since = "2026-01-01T12:00:00Z";
        let lease = format!(
            r#"{{"format": 1, "holder": {holder}, "since": "{since}", "expires_at": "{expires_at}", "nonce": "n"}}"#
        );
        server.put("root/.lease.json", lease.into_bytes());
    };
    hold("2999-01-01T12:00:00Z");
    let ran = sandbox.run(&format!("retrain {SETTINGS}"));
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("process 7 on elsewhere since 2026-01-01T12:00:00Z"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--wait"), "{}", ran.stderr);
    // Who only looks need not wait.
    assert_eq!(sandbox.run(&format!("status {SETTINGS}")).code, 3);
    // It was left by a machine that is gone.
    hold("2026-01-01T12:02:00Z");
    sandbox.ok(&format!("retrain -q {SETTINGS}"));
    assert!(!is_there(&lease(&server)));
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let (server, sandbox) = root();
    let expected = expected(&sandbox);
    for milliseconds in [50, 150, 300, 500] {
        let mut run = sandbox.command(&format!("retrain -q {SETTINGS}")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    sandbox.ok(&format!("retrain -q {SETTINGS}"));
    assert_eq!(made(&server), expected);
    assert_eq!(machine(&server).run("verify").code, 0);
}

#[test]
fn a_bucket_that_is_gone_at_the_end_gets_everything_later() {
    let (server, sandbox) = root();
    let expected = expected(&sandbox);
    server.after(60, State::Down);
    let ran = sandbox.run(&format!("retrain -q {SETTINGS}"));
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    server.state(State::Up);
    sandbox.ok(&format!("retrain -q {SETTINGS}"));
    assert_eq!(made(&server), expected);
    assert_eq!(fs::read_dir(sandbox.path().join("state/roots")).unwrap().count(), 1);
}

#[test]
fn readers_find_one_state_wherever_a_run_was_cut_off() {
    let (server, sandbox) = root();
    sandbox.ok(&format!("retrain -q {SETTINGS}"));
    let bucket = server.bucket_folder().join("root");
    let version = || Snapshot::read_at(&bucket.join(SNAPSHOT)).unwrap().unwrap().version;
    let first = version();
    for (clips, requests) in [(7, 35), (8, 50), (9, 65), (10, 80), (11, 95)] {
        recordings(&sandbox, clips);
        server.put_folder(&sandbox.path().join("recordings"), "root/extracted_audio");
        server.after(requests, State::Down);
        let ran = sandbox.run(&format!("retrain -q {SETTINGS}"));
        server.state(State::Up);
        assert!([0, 6].contains(&ran.code), "{}", ran.stderr);
        // Every file is whole, and the parts of embeddings are those that the index of the same state names.
        check_files(as_the_snapshot_says(&bucket).path());
    }
    sandbox.ok(&format!("retrain -q {SETTINGS}"));
    assert!(version() > first);
    assert_eq!(made(&server), expected(&sandbox));
}

#[test]
fn what_was_fetched_is_there_while_the_bucket_does_not_answer() {
    let (server, sandbox) = root();
    let summary = sandbox.ok(&format!("retrain {SETTINGS}")).stdout;
    assert!(summary.contains(&format!("tables  s3://{BUCKET}/root/snapshots/latest.json")), "{summary}");
    let clip = sandbox.path().join("recordings/low/1.wav").display().to_string();
    let other = machine(&server);
    let doctor = sandbox.run("doctor");
    assert!(doctor.stdout.contains(&format!("`s3://{BUCKET}/root` answers")), "{}", doctor.stdout);
    server.state(State::Down);
    for line in [format!("predict {clip}"), "runs list".to_owned()] {
        let ran = sandbox.run(&line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("does not answer; what follows is as it was"), "{line}: {}", ran.stderr);
    }
    // Another machine has nothing to go by.
    assert_eq!(other.run(&format!("predict {clip}")).code, 6);
    let doctor = sandbox.run("doctor");
    assert_eq!(doctor.code, 1, "{}", doctor.stdout);
    assert!(doctor.stdout.contains("data root"), "{}", doctor.stdout);
}

#[test]
fn a_bucket_without_a_data_root_is_not_taken_for_an_empty_one() {
    let server = Server::start();
    let sandbox = machine(&server);
    for line in ["runs list", "verify", "gc"] {
        let ran = sandbox.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("there is no data root `s3://{BUCKET}/root`")), "{line}: {}", ran.stderr);
    }
    let ran = sandbox.run(&format!("retrain {SETTINGS}"));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing to train on yet"), "{}", ran.stderr);
}

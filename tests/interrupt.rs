//! Runs that are stopped, killed or started twice: nothing is lost, and the next run ends as an undisturbed one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clips::{recording, recordings};
use crate::roots::busy;
use crate::support::{Ran, Sandbox, ran, table_digests};

const RETRAIN: &str =
    "retrain --source ecosight-demo/extracted_audio --set embed.embedder=logmel --set augment.variants=11 --jobs 1";

/// Starts a run and waits until its stage `embed` has begun.
fn started(sandbox: &Sandbox, root: &str) -> Child {
    let mut command = sandbox.command(&format!("{RETRAIN} --data-root {root}"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !sandbox.path().join(root).join(".staging/embed").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the run does not get to `embed`");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn signal(child: Child, name: &str) -> Ran {
    // The shell's own `kill` is everywhere, the program is not.
    let sent = Command::new("sh").args(["-c", &format!("kill {name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
    ran(&child.wait_with_output().unwrap())
}

#[test]
fn a_stopped_or_killed_run_leaves_what_the_next_one_completes() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    sandbox.ok(&format!("{RETRAIN} --data-root undisturbed"));
    let expected = table_digests(&sandbox.path().join("undisturbed"));

    let stopped = signal(started(&sandbox, "stopped"), "-INT");
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("interrupted") && stopped.stderr.contains("hint: "), "{}", stopped.stderr);
    let killed = signal(started(&sandbox, "killed"), "-KILL");
    assert_eq!(killed.code, -1, "{}", killed.stderr);
    for root in ["stopped", "killed"] {
        assert!(!sandbox.path().join(root).join("tables/embed").exists(), "a half-made table is never seen");
        sandbox.ok(&format!("{RETRAIN} --data-root {root}"));
        assert_eq!(table_digests(&sandbox.path().join(root)), expected, "the tables of the {root} run differ");
    }
}

#[test]
fn the_clips_that_could_not_be_used_are_known_after_a_kill_at_any_later_stage() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    let bad = recording(&sandbox, "low/3.wav");
    let whole = std::fs::read(&bad).unwrap();
    std::fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    // A stage that holds the run after `embed` has found the clip that is cut off.
    let file = "[stages.hold]\nneeds = ['embed']\ncommand = 'sh hold.sh {inputs} {output}'\n";
    std::fs::write(sandbox.path().join("ecosight.toml"), file).unwrap();
    std::fs::write(sandbox.path().join("hold.sh"), "touch begun; while [ -e begun ]; do sleep 0.05; done").unwrap();
    let line = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=0 --to hold";
    let mut child = sandbox.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !sandbox.path().join("begun").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1) && child.try_wait().unwrap().is_none(), "it does not hold");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(sandbox.path().join("begun")).unwrap();
    let failed = || sandbox.json("failed")["codes"].clone();
    assert_eq!(failed(), serde_json::json!({ "truncated": 1 }));
    let outcome = sandbox.json(&line.replace("--to hold", "--to embed"));
    assert!(busy(&outcome).is_empty(), "{outcome:#}");
    assert_eq!(failed(), serde_json::json!({ "truncated": 1 }));
}

#[test]
fn a_cross_validation_stops_within_a_training() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 6);
    let endless = "--set train.head=mlp --set train.max_epochs=10000000 --set train.patience=10000000";
    let line = format!("evaluate --cv --source recordings --set embed.embedder=logmel {endless}");
    let mut child = sandbox.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let announced = lines.by_ref().map(Result::unwrap).find(|line| line.contains("5 folds in turn: 5 trainings"));
    assert!(announced.is_some());
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    assert_eq!(signal(child, "-INT").code, 130);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_second_run_in_one_data_root_is_told_who_holds_it() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let first = started(&sandbox, "shared");
    let second = sandbox.run(&format!("{RETRAIN} --data-root shared"));
    assert_eq!(second.code, 6, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    let first = ran(&first.wait_with_output().unwrap());
    assert_eq!(first.code, 0, "{}", first.stderr);
}

//! Who hears of a run, who waits for it, and which stages are asked for.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clips::recordings;
use crate::roots::busy;
use crate::support::{Sandbox, ran};

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=0";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    sandbox
}

/// Runs a command line whose last option is one word with spaces in it.
fn with_option(sandbox: &Sandbox, line: &str, option: &str, value: &str) -> crate::support::Ran {
    ran(&sandbox.command(line).args([option, value]).output().unwrap())
}

#[test]
fn events_are_lines_of_json_on_stdout_or_in_a_file_and_the_summary_is_elsewhere() {
    let sandbox = sandbox();
    let streamed = sandbox.ok(&format!("{RETRAIN} --events -"));
    let events: Vec<Value> = streamed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((of("stage_started"), of("stage_finished"), of("published")), (8, 8, 1));
    assert!(events.iter().all(|event| event["time"].as_str().is_some_and(|time| time.ends_with('Z'))), "{events:#?}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"], &last["status"]), (&"ended".into(), &0.into(), &"ok".into()));
    assert!(of("progress") > 0 && streamed.stderr.contains("in production"), "{}", streamed.stderr);

    let document = sandbox.json(&format!("{RETRAIN} --events events.jsonl"));
    assert_eq!(document["run_id"].as_str().map(str::len), last["run_id"].as_str().map(str::len));
    let both = sandbox.run(&format!("{RETRAIN} --events - --json"));
    assert!(both.code == 2 && both.stderr.contains("hint: name a file"), "{}", both.stderr);
    let file = fs::read_to_string(sandbox.path().join("events.jsonl")).unwrap();
    assert_eq!(file.matches("stage_fresh").count(), 8, "{file}");

    let before = fs::read_dir(sandbox.path().join("ecosight-data/runs")).unwrap().count();
    let nowhere = sandbox.run(&format!("{RETRAIN} --events no/such/folder/events"));
    assert!(nowhere.code == 2 && nowhere.stderr.contains("hint: "), "{}", nowhere.stderr);
    assert_eq!(
        fs::read_dir(sandbox.path().join("ecosight-data/runs")).unwrap().count(),
        before,
        "a run that never was"
    );
}

#[cfg(unix)]
#[test]
fn a_command_is_told_of_the_end_of_every_run_that_began() {
    let sandbox = sandbox();
    let on_finish = "sh -c 'cp \"$0\" told.json; echo told'";
    let good = with_option(&sandbox, &format!("{RETRAIN} --json"), "--on-finish", on_finish);
    let told = || -> Value { serde_json::from_slice(&fs::read(sandbox.path().join("told.json")).unwrap()).unwrap() };
    let document: Value = serde_json::from_str(&good.stdout).unwrap_or_else(|_| panic!("{}", good.stdout));
    assert_eq!((good.code, &told()["run_id"]), (0, &document["run_id"]));

    fs::write(sandbox.path().join("recordings/low/bad.wav"), "no audio").unwrap();
    let line = format!("{RETRAIN} --set pipeline.max_failed=0.0");
    let bad = with_option(&sandbox, &line, "--on-finish", on_finish);
    assert_eq!(bad.code, 5, "{}", bad.stderr);
    assert!(told()["exit"].as_str().unwrap().contains("could not be used"), "{}", told()["exit"]);

    // A run that finds nothing to do, and runs that cannot begin.
    let on_finish = "sh -c 'cp \"$0\" told.json; echo $ECOSIGHT_EXIT_CODE $ECOSIGHT_STATUS > status'";
    let status = || fs::read_to_string(sandbox.path().join("status")).unwrap();
    fs::remove_file(sandbox.path().join("recordings/low/bad.wav")).unwrap();
    sandbox.ok(RETRAIN);
    let idle = with_option(&sandbox, RETRAIN, "--on-finish", on_finish);
    assert_eq!((idle.code, status().as_str()), (0, "0 ok\n"), "{}", idle.stderr);
    assert_eq!((&told()["is_recorded"], &told()["exit"]), (&false.into(), &"ok".into()));
    let line = "retrain --source nowhere --set embed.embedder=logmel --data-root other";
    let missing = with_option(&sandbox, line, "--on-finish", on_finish);
    assert_eq!((missing.code, status().as_str()), (1, "1 failed\n"), "{}", missing.stderr);
    assert!(told()["exit"].as_str().unwrap().contains("no such folder"), "{}", told());
    let usage = with_option(&sandbox, "retrain --data-root nothing", "--on-finish", on_finish);
    assert_eq!((usage.code, status().as_str()), (2, "2 usage\n"), "{}", usage.stderr);
    let lock = fs::File::open(sandbox.path().join("ecosight-data/.lock")).unwrap();
    lock.lock().unwrap();
    let held = with_option(&sandbox, RETRAIN, "--on-finish", on_finish);
    assert_eq!((held.code, status().as_str()), (6, "6 store\n"), "{}", held.stderr);
    drop(lock);

    // What becomes of the command does not change what became of the run.
    for (command, expected) in [("no-such-command", "cannot be run"), ("false", "ended with"), ("", "names no command")]
    {
        let ran = with_option(
            &sandbox,
            &format!("{RETRAIN} --to split --set pipeline.max_failed=0.5"),
            "--on-finish",
            command,
        );
        assert!(ran.code == 0 && ran.stderr.contains(expected), "{command}: {}", ran.stderr);
    }
}

#[test]
fn a_quiet_command_prints_nothing_where_there_is_nothing_to_do_and_warnings_all_the_same() {
    let sandbox = sandbox();
    let silent = |line: &str| {
        let ran = sandbox.ok(line);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{line}");
    };
    let first = sandbox.ok(&format!("{RETRAIN} -q"));
    assert!(first.stdout.contains("in production"), "{}", first.stdout);
    silent(&format!("{RETRAIN} -q"));
    silent("gc --yes -q");
    silent("verify -q");
    fs::create_dir_all(sandbox.path().join("ecosight-data/.staging/split")).unwrap();
    fs::write(sandbox.path().join("ecosight-data/.staging/split/part-00000.parquet"), [0; 10]).unwrap();
    let removed = sandbox.ok("gc --yes -q");
    assert_eq!((removed.stdout.lines().count(), removed.stderr.as_str()), (1, ""), "{}", removed.stdout);
    let changed = sandbox.ok(&format!("{RETRAIN} -q --set split.seed=7"));
    assert!(changed.stderr.contains("warning: since the last run split.seed was"), "{}", changed.stderr);
}

#[test]
fn who_waits_runs_when_the_other_is_done() {
    let sandbox = sandbox();
    // A stage of one's own holds the data root for as long as is wanted.
    let file = "[stages.slow]\nneeds = ['manifest']\ncommand = 'sh slow.sh {inputs} {output}'\n";
    fs::write(sandbox.path().join("ecosight.toml"), file).unwrap();
    let script = "cp $1/part-00000.parquet $2; touch begun; while [ ! -e go ]; do sleep 0.05; done";
    fs::write(sandbox.path().join("slow.sh"), script).unwrap();
    let line = format!("{RETRAIN} --to slow");
    let spawn = |line: &str| {
        let mut command = sandbox.command(line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut first = spawn(&line);
    let begun = Instant::now();
    while !sandbox.path().join("begun").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1) && first.try_wait().unwrap().is_none(), "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = sandbox.run(&line);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    for expected in [format!("process {} on ", first.id()), " ago)".to_owned(), "retrain --wait".to_owned()] {
        assert!(refused.stderr.contains(&expected), "`{expected}` is not in\n{}", refused.stderr);
    }
    let garbage = sandbox.ok("gc");
    assert!(garbage.stderr.contains("is writing this data root"), "{}", garbage.stderr);
    let mut second = spawn(&format!("{line} --wait --json"));
    std::thread::sleep(Duration::from_millis(400));
    assert!(second.try_wait().unwrap().is_none(), "it does not wait");
    fs::write(sandbox.path().join("go"), "").unwrap();
    assert_eq!(ran(&first.wait_with_output().unwrap()).code, 0);
    let second = ran(&second.wait_with_output().unwrap());
    assert!(second.code == 0 && second.stderr.contains("waiting for its end"), "{}", second.stderr);
    assert!(busy(&serde_json::from_str(&second.stdout).unwrap()).is_empty(), "{}", second.stdout);
}

#[test]
fn a_stage_that_never_runs_runs_when_it_is_named_and_one_that_always_does_says_so() {
    let sandbox = sandbox();
    let file = "[stages.publish]\nwhen = 'never'\n[stages.split]\nwhen = 'always'\n";
    fs::write(sandbox.path().join("ecosight.toml"), file).unwrap();
    let first = sandbox.json(RETRAIN);
    assert_eq!(busy(&first), ["manifest", "split", "augment", "embed", "audit", "train", "evaluate"]);
    assert!(!sandbox.path().join("ecosight-data/models/production.json").exists());
    assert_eq!(busy(&sandbox.json(RETRAIN)), ["split"], "equal rows leave the rest as it is");
    let status = sandbox.run(&RETRAIN.replace("retrain", "status --why"));
    assert!(status.code == 3 && status.stdout.contains("split: `when = \"always\"`"), "{}", status.stdout);
    let forced = sandbox.run(&format!("{RETRAIN} --force=publish"));
    assert!(forced.code == 2 && forced.stderr.contains("not among the stages"), "{}", forced.stderr);
    assert!(forced.stderr.contains("hint: "), "{}", forced.stderr);
    assert_eq!(busy(&sandbox.json(&format!("{RETRAIN} --only publish"))), ["publish"]);
    assert!(sandbox.path().join("ecosight-data/models/production.json").exists());
    // What every stage may have is no parameter of its own.
    sandbox.ok(&RETRAIN.replace("retrain", "evaluate --cv"));
    let wrong = sandbox.run(&format!("{RETRAIN} --set split.when=sometimes"));
    assert!(wrong.code == 2 && wrong.stderr.contains("expected `stale`, `always` or `never`"), "{}", wrong.stderr);
}

#[test]
fn what_was_never_judged_is_not_put_into_production() {
    let sandbox = sandbox();
    sandbox.ok(&format!("{RETRAIN} --to train"));
    let unjudged = sandbox.run(&format!("{RETRAIN} --only publish"));
    assert_eq!(unjudged.code, 1, "{}", unjudged.stdout);
    assert!(unjudged.stderr.contains("`evaluate`") && unjudged.stderr.contains("hint: "), "{}", unjudged.stderr);
    assert!(!sandbox.path().join("ecosight-data/models/production.json").exists());
}

//! The worked example of a stage of the user's own, `docs/own-stage`: added by a pipeline file and a script alone.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::clips::recordings;
use crate::python::{python, run};
use crate::roots::{busy, contents};
use crate::support::{Ran, Sandbox, ran, repository};

const RETRAIN: &str =
    "--source recordings --config mine/ecosight.toml --set embed.embedder=logmel --set augment.variants=1";

/// Recordings, and a copy of the example.
fn example() -> Option<Sandbox> {
    python()?;
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    fs::create_dir(sandbox.path().join("mine")).unwrap();
    for name in ["my.py", "ecosight.toml"] {
        fs::copy(repository().join("docs/own-stage").join(name), sandbox.path().join("mine").join(name)).unwrap();
    }
    Some(sandbox)
}

/// A command line whose `python3` is that of the tests.
fn command(sandbox: &Sandbox, line: &str) -> Command {
    let folder = python().unwrap().parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    let mut command = sandbox.command(line);
    command.env("PATH", std::env::join_paths(folders).unwrap());
    command
}

fn ecosight(sandbox: &Sandbox, line: &str) -> Ran {
    ran(&command(sandbox, line).output().unwrap())
}

fn ok(sandbox: &Sandbox, line: &str) -> serde_json::Value {
    let ran = ecosight(sandbox, &format!("{line} --json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn script(sandbox: &Sandbox, text: &str) {
    fs::write(sandbox.path().join("mine/my.py"), text).unwrap();
}

#[test]
fn the_example_runs_once_and_again_when_its_script_has_changed() {
    let Some(sandbox) = example() else { return };
    let outcome = ok(&sandbox, &format!("retrain {RETRAIN}"));
    assert_eq!(outcome["counts"]["strength"]["rows"], 20);
    let table = sandbox.path().join("ecosight-data/tables/strength/part-00000.parquet");
    let look = "import polars as pl, sys\nt = pl.read_parquet(sys.argv[1])\nassert t.columns == ['clip_id', 'uri', 'label', \
                'mean_strength', 'strongest_start_s'], t.columns\nassert t.null_count().sum_horizontal()[0] == 0";
    run(Command::new(python().unwrap()).args(["-c", look]).arg(table)).unwrap_or_else(|why| panic!("{why}"));

    assert!(busy(&ok(&sandbox, &format!("retrain {RETRAIN}"))).is_empty());
    let text = fs::read_to_string(sandbox.path().join("mine/my.py")).unwrap();
    script(&sandbox, &format!("{text}\n# Another word.\n"));
    let status = ecosight(&sandbox, &format!("status --why {RETRAIN}"));
    assert_eq!(status.code, 3, "{}", status.stderr);
    assert!(status.stdout.contains("my.py"), "{}", status.stdout);
    assert_eq!(busy(&ok(&sandbox, &format!("retrain {RETRAIN}"))), ["strength"]);
    assert!(ok(&sandbox, &format!("status {RETRAIN}"))["fresh"].as_bool().unwrap());
}

#[test]
fn a_script_that_is_not_declared_to_be_depended_on_counts_where_the_command_names_it() {
    let Some(sandbox) = example() else { return };
    let path = sandbox.path().join("mine/ecosight.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("depends = [\"my.py\"]", "")).unwrap();
    ok(&sandbox, &format!("retrain {RETRAIN}"));
    let text = fs::read_to_string(sandbox.path().join("mine/my.py")).unwrap();
    script(&sandbox, &format!("{text}\n# Another word.\n"));
    assert_eq!(busy(&ok(&sandbox, &format!("retrain {RETRAIN}"))), ["strength"]);
}

#[test]
fn a_script_that_fails_is_told_with_what_it_printed_and_costs_nothing_else() {
    let Some(sandbox) = example() else { return };
    ok(&sandbox, &format!("retrain {RETRAIN}"));
    let root = sandbox.path().join("ecosight-data");
    let (expected, whole) = (contents(&root), fs::read_to_string(sandbox.path().join("mine/my.py")).unwrap());
    let failures = [
        ("import sys\nprint('half way')\nsys.exit('no such column: wingspan')", "no such column: wingspan"),
        ("raise ValueError('wrong')", "ValueError: wrong"),
        ("pass", "has written no Parquet"),
        ("import sys\nopen(sys.argv[-1], 'w').write('a,b')", "has written no Parquet"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "signal: 9"),
    ];
    for (text, told) in failures {
        script(&sandbox, text);
        let failed = ecosight(&sandbox, &format!("retrain {RETRAIN}"));
        assert_eq!(failed.code, 1, "{text}: {}", failed.stderr);
        for word in [told, "stage `strength` stopped", "hint: "] {
            assert!(failed.stderr.contains(word), "`{word}` is not in\n{}", failed.stderr);
        }
    }
    script(&sandbox, &whole);
    assert!(busy(&ok(&sandbox, &format!("retrain {RETRAIN}"))).is_empty(), "what was there before is still good");
    assert_eq!(contents(&root), expected);
}

#[test]
fn ctrl_c_ends_the_script() {
    let Some(sandbox) = example() else { return };
    script(&sandbox, "import time\nopen('begun', 'w').close()\ntime.sleep(600)");
    let mut command = command(&sandbox, &format!("retrain {RETRAIN}"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !sandbox.path().join("mine/begun").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the script does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let stopped = ran(&child.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert!(begun.elapsed() < Duration::from_mins(1));
    fs::copy(repository().join("docs/own-stage/my.py"), sandbox.path().join("mine/my.py")).unwrap();
    ok(&sandbox, &format!("retrain {RETRAIN}"));
    assert!(sandbox.path().join("ecosight-data/tables/strength").is_dir());
}

#[test]
fn a_run_that_is_ended_ends_what_the_command_of_a_stage_has_started() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 6);
    let at = |name: &str| sandbox.path().join(name);
    let file = "[stages.long]\nneeds = ['manifest']\ncommand = 'sh long.sh {inputs} {output}'\n";
    fs::write(at("ecosight.toml"), file).unwrap();
    fs::write(at("long.sh"), "sh -c 'echo $$ > child; touch begun; exec sleep 600' & wait").unwrap();
    for signal in ["TERM", "INT"] {
        let line = "retrain --source recordings --set embed.embedder=logmel --to long";
        let child = sandbox.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while !at("begun").exists() {
            assert!(begun.elapsed() < Duration::from_mins(1), "the command does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::remove_file(at("begun")).unwrap();
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
        assert!(sent.success());
        let stopped = ran(&child.wait_with_output().unwrap());
        assert_eq!(stopped.code, 130, "{}", stopped.stderr);
        let started = fs::read_to_string(at("child")).unwrap();
        // One that nobody has waited for has a name, but no command line.
        let command_line = fs::read(format!("/proc/{}/cmdline", started.trim())).unwrap_or_default();
        assert!(command_line.is_empty(), "{signal}: `sleep` goes on as process {started}");
    }
}

#[test]
fn what_a_killed_run_has_started_does_not_write_into_the_next_one() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 8);
    let at = |name: &str| sandbox.path().join(name);
    let file = "[stages.copy]\nneeds = ['manifest', 'split']\ncommand = 'sh copy.sh {inputs} {output}'\n";
    fs::write(at("ecosight.toml"), file).unwrap();
    let line = "retrain --source recordings --set embed.embedder=logmel --set augment.variants=0 --to copy";
    fs::write(at("copy.sh"), "touch begun; sleep 1; cp \"$1/part-00000.parquet\" \"$3\"; touch done").unwrap();
    let mut child = sandbox.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !at("begun").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(at("copy.sh"), "cp \"$2/part-00000.parquet\" \"$3\"; while [ ! -e done ]; do sleep 0.1; done").unwrap();
    sandbox.ok(line);
    let part = |table: &str| fs::read(at(&format!("ecosight-data/tables/{table}/part-00000.parquet"))).unwrap();
    assert!(part("copy") == part("split"), "the output is that of the killed run");
}

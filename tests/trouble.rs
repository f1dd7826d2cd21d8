//! A disk that takes no more: every stage stops with an error, and the next run ends as one that was never disturbed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clips::recordings;
use crate::roots::{Contents, contents, copy, undisturbed};
use crate::support::{Ran, Sandbox, ran, skipped};

const RETRAIN: &str = "--source recordings --set embed.embedder=logmel --set augment.variants=2";

fn sandbox() -> (Sandbox, Contents) {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    let expected = undisturbed(&sandbox, RETRAIN);
    (sandbox, expected)
}

/// Runs a command line that may write no file longer than so many blocks of 512 bytes.
fn limited(sandbox: &Sandbox, line: &str, blocks: u32) -> Ran {
    let command = sandbox.command(line);
    // Without the trap the system would end the process.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args()).current_dir(sandbox.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    ran(&shell.output().unwrap())
}

/// What a user gets is an error with its cause; the stage that stopped, if it was one.
fn expect_error(ran: &Ran, what: &str) -> Option<String> {
    assert!([1, 6].contains(&ran.code), "{what}: exit code {}\n{}", ran.code, ran.stderr);
    assert!(ran.stderr.contains("error: ") && !ran.stderr.contains("panicked"), "{what}:\n{}", ran.stderr);
    let (_, after) = ran.stderr.split_once("stage `")?;
    after.split_once('`').map(|(stage, _)| stage.to_owned())
}

#[test]
fn files_that_may_not_grow_stop_each_stage_in_turn_and_lose_nothing() {
    let (sandbox, expected) = sandbox();
    let at = |root: &str| sandbox.path().join(root);
    let line = |root: &str| format!("retrain {RETRAIN} --data-root {root}");
    fs::create_dir(at("before")).unwrap();
    for stage in ["manifest", "split", "augment", "embed", "train", "evaluate", "publish"] {
        let mut stopped = BTreeSet::new();
        for blocks in [0, 1, 2, 5, 20, 60] {
            let what = format!("`{stage}` with {blocks} blocks");
            copy(&at("before"), &at("limited"));
            let ran = limited(&sandbox, &line("limited"), blocks);
            if ran.code != 0 {
                stopped.extend(expect_error(&ran, &what));
            }
            sandbox.ok(&line("limited"));
            assert_eq!(contents(&at("limited")), expected, "{what}");
            fs::remove_dir_all(at("limited")).unwrap();
        }
        // The lock of the data root is longer than the pointer that `publish` writes.
        assert!(stopped.contains(stage) || stage == "publish", "no limit stopped `{stage}`, only {stopped:?}");
        sandbox.ok(&format!("{} --to {stage}", line("before")));
    }
}

#[test]
fn a_root_that_suffers_from_one_limit_after_the_other_ends_well() {
    let (sandbox, expected) = sandbox();
    let line = format!("retrain {RETRAIN} --data-root one");
    for blocks in (0..20).chain((20..120).step_by(10)) {
        let ran = limited(&sandbox, &line, blocks);
        if ran.code != 0 {
            expect_error(&ran, &format!("{blocks} blocks"));
        }
    }
    sandbox.ok(&line);
    assert_eq!(contents(&sandbox.path().join("one")), expected);
}

#[test]
fn a_place_that_cannot_be_written_stops_its_stage_and_loses_nothing() {
    let (sandbox, expected) = sandbox();
    let stages = ["manifest", "split", "augment", "embed"].map(|stage| (format!(".staging/{stage}"), Some(stage)));
    let tables = ["manifest", "split", "augment", "embed"].map(|stage| (format!("tables/{stage}"), Some(stage)));
    let states = ["manifest", "split", "augment", "embed", "train", "evaluate", "publish"]
        .map(|stage| (format!("index/{stage}.json/in the way"), None));
    // Before anything is trained, `publish` looks for the model in production.
    let others = [("models", Some("publish")), ("models/production.json/in the way", Some("publish"))];
    let others = others.map(|(place, stage)| (place.to_owned(), stage));
    let rest = ["index", "runs", "tables", "index/embed.parquet/in the way"].map(|place| (place.to_owned(), None));
    for (place, stage) in stages.into_iter().chain(tables).chain(states).chain(others).chain(rest) {
        let root = sandbox.path().join("blocked");
        let blocked = root.join(&place);
        fs::create_dir_all(blocked.parent().unwrap()).unwrap();
        fs::write(&blocked, "in the way").unwrap();
        let line = format!("retrain {RETRAIN} --data-root blocked");
        let found = expect_error(&sandbox.run(&line), &place);
        assert!(stage.is_none() || found.as_deref() == stage, "{place} stopped {found:?}");
        // A stray file in the place of a table may have been moved out of the way.
        let _ = fs::remove_file(&blocked);
        if place.ends_with("in the way") {
            fs::remove_dir(blocked.parent().unwrap()).unwrap();
        }
        sandbox.ok(&line);
        assert_eq!(contents(&root), expected, "{place}");
        fs::remove_dir_all(root).unwrap();
    }
}

/// A small file system in memory.
pub(crate) struct Small {
    path: PathBuf,
}

impl Small {
    pub(crate) fn mount(path: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self { path: path.to_owned() })
    }

    pub(crate) fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=256m"]).arg(&self.path).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn a_full_disk_is_named_and_a_larger_one_takes_the_rest() {
    let (sandbox, expected) = sandbox();
    let root = sandbox.path().join("small");
    let mut full = 0;
    for kilobytes in [16, 48, 80, 112, 160, 208, 256, 320, 384, 448, 512, 640, 768] {
        let Some(disk) = Small::mount(&root, kilobytes) else {
            skipped("no file system may be mounted here, so no disk is filled");
            return;
        };
        let ran = sandbox.run(&format!("retrain {RETRAIN} --data-root small"));
        if ran.code != 0 {
            expect_error(&ran, &format!("{kilobytes} kB"));
            assert!(ran.code == 6 && ran.stderr.contains("hint: free some space"), "{kilobytes} kB: {}", ran.stderr);
            full += 1;
        }
        disk.grow();
        sandbox.ok(&format!("retrain {RETRAIN} --data-root small"));
        assert_eq!(contents(&root), expected, "{kilobytes} kB");
    }
    assert!(full > 5, "{full}");
}

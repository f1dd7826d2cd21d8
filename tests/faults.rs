//! A source that fails while it is read: clear errors or quarantined rows, and a right result once the files are back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::clips::{recording, recordings, wav};
use crate::roots::{contents, undisturbed};
use crate::support::{Sandbox, skipped};

const RETRAIN: &str =
    "--source recordings --set embed.embedder=logmel --set augment.variants=1 --set pipeline.max_failed=0.2";

/// Twelve clips of each class, listed but not yet embedded, and one file that comes to harm in between.
fn harmed(harm: impl FnOnce(&Path)) -> (Sandbox, PathBuf, Vec<u8>) {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    sandbox.ok(&format!("retrain -q --to augment {RETRAIN}"));
    let path = recording(&sandbox, "low/3.wav");
    let whole = fs::read(&path).unwrap();
    harm(&path);
    (sandbox, path, whole)
}

/// The codes of the clips that were quarantined.
fn codes(outcome: &Value) -> Vec<String> {
    let rows = outcome["quarantined"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["uri"].as_str().unwrap(), row["code"].as_str().unwrap())).collect()
}

/// The file is back as it was: the clip is taken, and all is as if nothing had happened.
fn expect_recovery(sandbox: &Sandbox, path: &Path, whole: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, whole).unwrap();
    let outcome = sandbox.json(&format!("retrain {RETRAIN}"));
    assert_eq!(codes(&outcome), [""; 0]);
    assert_eq!(contents(&sandbox.path().join("ecosight-data")), undisturbed(sandbox, RETRAIN));
}

/// A file that comes to harm between its listing and its reading costs its clip, and only until it is mended.
fn expect_passing(code: &str, harm: impl FnOnce(&Path)) {
    let (sandbox, path, whole) = harmed(harm);
    let outcome = sandbox.json(&format!("retrain --only embed {RETRAIN}"));
    assert_eq!(codes(&outcome), [format!("low/3.wav {code}")]);
    expect_recovery(&sandbox, &path, &whole);
}

#[test]
fn a_file_that_vanishes_after_it_was_listed_is_tried_again() {
    expect_passing("missing", |path| fs::remove_file(path).unwrap());
}

#[test]
fn a_file_that_is_cut_off_after_it_was_listed_is_tried_again() {
    expect_passing("changed", |path| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
    });
}

#[test]
fn another_recording_under_the_name_of_a_listed_one_is_not_taken_for_it() {
    expect_passing("changed", |path| wav(path, 700.0, 999));
}

#[test]
fn a_file_that_was_only_touched_after_it_was_listed_is_taken() {
    let (sandbox, ..) = harmed(|path| fs::write(path, fs::read(path).unwrap()).unwrap());
    assert_eq!(codes(&sandbox.json(&format!("retrain --only embed {RETRAIN}"))), [""; 0]);
    sandbox.ok(&format!("retrain {RETRAIN}"));
    assert_eq!(contents(&sandbox.path().join("ecosight-data")), undisturbed(&sandbox, RETRAIN));
}

fn make_pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    expect_passing("not_a_file", make_pipe);
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    let path = recording(&sandbox, "low/3.wav");
    let whole = fs::read(&path).unwrap();
    make_pipe(&path);
    sandbox.ok(&format!("retrain {RETRAIN}"));
    expect_recovery(&sandbox, &path, &whole);
}

#[test]
fn a_file_that_may_not_be_read_is_quarantined_until_it_may() {
    let forbid = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let probe = Sandbox::new();
    wav(&probe.path().join("probe"), 300.0, 0);
    forbid(&probe.path().join("probe"));
    if fs::read(probe.path().join("probe")).is_ok() {
        skipped("this user may read everything, so no file is forbidden");
        return;
    }
    expect_passing("forbidden", forbid);
}

#[test]
fn a_source_that_is_gone_is_an_error_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 12);
    sandbox.ok(&format!("retrain -q {RETRAIN}"));
    let expected = contents(&sandbox.path().join("ecosight-data"));
    let (here, away) = (sandbox.path().join("recordings"), sandbox.path().join("away"));
    fs::rename(&here, &away).unwrap();
    for verb in ["retrain", "status"] {
        let ran = sandbox.run(&format!("{verb} {RETRAIN}"));
        assert_eq!(ran.code, 1, "{verb}: {}", ran.stderr);
        assert!(ran.stderr.contains("there is no such folder") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    fs::create_dir(&here).unwrap();
    let ran = sandbox.run(&format!("retrain {RETRAIN}"));
    assert!(ran.code == 4 && ran.stderr.contains("24 of 24 known recordings"), "{}", ran.stderr);
    fs::remove_dir(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    assert_eq!(contents(&sandbox.path().join("ecosight-data")), expected);
    let status = sandbox.run(&format!("status {RETRAIN}"));
    assert_eq!(status.code, 0, "{}", status.stdout);
}

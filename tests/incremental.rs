//! Runs after a first one: only what a change touches is computed, and the result is that of a run that starts from nothing.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::clips::{recording, recordings, wav};
use crate::roots::{busy, contents, rows, undisturbed};
use crate::support::Sandbox;

/// A data root that is brought up to date again and again.
struct Root {
    sandbox: Sandbox,
    settings: String,
    /// Clips on the train side.
    train: u64,
}

impl Root {
    /// Twelve clips of each class, retrained once with `settings`.
    fn new(settings: &str) -> Self {
        let sandbox = Sandbox::new();
        recordings(&sandbox, 12);
        let settings = format!("--source recordings --set embed.embedder=logmel {settings}");
        let outcome = sandbox.json(&format!("retrain {settings}"));
        Self { sandbox, settings, train: count(&outcome, "split", "train") }
    }

    fn path(&self) -> PathBuf {
        self.sandbox.path().join("ecosight-data")
    }

    /// Runs again, and compares with a run from nothing.
    fn again(&self, more: &str) -> Value {
        self.again_forced(more, "")
    }

    fn again_forced(&self, more: &str, force: &str) -> Value {
        let settings = format!("{} {more}", self.settings);
        let plan = self.sandbox.json(&format!("retrain {settings} {force} --dry-run"));
        let outcome = self.sandbox.json(&format!("retrain {settings} {force}"));
        expect_planned(&plan, &outcome);
        assert_eq!(contents(&self.path()), undisturbed(&self.sandbox, &settings), "not as from nothing: {more}");
        self.expect_fresh(more);
        outcome
    }

    /// The run after a run has nothing to do, and `status` says so.
    fn expect_fresh(&self, more: &str) {
        let status = self.sandbox.run(&format!("status {} {more}", self.settings));
        assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
        assert!(status.stdout.contains("everything is up to date"), "{}", status.stdout);
        let outcome = self.sandbox.json(&format!("retrain {} {more}", self.settings));
        assert!(busy(&outcome).is_empty(), "{:?}", busy(&outcome));
    }

    /// `status` sees that something is to be done, and why.
    fn expect_stale(&self, more: &str, why: &str) {
        let status = self.sandbox.run(&format!("status --why {} {more}", self.settings));
        assert_eq!(status.code, 3, "{}{}", status.stdout, status.stderr);
        assert!(status.stdout.contains(why), "`{why}` is not in\n{}", status.stdout);
    }
}

/// What was to be done is what was done, where nothing had to be read first to know.
fn expect_planned(plan: &Value, outcome: &Value) {
    let stages = plan["stages"].as_array().unwrap();
    if !stages[0]["examples"].as_array().unwrap().is_empty() {
        return;
    }
    for stage in stages.iter().filter(|stage| stage["rows"].is_object()) {
        let name = stage["stage"].as_str().unwrap();
        let rows =
            ["new", "changed", "reused", "retired", "failed"].map(|count| stage["rows"][count].as_u64().unwrap());
        assert_eq!(rows, super::roots::rows(outcome, name), "`{name}`: planned and done");
    }
}

/// Units that were computed.
fn units(outcome: &Value) -> u64 {
    count(outcome, "embed", "units")
}

fn count(outcome: &Value, stage: &str, name: &str) -> u64 {
    outcome["counts"][stage][name].as_u64().unwrap_or_else(|| panic!("{stage}.{name}: {}", outcome["counts"]))
}

#[test]
fn a_clip_that_comes_or_goes_takes_its_own_rows_and_no_others() {
    let root = Root::new("--set augment.variants=0");
    wav(&recording(&root.sandbox, "low/new.wav"), 310.0, 900);
    root.expect_stale("", "24 files");
    let added = root.again("");
    assert_eq!((units(&added), count(&added, "manifest", "read")), (1, 1));
    assert_eq!((rows(&added, "manifest"), rows(&added, "embed")), ([1, 0, 24, 0, 0], [1, 0, 24, 0, 0]));

    fs::remove_file(recording(&root.sandbox, "high/3.wav")).unwrap();
    let removed = root.again("");
    assert_eq!((units(&removed), count(&removed, "manifest", "read")), (0, 0));
    assert_eq!(rows(&removed, "embed"), [0, 0, 24, 1, 0]);

    // The same clip again, under another name: its rows come back.
    wav(&recording(&root.sandbox, "high/back.wav"), 2000.0, 3);
    let back = root.again("");
    assert_eq!((units(&back), count(&back, "manifest", "read"), count(&back, "embed", "returned")), (0, 1, 1));
}

#[test]
fn a_changed_label_reaches_the_head_and_computes_no_embedding() {
    let root = Root::new("--set augment.variants=0");
    fs::rename(recording(&root.sandbox, "high/4.wav"), recording(&root.sandbox, "low/moved.wav")).unwrap();
    let moved = root.again("");
    assert_eq!(count(&moved, "manifest", "read"), 1);
    let expected = ["manifest", "split", "audit", "train", "evaluate", "publish"];
    let found: Vec<_> = busy(&moved).into_iter().filter(|stage| *stage != "augment").collect();
    assert_eq!(found, expected, "the table of embeddings does not know of labels");
}

#[test]
fn a_renamed_file_is_hashed_and_nothing_is_computed_again() {
    let root = Root::new("--set augment.variants=2");
    fs::rename(recording(&root.sandbox, "high/4.wav"), recording(&root.sandbox, "high/a new name.wav")).unwrap();
    let renamed = root.again("");
    assert_eq!(busy(&renamed), ["manifest"]);
    assert_eq!((count(&renamed, "manifest", "read"), rows(&renamed, "manifest")), (1, [0, 1, 23, 0, 0]));
}

#[test]
fn one_more_variant_and_one_changed_effect_touch_their_own_rows_alone() {
    let root = Root::new("--set augment.variants=5");
    let train = root.train;
    let sixth = root.again("--set augment.variants=6");
    assert_eq!((units(&sixth), rows(&sixth, "embed")), (train, [train, 0, 24 + 5 * train, 0, 0]));
    let fewer = root.again("");
    assert_eq!((units(&fewer), rows(&fewer, "embed")), (0, [0, 0, 24 + 5 * train, train, 0]));

    // As many effects as variants, so that each train clip has each of them.
    let root =
        Root { settings: "--source recordings --config effects.toml --set embed.embedder=logmel".into(), ..root };
    let config = |amplitude: f64| fs::write(root.sandbox.path().join("effects.toml"), effects(amplitude)).unwrap();
    config(0.002);
    root.again("");
    config(0.004);
    root.expect_stale("", "0.004");
    let changed = root.again("");
    assert_eq!((units(&changed), rows(&changed, "embed")), (train, [0, train, 24 + 2 * train, 0, 0]));
    config(0.002);
    let back = root.again("");
    assert_eq!((units(&back), count(&back, "embed", "returned")), (0, train));
}

/// A pipeline file with three effects, all of which are wanted.
fn effects(amplitude: f64) -> String {
    format!(
        "[stages.augment]\nvariants = 3\n[stages.augment.effects]\n\
         loud = [{{ step = \"gain\", factor = 1.2 }}]\n\
         noisy = [{{ step = \"noise\", amplitude = {amplitude} }}]\n\
         late = [{{ step = \"time_shift\", max_fraction = 0.15 }}]\n"
    )
}

#[test]
fn rows_of_another_kind_replace_all_and_come_back_without_being_computed() {
    let root = Root::new("--set augment.variants=1");
    root.expect_stale("--set embed.dtype=f16", "\"f32\" → \"f16\"");
    let halves = root.again("--set embed.dtype=f16");
    let all = 24 + root.train;
    assert_eq!(units(&halves), all);
    let back = root.again("");
    assert_eq!((units(&back), count(&back, "embed", "returned")), (0, all));
    assert_eq!(busy(&back), ["embed", "audit", "train", "evaluate", "publish"]);
}

#[test]
fn force_computes_what_is_asked_for_and_changes_nothing() {
    let root = Root::new("--set augment.variants=1");
    let all = root.again_forced("", "--force");
    let every = 24 + root.train;
    assert_eq!((busy(&all).len(), units(&all), count(&all, "manifest", "read")), (8, every, 24));
    let embed = root.again_forced("", "--force=embed");
    assert_eq!((busy(&embed), units(&embed)), (vec!["embed"], every));
}

#[test]
fn a_stage_alone_is_refused_where_what_it_reads_is_out_of_date() {
    let root = Root::new("--set augment.variants=1");
    let line = format!("retrain --only train {} --set split.seed=7", root.settings);
    let ran = root.sandbox.run(&line);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("split.seed") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    root.expect_fresh("");
}

#[test]
fn files_that_take_the_places_of_others_are_not_taken_for_them() {
    // An archive that is unpacked anew gives its files the times and sizes that they had; the disk gives them places that others had.
    let root = Root::new("--set augment.variants=0");
    let folder = root.sandbox.path().join("recordings");
    let pack = |command: &str| {
        let script = format!("cd '{}' && {command}", root.sandbox.path().display());
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    };
    pack("find recordings -type f -exec touch -d 2026-01-01T00:00:00Z {} + && tar cf all.tar recordings");
    root.again("");
    fs::remove_dir_all(&folder).unwrap();
    pack(
        "tar xf all.tar && rm recordings/high/0.wav && mv recordings/low recordings/aside && cp -p -r recordings/aside recordings/low && rm -r recordings/aside",
    );
    root.again("");
}

//! Runs that are killed at any moment: the next one ends as one that was never disturbed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::clips::{recording, recordings, wav};
use crate::roots::{Contents, contents, copy};
use crate::support::{Sandbox, embed_parts};

const RETRAIN: &str = "retrain --source recordings --set embed.embedder=logmel";

/// Kills of each kind of run.
const KILLS: u32 = 25;

/// Every other kill hits one of these in turn; the others are spread over the whole run.
const STAGES: [&str; 7] = ["manifest", "split", "augment", "embed", "train", "evaluate", "publish"];

/// A run that is to be killed: from nothing, or with a table that is there already.
struct Victim<'a> {
    sandbox: &'a Sandbox,
    /// Data root to start from, if any.
    before: Option<&'a str>,
    settings: &'a str,
}

impl Victim<'_> {
    fn line(&self, root: &str, jobs: u32) -> String {
        format!("{RETRAIN} {} --jobs {jobs} --data-root {root}", self.settings)
    }

    /// A data root in the state before the run.
    fn prepare(&self, root: &str) {
        let path = self.sandbox.path().join(root);
        let _ = std::fs::remove_dir_all(&path);
        if let Some(before) = self.before {
            copy(&self.sandbox.path().join(before), &path);
        }
    }

    /// Runs to the end; what it made, and what became of it.
    fn undisturbed(&self, root: &str, jobs: u32) -> (Contents, Value) {
        self.prepare(root);
        let outcome = self.sandbox.json(&self.line(root, jobs));
        (contents(&self.sandbox.path().join(root)), outcome)
    }

    /// Kills a run `delay` after it has said that `stage` begins; whether it was still alive.
    fn kill(&self, root: &str, jobs: u32, stage: &str, delay: Duration) -> bool {
        self.prepare(root);
        let mut command = self.sandbox.command(&format!("{} --events -", self.line(root, jobs)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let begun = |line: &str| line.contains("stage_started") && line.contains(&format!("\"{stage}\""));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A stage that is fresh never begins; then the run ends by itself.
        lines.find(|line| line.as_ref().map_or(true, |line| begun(line)));
        std::thread::sleep(delay);
        let _ = child.kill();
        child.wait().unwrap().code().is_none()
    }

    /// Kills, completes and compares.
    fn disturb(&self, seed: u64) {
        let mut random = seed;
        let (expected, outcome) = self.undisturbed("undisturbed", 2);
        let seconds = |stage: &str| {
            let stages = outcome["stages"].as_array().unwrap();
            stages.iter().find(|found| found["stage"] == stage).unwrap()["seconds"].as_f64().unwrap()
        };
        let total: f64 = STAGES.iter().map(|stage| seconds(stage)).sum();
        let mut killed = 0;
        for number in 0..KILLS {
            let jobs = number % 2 + 1;
            // Every other kill hits a stage in turn, however short; the rest are where most of the time goes.
            let (stage, length) = match number % 2 {
                0 => (STAGES[(number / 2) as usize % STAGES.len()], None),
                _ => ("manifest", Some(total)),
            };
            let length = length.unwrap_or_else(|| seconds(stage)) * if jobs == 1 { 1.5 } else { 1.0 };
            let delay = Duration::from_secs_f64(length * fraction(&mut random));
            let what = format!("kill {number}: {stage} after {delay:?} with {jobs} job(s), seed {seed}");
            killed += u32::from(self.kill("killed", jobs, stage, delay));
            check_readable(&self.sandbox.path().join("killed"), &what);
            let ran = self.sandbox.run(&self.line("killed", 2));
            assert_eq!(ran.code, 0, "{what}:\n{}", ran.stderr);
            assert_eq!(contents(&self.sandbox.path().join("killed")), expected, "{what}");
        }
        assert!(killed > KILLS / 2, "only {killed} of {KILLS} runs were hit");
    }
}

/// A number from 0 to 1 (`SplitMix64`).
pub(crate) fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Whatever was cut off, a reader finds whole files where the table is.
fn check_readable(root: &Path, what: &str) {
    if root.join("tables/embed").exists() && root.join("index/embed.parquet").exists() {
        let gone: Vec<_> = embed_parts(root).into_iter().filter(|part| !part.exists()).collect();
        assert!(gone.is_empty(), "{what}: the index names {gone:?}");
    }
}

#[test]
fn a_first_run_that_is_killed_anywhere_is_completed_by_the_next() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 16);
    let victim = Victim { sandbox: &sandbox, before: None, settings: "--set augment.variants=3" };
    victim.disturb(1);
}

#[test]
fn a_later_run_that_is_killed_anywhere_is_completed_by_the_next() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 16);
    sandbox.ok(&format!("{RETRAIN} -q --set augment.variants=3 --data-root before"));
    let at = |name: &str| recording(&sandbox, name);
    for number in 0..4 {
        wav(&at(&format!("low/new{number}.wav")), 350.0, 700 + number);
        std::fs::remove_file(at(&format!("high/{number}.wav"))).unwrap();
        std::fs::rename(at(&format!("low/{number}.wav")), at(&format!("high/moved{number}.wav"))).unwrap();
    }
    let victim = Victim {
        sandbox: &sandbox,
        before: Some("before"),
        settings: "--set augment.variants=4 --set train.head=mlp --set train.max_epochs=8 --set publish.max_loss=0.2",
    };
    victim.disturb(2);
}

//! Names that other people chose: what would control a terminal is shown as an escape.

use std::fs;

use crate::clips::{recording, recordings, wav};
use crate::support::{Ran, Sandbox};

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1 --set pipeline.max_failed=0.5";

/// Sets the title of the window, rings, begins a line that looks like one of `ingest`, and turns the direction of the rest of the line.
const TERMINAL: &str = "a\u{1b}]0;title\u{7}\nstored  fake\u{202e}.wav";

/// That nothing but text reaches the terminal, and no line that only a name has begun.
#[track_caller]
fn assert_plain(line: &str, ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let is_raw = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!text.contains(is_raw), "{line}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("stored  fake")), "{line}: {text}");
    }
}

#[test]
fn control_characters_in_names_reach_no_terminal() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    wav(&recording(&sandbox, &format!("high/{TERMINAL}")), 2000.0, 50);
    // A store cannot address a control character; an override and a separator it can.
    wav(&recording(&sandbox, "high/b\u{202e}c\u{2028}d.wav"), 2000.0, 51);
    fs::write(recording(&sandbox, "low/cut\u{202e}\u{2028}.wav"), "no audio").unwrap();
    let stored = sandbox.path().join("ecosight-data/extracted_audio/high");
    wav(&stored.join("20260102_030405_x\u{202e}y.wav"), 2000.0, 52);
    wav(&stored.join(TERMINAL), 2000.0, 53);
    let (mut told, mut failed) = (String::new(), String::new());
    for line in [
        &format!("retrain --source recordings {FAST}"),
        &format!("status --why {FAST} --set split.seed=9"),
        "failed",
        "predict recordings",
        "ingest recordings/high --class high --new-class",
        "storage ls -r extracted_audio",
        "storage ls",
        "storage du",
        "verify",
        "embed recordings --embedder logmel --out rows.parquet",
        "runs show",
        "doctor",
    ] {
        let ran = sandbox.run(line);
        assert_plain(line, &ran);
        told.push_str(&ran.stdout);
        told.push_str(&ran.stderr);
        if line == "failed" {
            failed = ran.stdout;
        }
    }
    for escape in ["\\u{202e}", "\\u{2028}"] {
        assert!(told.contains(escape), "no {escape} in {told}");
    }
    assert!(failed.contains("bad_name") && failed.contains("cut\\u{202e}\\u{2028}.wav"), "{failed}");
    // JSON has its own escapes, and the exact names.
    let document = sandbox.json("failed");
    let uris: Vec<&str> = document["failed"].as_array().unwrap().iter().filter_map(|row| row["uri"].as_str()).collect();
    assert!(uris.contains(&"low/cut\u{202e}\u{2028}.wav"), "{uris:?}");
}

#[test]
fn control_characters_in_arguments_and_labels_reach_no_terminal() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    let rows = (0..10).flat_map(|n| {
        [format!("recordings/high/{n}.wav,\"high\u{1b}[31m\u{202e}\"\n"), format!("recordings/low/{n}.wav,low\n")]
    });
    fs::write(sandbox.path().join("clips.csv"), format!("uri,label\n{}", rows.collect::<String>())).unwrap();
    let line = format!("retrain --source clips.csv {FAST}");
    assert_plain(&line, &sandbox.run(&line));
    assert_plain("models list", &sandbox.run("models list"));
    for arguments in [["predict", TERMINAL], ["--\u{1b}[31m", "x"], ["retrain", "--source=\u{9b}31m\nstored  fake"]] {
        let output = sandbox.command("").args(arguments).output().unwrap();
        let ran = crate::support::ran(&output);
        assert_ne!(ran.code, 0);
        assert_plain(&format!("{arguments:?}"), &ran);
    }
}

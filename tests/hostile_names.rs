//! Names that other people chose: what would control a terminal is shown as an escape, and what a spreadsheet would compute is text.

use std::fs;
use std::path::Path;

use crate::clips::{recording, recordings, wav};
use crate::support::{Ran, Sandbox};

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1 --set pipeline.max_failed=0.5";

/// Sets the title of the window, rings, begins a line that looks like one of `ingest`, and turns the direction of the rest of the line.
const TERMINAL: &str = "a\u{1b}]0;title\u{7}\nstored  fake\u{202e}.wav";

/// What a spreadsheet would compute.
const FORMULA: &str = "=1+1.wav";

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
    for arguments in [
        ["predict", TERMINAL],
        ["--\u{1b}[31m", "x"],
        ["predict", "--\u{1b}[31m\nstored  fake=x"],
        ["graph", "--format=\nstored  fake"],
        ["x\nstored  fake", "x"],
        ["retrain", "--source=\u{9b}31m\nstored  fake"],
    ] {
        let output = sandbox.command("").args(arguments).output().unwrap();
        let ran = crate::support::ran(&output);
        assert_ne!(ran.code, 0);
        assert_plain(&format!("{arguments:?}"), &ran);
    }
}

/// The lines of a file of the sandbox.
fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn formulas_in_csv_files_are_text_and_come_back() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    // A path that begins with a formula, and a label that begins with one behind a quote.
    for number in 0..10 {
        wav(&sandbox.path().join(format!("=high{number}.wav")), 2000.0, number);
        wav(&sandbox.path().join(format!("low{number}.wav")), 300.0, number + 100);
    }
    let rows = (0..10).map(|n| format!("=high{n}.wav,'=high\nlow{n}.wav,@low\n"));
    fs::write(sandbox.path().join("clips.csv"), format!("uri,label\n{}", rows.collect::<String>())).unwrap();
    sandbox.ok(&format!("retrain --source clips.csv {FAST}"));

    sandbox.ok("review --n 20 --out next.csv");
    let written = lines(&sandbox.path().join("next.csv"));
    assert!(written.len() > 5, "{written:?}");
    assert!(written.iter().any(|line| line.starts_with("'=high") && line.contains(",''=high,")), "{written:?}");
    assert!(!written.iter().any(|line| line.split(',').any(|cell| cell.starts_with(['=', '@']))), "{written:?}");

    // Filled in by copying a label of the file, without the identity, so that path and label both have to be found.
    let of = |row: &str, label: &str| {
        let mut cells: Vec<&str> = row.split(',').collect();
        (cells[7], cells[8]) = (label, "");
        cells.join(",")
    };
    let high: Vec<String> =
        written.iter().filter(|line| line.starts_with("'=high")).map(|row| of(row, "'@low")).collect();
    fs::write(sandbox.path().join("filled.csv"), format!("{}\n{}\n", written[0], high[..2].join("\n"))).unwrap();
    let imported = sandbox.json("review --import filled.csv");
    assert_eq!((&imported["read"], &imported["corrected"]), (&2.into(), &2.into()), "{imported}");

    sandbox.ok("review --n 20 --out raw.csv --raw-csv");
    let raw = lines(&sandbox.path().join("raw.csv"));
    assert!(raw.iter().any(|line| line.starts_with("=high")), "{raw:?}");
    let low = raw.iter().find(|line| line.starts_with("low")).map(|row| of(row, "'=high")).unwrap();
    fs::write(sandbox.path().join("filled.csv"), format!("{}\n{low}\n", raw[0])).unwrap();
    assert_eq!(sandbox.json("review --import filled.csv --raw-csv")["corrected"], 1);

    fs::write(sandbox.path().join(FORMULA), "no audio").unwrap();
    let output = sandbox.command("predict --out rows.csv").args([FORMULA, "=high0.wav", "low0.wav"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let predicted = lines(&sandbox.path().join("rows.csv"));
    assert!(predicted[1].starts_with("'=high0.wav,") && predicted[2].starts_with("low0.wav,"), "{predicted:?}");
    assert!(predicted[0].contains(",''=high") && predicted[0].contains("'@low"), "{predicted:?}");
    assert!(sandbox.ok("predict =high0.wav --format csv --raw-csv").stdout.contains("\n=high0.wav,"));
}

#[test]
fn more_threads_than_the_limit_are_refused_at_once() {
    let sandbox = Sandbox::new();
    for jobs in ["20000", "18446744073709551615"] {
        let ran = sandbox.run(&format!("status -j {jobs}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("`--jobs {jobs}` is more than the limit of")), "{}", ran.stderr);
    }
    assert_ne!(sandbox.run("doctor -j 64").code, 2);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_files_to_read() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    sandbox.ok(&format!("retrain -q --source recordings {FAST}"));
    let pipes = ["pipe", "pipe.csv"].map(|name| sandbox.path().join(name));
    assert!(std::process::Command::new("mkfifo").args(pipes).status().unwrap().success());
    for line in [
        "status --config pipe",
        "status --config /dev/zero",
        "review --import pipe",
        "review --import /dev/zero",
        "status --source pipe.csv",
        "predict pipe",
        "weights import pipe",
    ] {
        let ran = sandbox.run(line);
        assert!(ran.code != 0 && ran.stderr.contains("no regular file"), "{line}: {} {}", ran.code, ran.stderr);
    }
    // What an earlier version wrote there.
    let corrections = sandbox.path().join("ecosight-data/corrections.csv");
    std::os::unix::fs::symlink("/dev/zero", corrections).unwrap();
    let ran = sandbox.run("status");
    assert!(ran.code != 0 && ran.stderr.contains("no regular file"), "{} {}", ran.code, ran.stderr);
}

#[test]
fn options_and_the_word_for_no_class_are_no_classes() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    for class in ["-x", "--", "none"] {
        let ran = sandbox
            .command("ingest --new-class recordings/high/0.wav")
            .arg(format!("--class={class}"))
            .output()
            .unwrap();
        assert_ne!(ran.status.code(), Some(0), "{class}");
        assert!(!sandbox.path().join("ecosight-data/extracted_audio").join(class).exists(), "{class}");
    }
    fs::rename(recording(&sandbox, "low"), recording(&sandbox, "none")).unwrap();
    let ran = sandbox.run(&format!("retrain --source recordings {FAST}"));
    assert!(ran.code == 1 && ran.stderr.contains("a class is called `none`"), "{} {}", ran.code, ran.stderr);
    assert!(!sandbox.path().join("ecosight-data/tables/embed").exists(), "before anything expensive");
}

#[cfg(unix)]
#[test]
fn a_link_in_a_circle_puts_out_the_link_and_not_the_source() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    symlink("self", recording(&sandbox, "high/self")).unwrap();
    symlink(recording(&sandbox, ""), recording(&sandbox, "low/up")).unwrap();
    let told = "2 link(s) that lead to themselves or to a folder above them are left out";
    for line in [
        &format!("retrain --source recordings {FAST}"),
        "predict recordings",
        "embed recordings --embedder logmel --out rows.parquet",
    ] {
        let ran = sandbox.run(line);
        assert!(ran.code == 0 && ran.stderr.matches(told).count() == 1, "{line}: {} {}", ran.code, ran.stderr);
    }
}

#[test]
fn clocks_that_were_not_set_are_told() {
    let sandbox = Sandbox::new();
    for number in 0..12 {
        wav(&recording(&sandbox, &format!("high/202603{:02}_070509.wav", number + 1)), 2000.0, number);
        wav(&recording(&sandbox, &format!("low/202604{:02}_070509.wav", number + 1)), 300.0, number + 100);
    }
    wav(&recording(&sandbox, "high/19700101_000007.wav"), 2000.0, 50);
    wav(&recording(&sandbox, "low/20991231_235959.wav"), 300.0, 51);
    let ran = sandbox.run(&format!("retrain --source recordings --set split.group_by=day {FAST}"));
    assert!(
        ran.stderr.contains("2 clip(s) were recorded before 2000 or after tomorrow"),
        "{} {}",
        ran.code,
        ran.stderr
    );
}

#[test]
fn an_endpoint_with_a_query_is_refused_and_not_shown() {
    let sandbox = Sandbox::new();
    for endpoint in
        ["http://127.0.0.1:9000/?token=hidden", "http://user:hidden@127.0.0.1", "127.0.0.1:9000?token=hidden"]
    {
        for line in ["storage status", "doctor", "storage ls"] {
            let ran =
                sandbox.command(line).env("S3_ENDPOINT_URL", endpoint).env("S3_BUCKET", "clips").output().unwrap();
            let told = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
            assert!(ran.status.code() != Some(0) && !told.contains("hidden"), "{line}: {told}");
        }
    }
}

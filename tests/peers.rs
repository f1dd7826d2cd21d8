//! Comparisons with other runtimes (`tests/peers/compare`), each in its smallest instance: that they still end with figures of ours.
//!
//! Those that build examples and benches run where `ECOSIGHT_PEERS` is set, as `.ci/run` does. Beside ours only those peers take part that the tests' own
//! Python has.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::python::python;
use crate::support::{measured, repository, skipped};

/// A comparison that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(5);

/// Command line, name of the figure, and how the rows of ours are called.
type Comparison = (&'static str, &'static str, &'static str);

/// Those of the program itself, which the tests have built.
const OF_THE_PROGRAM: [Comparison; 2] = [
    ("pipeline --rounds 1 --clips 60 --precision f32 --set augment.variants=1 --ours-only", "wall_s", "ecosight"),
    ("planning --rounds 1 --clips 40 --ours-only", "wall_s", "ecosight"),
];

/// Those that build something.
const OF_ITS_PARTS: [Comparison; 4] = [
    (
        "yamnet --rounds 1 --seconds 0.2 --threads 1 --batch 8 --precision f32 --peers ecosight,onnxruntime",
        "patches_per_s",
        "ecosight",
    ),
    ("frontend --rounds 1 --seconds 0.2 --peers ecosight,soundfile+soxr", "items_per_s", "ecosight"),
    ("head --rounds 1 --rows 600 --peers ecosight", "seconds", "ecosight"),
    ("bucket --rounds 1 --listed 200 --fetched 20 --ours-only", "objects_per_s", ""),
];

#[test]
fn comparisons_of_the_program_end_with_figures_of_ours() {
    expect_figures(&OF_THE_PROGRAM);
}

#[test]
fn comparisons_of_its_parts_end_with_figures_of_ours() {
    if std::env::var_os("ECOSIGHT_PEERS").is_none() {
        return skipped("comparisons that build something run where ECOSIGHT_PEERS is set");
    }
    expect_figures(&OF_ITS_PARTS);
}

fn expect_figures(comparisons: &[Comparison]) {
    let Some(python) = python() else { return };
    // The folder of the environment.
    let environment = python.ancestors().nth(2).unwrap();
    for &(line, figure, name) in comparisons {
        let begun = Instant::now();
        let rows = compare(environment, line);
        measured(&format!("`compare {line}` took {:.0} s", begun.elapsed().as_secs_f64()));
        let ours: Vec<&Value> =
            rows.iter().filter(|row| row["runtime"].as_str().is_some_and(|of| of.starts_with(name))).collect();
        assert!(!ours.is_empty(), "`compare {line}` has no row of ours: {rows:?}");
        for row in ours {
            match row["skipped"].as_str() {
                // There are no recordings or weights.
                Some(why) if why.starts_with("no ") => skipped(&format!("`compare {line}`: {why}")),
                Some(why) => panic!("`compare {line}`: {why}"),
                None => assert!(row[figure].as_f64().is_some_and(|value| value > 0.0), "`compare {line}`: {row}"),
            }
        }
    }
}

/// The rows of a comparison.
fn compare(environment: &Path, line: &str) -> Vec<Value> {
    let (out, errors) = (tempfile::tempfile().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut process = Command::new(repository().join("tests/peers/compare"))
        .args(line.split_whitespace())
        .arg("--json")
        .env("ECOSIGHT_PEERS_VENV", environment)
        .env("ECOSIGHT_BINARY", env!("CARGO_BIN_EXE_ecosight"))
        .env_remove("ECOSIGHT_DATA_ROOT")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(errors.reopen().unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LIMIT {
            // With all that it has started.
            let group = format!("-{}", process.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
            panic!("`compare {line}` does not end:\n{}", std::fs::read_to_string(errors.path()).unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = read_all(out);
    assert!(status.success(), "`compare {line}` failed:\n{}", std::fs::read_to_string(errors.path()).unwrap());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read_all(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

//! What each stage makes of fixed recordings, beside the version of the stage that made it.
//!
//! Rows are kept and reused by the version of the stage that made them. Where a change to the program changes what a stage makes, its version
//! must be raised, or old rows pass for new ones. `ECOSIGHT_UPDATE_GOLDEN=1` writes `fixtures/golden_stages.json` anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::EmbedReader;
use serde_json::{Value, json};

use crate::clips::{RATE, recording, write_wav};
use crate::roots::document;
use crate::support::{Sandbox, repository};

/// Figures may differ by this much between processors.
const TOLERANCE: f64 = 1e-3;

/// Three classes of triangle waves in noise. Whole numbers only, so that the bytes are the same everywhere.
fn write_recordings(sandbox: &Sandbox) {
    for (class, (name, period)) in [("low", 80), ("middle", 27), ("high", 9)].into_iter().enumerate() {
        for number in 0..10 {
            let mut noise = (class as u32 * 1000 + number).wrapping_mul(2_654_435_761) | 1;
            let loudness = 400 * (number as i32 + 2);
            let sample = |i: u32| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = ((i % (period + number)) * 2).abs_diff(period + number) as i32;
                (wave * loudness / period as i32 + (noise >> 18) as i32 - 8192) as i16
            };
            let samples: Vec<i16> = (0..RATE * 3 / 2 + number * 500).map(sample).collect();
            write_wav(&recording(sandbox, &format!("{name}/{number}.wav")), &samples);
        }
    }
}

/// What each stage has made.
fn outputs(sandbox: &Sandbox) -> BTreeMap<&'static str, Value> {
    let outcome = sandbox.json(
        "retrain --source recordings --set embed.embedder=logmel --set augment.variants=11 --set audit.allow_leak=true",
    );
    let root = sandbox.path().join("ecosight-data");
    let columns = |stage: &str| {
        let mut columns = document(&root.join(format!("index/{stage}.json")))["columns"].clone();
        // It holds the time of the file.
        columns.as_object_mut().unwrap().remove("etag");
        columns
    };
    let predicted = sandbox.json("predict recordings");
    let predicted: Vec<&Value> =
        predicted["rows"].as_array().unwrap().iter().map(|row| &row["probabilities"]).collect();
    BTreeMap::from([
        ("manifest", columns("manifest")),
        ("split", columns("split")),
        ("augment", columns("augment")),
        ("embed", json!({ "columns": columns("embed"), "rows": embeddings(&root) })),
        ("audit", columns("audit")),
        ("train", rounded(&json!(predicted), 3)),
        ("evaluate", rounded(&outcome["metrics"], 6)),
        ("publish", json!(outcome["published"])),
    ])
}

/// Clips whose embeddings are kept.
const CLIPS: usize = 3;

/// Mean, and some of the values, of the first patch of every variant of some clips that have all variants.
fn embeddings(root: &Path) -> Value {
    let mut units = BTreeMap::new();
    for run in EmbedReader::open(&Layout::new(root)).unwrap() {
        let (unit, patches) = run.unwrap();
        let dim = patches.embeddings.len() / patches.len();
        let first: Vec<f64> = patches.embeddings[..dim].iter().copied().map(f64::from).collect();
        let mean = first.iter().sum::<f64>() / dim as f64;
        let some = first.iter().step_by(dim / 4).copied();
        let values: Vec<f64> = std::iter::once(mean).chain(some).collect();
        units.insert(format!("{} {}", unit.clip_id, unit.variant), json!([patches.len(), values]));
    }
    let has_all = |id: &String| units.contains_key(&format!("{id} 11"));
    let ids: BTreeSet<String> = units.keys().map(|unit| unit[..32].to_owned()).filter(has_all).collect();
    let kept: Vec<&String> = ids.iter().take(CLIPS).collect();
    let is_kept = |unit: &String| kept.iter().any(|id| unit.starts_with(*id));
    let some: BTreeMap<&String, &Value> = units.iter().filter(|(unit, _)| is_kept(unit)).collect();
    assert_eq!(some.len(), CLIPS * 12);
    rounded(&json!(some), 3)
}

/// All numbers rounded to so many decimals.
fn rounded(value: &Value, decimals: i32) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let scale = 10f64.powi(decimals);
            json!((number.as_f64().unwrap() * scale).round() / scale)
        }
        Value::Array(values) => values.iter().map(|value| rounded(value, decimals)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), rounded(value, decimals))).collect())
        }
        other => other.clone(),
    }
}

/// The file: a line for each stage, and within it for each of its fields.
fn text(stages: &[Value]) -> String {
    let line = |stage: &Value| {
        let output = &stage["output"];
        let fields = output.as_object().into_iter().flatten();
        let fields: Vec<String> = fields.map(|(name, value)| format!("    {}: {value}", json!(name))).collect();
        let output = if fields.is_empty() { output.to_string() } else { format!("{{\n{}\n  }}", fields.join(",\n")) };
        format!("  {{\"stage\": {}, \"version\": {}, \"output\": {output}}}", stage["stage"], stage["version"])
    };
    format!("[\n{}\n]\n", stages.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

/// Where the two differ by more than the tolerance.
fn difference(at: &str, old: &Value, new: &Value) -> Option<String> {
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            ((a - b).abs() > TOLERANCE * a.abs().max(1.0)).then(|| format!("{at}: {a} → {b}"))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(n, (a, b))| difference(&format!("{at}[{n}]"), a, b))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(name, a)| difference(&format!("{at}.{name}"), a, &b[name]))
        }
        _ => (old != new).then(|| format!("{at}: {old} → {new}")),
    }
}

#[test]
fn no_stage_makes_anything_else_without_a_new_version() {
    let sandbox = Sandbox::new();
    write_recordings(&sandbox);
    let mut outputs = outputs(&sandbox);
    let path: PathBuf = repository().join("tests/fixtures/golden_stages.json");
    let found: Vec<Value> = ecosight_stages::ALL
        .iter()
        .map(|stage| {
            let output = outputs.remove(stage.name).unwrap_or_else(|| panic!("`{}` has no golden output", stage.name));
            json!({ "stage": stage.name, "version": stage.version, "output": output })
        })
        .collect();
    if std::env::var_os("ECOSIGHT_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text(&found)).unwrap();
        return;
    }
    let golden = document(&path);
    let again = "then write the file anew: ECOSIGHT_UPDATE_GOLDEN=1";
    // The first that differs is the one: those behind it only follow.
    for (old, new) in golden.as_array().unwrap().iter().zip(&found) {
        let stage = new["stage"].as_str().unwrap();
        assert_eq!(old["stage"], stage, "there are other stages; check them, {again}");
        let differs = difference(stage, &old["output"], &new["output"]);
        let (before, now) = (&old["version"], &new["version"]);
        match differs {
            None => assert_eq!(before, now, "`{stage}` has a new version; {again}"),
            Some(what) if before == now => panic!(
                "the output of `{stage}` is not what its version {now} made ({what}); if that is meant, raise `version` in \
                 `stages/src/{stage}.rs`, or else rows of before pass for rows of now; {again}"
            ),
            Some(what) => panic!("`{stage}` has the new version {now} ({what}); {again}"),
        }
    }
    assert_eq!(golden.as_array().unwrap().len(), found.len(), "there are other stages; check them, {again}");
}

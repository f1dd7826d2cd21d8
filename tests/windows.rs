//! Short events in long recordings: trained on marked spans, found where they are.

use std::fs;

use crate::clips::{RATE, write_wav};
use crate::support::Sandbox;

const RETRAIN: &str = "retrain --source recordings/manifest.csv --set embed.embedder=logmel --set augment.variants=1 \
                       --set audit.neighbours=0 --set train.window=1";

/// Length of a recording and of an event, s. What needs no weights hears ten seconds at a time.
const LONG_S: f64 = 60.0;
const EVENT_S: f64 = 20.0;

/// Where the event of a recording begins, s.
fn event(number: u32) -> f64 {
    10.0 * f64::from(1 + number % 3)
}

fn recording(number: u32) -> Vec<i16> {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(99);
    let sample = |i: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 16) / 65_536.0 - 0.5;
        let t = f64::from(i) / f64::from(RATE);
        let is_event = (event(number)..event(number) + EVENT_S).contains(&t);
        let hz = if is_event { 2000.0 } else { 300.0 } * (1.0 + 0.02 * f64::from(number % 7));
        ((std::f64::consts::TAU * hz * t).sin() * 6000.0 + noise * 2000.0) as i16
    };
    (0..(LONG_S * f64::from(RATE)) as u32).map(sample).collect()
}

#[test]
fn events_are_found_where_they_are() {
    let sandbox = Sandbox::new();
    let mut csv = "uri,label,recording_id,fold,start_s,end_s\n".to_owned();
    for number in 0..15 {
        write_wav(&sandbox.path().join(format!("recordings/{number}.wav")), &recording(number));
        let (start, end) = (event(number), event(number) + EVENT_S);
        let fold = ["train", "val", "test"][number as usize % 3];
        for (label, from, to) in [("bird", start, end), ("hum", 0.0, start), ("hum", end, LONG_S)] {
            csv.push_str(&format!("{number}.wav,{label},r{number},{fold},{from},{to}\n"));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();

    let outcome = sandbox.json(RETRAIN);
    assert!(outcome["gate"]["passed"].as_bool().unwrap(), "{outcome:#}");
    let test = &outcome["metrics"]["test"];
    // A clip counts once, however many windows it has.
    assert_eq!(test["n"], 15, "{test}");
    assert!(test["accuracy"].as_f64().unwrap() > 0.9, "{test}");
    assert!(sandbox.ok(RETRAIN).stdout.contains("up to date"));

    let found = sandbox.json("predict recordings/5.wav --windows");
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    let (start, end) = (event(5), event(5) + EVENT_S);
    for row in rows {
        let [from, to] = ["start_s", "end_s"].map(|key| row[key].as_f64().unwrap());
        let expected = match () {
            () if from >= start && to <= end => "bird",
            () if to <= start || from >= end => "hum",
            () => continue,
        };
        assert_eq!(row["predicted"], expected, "{from} to {to}");
    }
    let folds = sandbox.json(&format!("evaluate --cv --groups 3 {}", &RETRAIN[8..]));
    assert_eq!(folds["metrics"]["n"], 45, "clips are counted, not windows");
    let units = outcome["counts"]["embed"]["units"].as_u64().unwrap();
    // Each clip and its variant.
    let of_clips = 2 * 45;
    assert_eq!((&folds["computed"], &folds["reused"]), (&(of_clips - units).into(), &units.into()));
    let whole = sandbox.run("models export production --onnx whole.onnx --with-embedder");
    assert_eq!(whole.code, 1, "{}", whole.stderr);
    sandbox.ok("runs report");
    sandbox.ok("review --n 5 --out next.csv");
}

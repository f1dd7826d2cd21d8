//! Sites, devices and days that the split keeps together, and sides that go by time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, Side, SliceRow, SoundRow, SplitRow, read_file, read_rows};

use crate::clips::{RATE, recordings, write_wav};
use crate::support::Sandbox;

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1 --set audit.neighbours=0";

/// Recordings of two classes at five sites, on as many days, as their manifest and as the names of the files tell.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 20);
    let mut csv = "uri,label,site,device,recorded_at\n".to_owned();
    for number in 0..20 {
        for class in ["high", "low"] {
            let name = format!("{class}/202603{:02}_07{number:02}00.WAV", number % 5 + 1);
            let at = |name: &str| sandbox.path().join("recordings").join(name);
            fs::rename(at(&format!("{class}/{number}.wav")), at(&name)).unwrap();
            csv.push_str(&format!(
                "{name},{class},site {},d{},2026-04-{:02}\n",
                number % 5,
                number % 3,
                number % 4 + 1
            ));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();
    sandbox
}

/// The clips with what the split has made of them.
fn split(sandbox: &Sandbox) -> Vec<(ClipRow, SplitRow)> {
    let layout = Layout::new(sandbox.path().join("ecosight-data"));
    let clips: Vec<ClipRow> = read_rows(&layout.table("manifest")).unwrap();
    let rows: Vec<SplitRow> = read_rows(&layout.table("split")).unwrap();
    clips.into_iter().zip(rows).inspect(|(clip, row)| assert_eq!(clip.clip_id, row.clip_id)).collect()
}

/// The sides of each group, which must be one.
fn sides(rows: &[(ClipRow, SplitRow)]) -> BTreeMap<String, Side> {
    let mut sides = BTreeMap::new();
    for (_, row) in rows {
        assert_eq!(*sides.entry(row.group_id.clone()).or_insert(row.side), row.side, "{row:?}");
    }
    assert_eq!(sides.values().collect::<BTreeSet<_>>().len(), 3, "{sides:?}");
    sides
}

#[test]
fn a_site_is_on_one_side_and_left_out_as_a_whole() {
    let sandbox = sandbox();
    let by_site = format!("--source recordings/manifest.csv {FAST} --set split.group_by=site");
    let outcome = sandbox.json(&format!("retrain {by_site}"));
    assert_eq!(outcome["counts"]["split"]["groups"], 5, "{outcome}");
    let names: Vec<String> = sides(&split(&sandbox)).into_keys().collect();
    assert_eq!(names, ["site 0", "site 1", "site 2", "site 3", "site 4"]);
    // Intervals resample sites, not the dozens of recordings, and say when there are too few.
    let train = &outcome["metrics"]["train"];
    assert_eq!((&train["ci95"]["unit"], &train["ci95"]["groups"]), (&"site".into(), &3.into()), "{train}");
    assert!(outcome["metrics"]["test"]["ci95"].is_null(), "the test side is one site");
    let shown = sandbox.ok("runs show").stdout;
    assert!(shown.contains("by 3 sites: too few to rely on"), "{shown}");
    assert!(shown.contains("thresholds and temperature were chosen on these clips"), "{shown}");
    assert!(shown.contains("ECE (15 bins)"), "{shown}");
    assert_eq!(sandbox.run(&format!("status {by_site}")).code, 0);

    let each = sandbox.json(&format!("evaluate --cv --groups each {by_site}"));
    assert_eq!(each["folds"].as_object().unwrap().keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(each["fold_clips"].as_object().unwrap().values().all(|n| n == 8), "{each}");
    assert_eq!((&each["accuracy"], each["accuracy_ci95"].as_array().unwrap().len()), (&1.0.into(), 2));
    let told = sandbox.ok(&format!("evaluate --cv --groups each {by_site}")).stderr;
    assert!(told.contains("leaving out each of 5 sites in turn: 5 trainings"), "{told}");
    // Five sites without a mistake: 0.025^(1/5).
    let ends = &each["metrics"]["ci95"]["accuracy"];
    assert!((ends["low"].as_f64().unwrap() - 0.478_176).abs() < 1e-5 && ends["high"] == 1.0, "{ends}");
    assert_eq!(each["ci95_by"], "by 5 sites");
    let two = sandbox.json(&format!("evaluate --cv --groups 2 {by_site}"));
    assert_eq!(two["folds"].as_object().unwrap().len(), 2);
    let many = sandbox.run(&format!("evaluate --cv --groups 6 {by_site}"));
    assert!(many.code == 1 && many.stderr.contains("there are 5 sites, which do not make 6 folds"), "{}", many.stderr);

    // A class that only one site knows can be held out, but not be trained on without it.
    let path = sandbox.path().join("recordings/manifest.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("low,site 0", "rare,site 0")).unwrap();
    let rare = sandbox.run(&format!("evaluate --cv --groups each {by_site}"));
    assert!(rare.code == 1 && rare.stderr.contains("is held out: `rare` (`site 0`)"), "{}", rare.stderr);
    let outcome = sandbox.json(&format!("retrain --to split {by_site}"));
    assert_eq!(outcome["warnings"], serde_json::json!([]));
    assert_eq!(sides(&split(&sandbox))["site 0"], Side::Train);

    fs::write(&path, text.replace("site 3", "").replace("site 4", "").replace("site 2", "site 1")).unwrap();
    let outcome = sandbox.json(&format!("retrain --to split {by_site}"));
    let warning = outcome["warnings"][0].to_string();
    assert!(warning.contains("16 of 40 clips have no site"), "{warning}");

    // Each recording would stand for a site.
    let nowhere: String = (0..5).fold(text, |text, site| text.replace(&format!(",site {site},"), ",,"));
    fs::write(&path, nowhere).unwrap();
    for groups in ["each", "3"] {
        let none = sandbox.run(&format!("evaluate --cv --groups {groups} {by_site}"));
        assert!(
            none.code == 1 && none.stderr.contains("no clip has a site, so no site can be left out"),
            "{}",
            none.stderr
        );
        assert!(none.stderr.contains("hint: it is told by the column `site`"), "{}", none.stderr);
    }
    let recordings =
        sandbox.ok(&format!("evaluate --cv --groups each {}", by_site.replace("group_by=site", "group_by=recording")));
    assert!(
        recordings.stderr.contains("leaving out each of 40 recordings in turn: 40 trainings"),
        "{}",
        recordings.stderr
    );
}

#[test]
fn days_are_told_by_the_names_of_recorders_and_the_newest_are_tested_on() {
    let sandbox = sandbox();
    let by_time = format!("retrain --to split --source recordings {FAST} --set split.by=time --set split.group_by=day");
    let outcome = sandbox.json(&format!("{by_time} --set split.train=0.6 --set split.val=0.2 --set split.test=0.2"));
    assert_eq!(outcome["warnings"], serde_json::json!([]), "{outcome}");
    let expected = ["train", "train", "train", "val", "test"];
    for (day, expected) in (1..).zip(expected) {
        assert_eq!(sides(&split(&sandbox))[&format!("2026-03-{day:02}")].word(), expected);
    }
    // The column goes before the name.
    sandbox.ok(&by_time.replace("--source recordings", "--source recordings/manifest.csv"));
    let days: Vec<String> = sides(&split(&sandbox)).into_keys().collect();
    assert_eq!(days, ["2026-04-01", "2026-04-02", "2026-04-03", "2026-04-04"]);
    for n in 0..20 {
        for class in ["high", "low"] {
            let at = |name: &str| sandbox.path().join("recordings").join(class).join(name);
            fs::rename(at(&format!("202603{:02}_07{n:02}00.WAV", n % 5 + 1)), at(&format!("{n}.wav"))).unwrap();
        }
    }
    let none = sandbox.run(&by_time);
    assert!(none.code == 1 && none.stderr.contains("0 different ones are known of 40 clips"), "{}", none.stderr);
    assert!(none.stderr.contains("hint: a time is told by the column `recorded_at`"), "{}", none.stderr);
}

/// Two seconds of noise with a tone in the first half, or less than one with a tone throughout.
fn write_tone(path: &std::path::Path, hz: f64, number: u32, is_long: bool) {
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let sample = |i: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let tone = (std::f64::consts::TAU * hz * f64::from(i) / f64::from(RATE)).sin() * 9000.0;
        let noise = f64::from(state >> 16) / 65_536.0 * 2000.0 - 1000.0;
        (if i < RATE { tone + noise } else { noise }) as i16
    };
    let samples = if is_long { 2 * RATE } else { RATE * 4 / 5 };
    write_wav(path, &(0..samples).map(sample).collect::<Vec<i16>>());
}

#[test]
fn figures_are_told_by_site_length_and_noise_with_their_intervals() {
    let sandbox = Sandbox::new();
    let mut csv = "uri,label,fold,site\n".to_owned();
    for number in 0..30 {
        for (class, hz) in [("high", 2000.0), ("low", 300.0)] {
            let name = format!("{}/{class}{number}.wav", number % 2);
            let is_long = number / 3 % 2 == 0;
            let hz = hz * (1.0 + f64::from(number) / 100.0);
            write_tone(
                &sandbox.path().join("recordings").join(&name),
                hz,
                number * 2 + u32::from(hz < 1000.0),
                is_long,
            );
            let (fold, site) =
                (["train", "val", "test"][number as usize % 3], if number < 15 { "north" } else { "south" });
            csv.push_str(&format!("{name},{class},{fold},{site}\n"));
        }
    }
    fs::write(sandbox.path().join("recordings/manifest.csv"), csv).unwrap();
    let ran = sandbox.json(&format!("retrain --source recordings/manifest.csv {FAST}"));
    let found = sandbox.json(&format!("evaluate --source recordings/manifest.csv {FAST}"));
    let told = |slice: &serde_json::Value| {
        assert!(slice["accuracy_low"].as_f64() <= slice["accuracy"].as_f64(), "{slice}");
        format!("{} {}: {}", slice["by"].as_str().unwrap(), slice["slice"].as_str().unwrap(), slice["clips"])
    };
    let slices: Vec<String> = found["slices"].as_array().unwrap().iter().map(told).collect();
    let expected = [
        "source 0: 10",
        "source 1: 10",
        "site north: 10",
        "site south: 10",
        "duration below 1 s: 10",
        "duration 1 to 3 s: 10",
        "signal to noise below 0 dB: 10",
        "signal to noise 20 to 30 dB: 10",
    ];
    assert_eq!(slices, expected);
    assert_eq!(found["test"]["n"], 20);

    let root = sandbox.path().join("ecosight-data");
    let model = root.join("models").join(ran["model"].as_str().unwrap());
    assert_eq!(read_file::<SliceRow>(&model.join("slices.parquet")).unwrap().len(), 8);
    let heard: Vec<SoundRow> = read_file(&root.join("index/sounds.parquet")).unwrap();
    assert_eq!(heard.len(), 60, "every clip was measured when it was decoded");
    assert!(heard.iter().all(|row| row.duration_s > 0.7 && row.snr_db.is_some()));
    let card = fs::read_to_string(model.join("MODEL_CARD.md")).unwrap();
    assert!(
        card.contains("| clips of | train | val | test |\n") && card.contains("| site: north | 10 | 10 | 10 |"),
        "{card}"
    );
    assert!(card.contains("site: south") && card.contains("signal to noise: below 0 dB"), "{card}");
    let page = root.join("runs").join(ran["run_id"].as_str().unwrap()).join("report.html");
    assert!(fs::read_to_string(page).unwrap().contains("id=\"slices\""));
}

//! Sites, devices and days that the split keeps together, and sides that go by time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, Side, SplitRow, read_rows};

use crate::clips::recordings;
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
    assert_eq!(sandbox.run(&format!("status {by_site}")).code, 0);

    let each = sandbox.json(&format!("evaluate --cv --groups each {by_site}"));
    assert_eq!(each["folds"].as_object().unwrap().keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(each["fold_clips"].as_object().unwrap().values().all(|n| n == 8), "{each}");
    assert_eq!((&each["accuracy"], each["accuracy_ci95"].as_array().unwrap().len()), (&1.0.into(), 2));
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

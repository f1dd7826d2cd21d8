//! When a retrain trains, holds back, and stops: with the default policy (`train.min_samples` 100, `publish.max_loss` 10 %).

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::clips::{recording, wav};
use crate::roots::document;
use crate::support::{Ran, Sandbox};

/// The clips are so simple that the audit takes some for copies of others; the policy is the default one.
const RETRAIN: &str =
    "retrain --source recordings --set embed.embedder=logmel --set augment.variants=1 --set audit.neighbours=0";

/// Clips of each class.
const CLIPS: u32 = 12;

const CLASSES: [(&str, f64); 3] = [("high", 2000.0), ("low", 300.0), ("mid", 800.0)];

fn add(sandbox: &Sandbox, class: &str, number: u32) -> PathBuf {
    let (place, (_, hz)) = CLASSES.iter().enumerate().find(|(_, (name, _))| *name == class).unwrap();
    let path = recording(sandbox, &format!("{class}/{number}.wav"));
    wav(&path, *hz, number + 1000 * place as u32);
    path
}

/// Three classes, and a model in production.
fn trained() -> (Sandbox, Value) {
    // What the other tests set so that a handful of clips is enough.
    let sandbox = Sandbox::with_env(vec![("MIN_NEW_SAMPLES".to_owned(), String::new())]);
    for (class, _) in CLASSES {
        (0..CLIPS).for_each(|number| drop(add(&sandbox, class, number)));
    }
    let outcome = sandbox.json(RETRAIN);
    assert_eq!(outcome["published"], true, "{outcome}");
    (sandbox, outcome)
}

fn production(sandbox: &Sandbox) -> Value {
    document(&sandbox.path().join("ecosight-data/models/production.json"))["version"].clone()
}

/// A run that stops because of what the source has lost; its record.
fn refused(sandbox: &Sandbox, line: &str) -> (Ran, Value) {
    let before = production(sandbox);
    let ran = sandbox.run(line);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("hint: put them back") && ran.stderr.contains("--allow-loss"), "{}", ran.stderr);
    assert_eq!(production(sandbox), before, "nothing is published");
    let record = sandbox.json("runs show last");
    assert!(!record["stages"].to_string().contains("\"train\""), "nothing is trained: {record}");
    (ran, record["loss"].clone())
}

#[test]
fn a_class_that_is_gone_stops_the_run_and_heals_when_it_is_back() {
    let (sandbox, first) = trained();
    let [here, elsewhere] = ["recordings/mid", "elsewhere"].map(|name| sandbox.path().join(name));
    fs::rename(&here, &elsewhere).unwrap();
    let (ran, loss) = refused(&sandbox, RETRAIN);
    assert!(
        ran.stderr.contains("class `mid` and 12 of 36 known recordings (33.3 %) are gone: `mid/0.wav`"),
        "{}",
        ran.stderr
    );
    assert_eq!((&loss["classes"][0], &loss["lost"], &loss["known"]), (&"mid".into(), &12.into(), &36.into()));
    let run = format!("ecosight-data/runs/{}/events.jsonl", sandbox.json("runs show last")["run_id"].as_str().unwrap());
    let events = fs::read_to_string(sandbox.path().join(run)).unwrap();
    assert!(events.contains("\"event\":\"lost\""), "{events}");
    let status = sandbox.run(&format!("{} --why", RETRAIN.replace("retrain", "status"))).stdout;
    assert!(status.contains("the run would stop before it trains") && status.contains("class `mid`"), "{status}");
    // The next scheduled run stops as well, and `--force` is about work, not about loss.
    refused(&sandbox, RETRAIN);
    refused(&sandbox, &format!("{RETRAIN} --force=train"));

    fs::rename(&elsewhere, &here).unwrap();
    let back = sandbox.json(RETRAIN);
    assert_eq!((&back["model"], production(&sandbox)), (&first["model"], first["model"].clone()));
    assert_eq!(sandbox.json("models list").as_array().unwrap().len(), 1, "the same model is trained on the same clips");
    assert_eq!(sandbox.run(&RETRAIN.replace("retrain", "status")).code, 0);
}

#[test]
fn a_loss_that_is_allowed_is_recorded_and_a_class_that_is_back_trains_at_once() {
    let (sandbox, _) = trained();
    let [here, elsewhere] = ["recordings/mid", "elsewhere"].map(|name| sandbox.path().join(name));
    fs::rename(&here, &elsewhere).unwrap();
    let allowed = sandbox.json(&format!("{RETRAIN} --allow-loss"));
    assert_eq!(allowed["published"], true);
    let gate = allowed["gate"].to_string();
    assert!(
        gate.contains("class `mid` and 12 of 36 known recordings") && gate.contains("allowed (`--allow-loss`)"),
        "{gate}"
    );
    let page = format!("ecosight-data/runs/{}/report.html", allowed["run_id"].as_str().unwrap());
    assert!(fs::read_to_string(sandbox.path().join(page)).unwrap().contains("12 of 36 known recordings"));

    fs::rename(&elsewhere, &here).unwrap();
    let back = sandbox.json(RETRAIN);
    assert!(back["skipped"].as_object().unwrap().is_empty(), "12 recordings of a new class are not held back: {back}");
    assert_eq!(sandbox.json("models show")["model"]["classes"].as_array().unwrap().len(), 3);
}

#[test]
fn more_than_a_tenth_of_the_recordings_stops_the_run_and_less_does_not() {
    let (sandbox, _) = trained();
    let remove = |numbers: std::ops::Range<u32>| {
        numbers.for_each(|number| fs::remove_file(recording(&sandbox, &format!("high/{number}.wav"))).unwrap());
    };
    remove(0..3);
    let fewer = sandbox.json(RETRAIN);
    assert!(fewer["loss"]["lost"] == 3 && fewer["gate"].to_string().contains("3 of 36 known recordings (8.3 %)"));
    // What the new model was trained beside counts from here on.
    remove(3..7);
    let (_, loss) = refused(&sandbox, RETRAIN);
    assert_eq!((&loss["lost"], &loss["known"]), (&4.into(), &33.into()));
    let more = sandbox.json(&format!("{RETRAIN} --set publish.max_loss=0.5"));
    assert_eq!(more["published"], true);
}

#[test]
fn a_source_that_lists_nothing_any_more_stops_the_run_and_forgets_nothing() {
    let (sandbox, _) = trained();
    let [here, elsewhere] = ["recordings", "elsewhere"].map(|name| sandbox.path().join(name));
    fs::rename(&here, &elsewhere).unwrap();
    fs::create_dir(&here).unwrap();
    let (ran, loss) = refused(&sandbox, RETRAIN);
    assert!(ran.stderr.contains("36 of 36 known recordings (100.0 %)"), "{}", ran.stderr);
    assert_eq!(loss["classes"].as_array().unwrap().len(), 3);
    // That it is allowed does not make recordings to train on.
    assert_eq!(sandbox.run(&format!("{RETRAIN} --allow-loss")).code, 1);
    fs::remove_dir(&here).unwrap();
    fs::rename(&elsewhere, &here).unwrap();
    assert!(sandbox.ok(RETRAIN).stdout.contains("is up to date"));
}

#[test]
fn only_too_few_new_recordings_are_held_back() {
    let (sandbox, first) = trained();
    let mut next = 100;
    // Each run finds one new recording and something else.
    let mut run = |change: &dyn Fn(), more: &str| {
        add(&sandbox, "low", next);
        next += 1;
        change();
        sandbox.json(&format!("{RETRAIN} {more}"))
    };
    let trains = |outcome: &Value, what: &str| {
        assert!(outcome["skipped"].as_object().unwrap().is_empty(), "{what}: {outcome}");
        assert_eq!(outcome["published"], true, "{what}: {outcome}");
    };
    let held_back = run(&|| {}, "");
    let why = held_back["skipped"]["train"].as_str().unwrap();
    assert!(why.starts_with("1 new recording since the model in production, 100 are needed"), "{why}");
    assert_eq!(held_back["model"], first["model"]);
    assert_eq!(held_back["measured"]["run_id"], first["run_id"], "the figures are those of the first run");
    let status = sandbox.ok(&RETRAIN.replace("retrain", "status")).stdout;
    assert!(status.contains("nothing is done: 1 new recording") && !status.contains("up to date"), "{status}");

    trains(
        &run(
            &|| {
                let id = clip_id(&sandbox, "high/3.wav");
                fs::write(
                    sandbox.path().join("ecosight-data/corrections.csv"),
                    format!("clip_id,label,uri\n{id},low,high/3.wav\n"),
                )
                .unwrap();
            },
            "",
        ),
        "a corrected label",
    );
    trains(&run(&|| fs::remove_file(recording(&sandbox, "high/4.wav")).unwrap(), ""), "a clip that is gone");
    trains(
        &run(
            &|| {
                fs::rename(recording(&sandbox, "mid"), recording(&sandbox, "middle")).unwrap();
            },
            "",
        ),
        "a renamed class",
    );
    assert!(sandbox.json("models show")["model"]["classes"].to_string().contains("middle"));
    trains(&run(&|| {}, "--set train.l2=3.0"), "a setting of the head");
    trains(&run(&|| {}, "--set train.l2=3.0 --set augment.variants=2"), "a setting of another stage");
    let same = run(&|| {}, "--set train.l2=3.0 --set augment.variants=2");
    assert!(same["skipped"]["train"].is_string(), "{same}");
}

#[test]
fn what_is_held_back_can_be_evaluated_and_another_minimum_makes_nothing_stale() {
    let (mut sandbox, _) = trained();
    let status = RETRAIN.replace("retrain", "status");
    sandbox.set("MIN_NEW_SAMPLES", "7");
    assert_eq!(sandbox.run(&status).code, 0, "a variable of the shell decides when to train, not what is made");
    (100..103).for_each(|number| drop(add(&sandbox, "low", number)));
    assert!(sandbox.json(RETRAIN)["skipped"]["train"].is_string());
    let uses = || sandbox.json("models show")["test_uses"].as_array().unwrap().len();
    assert_eq!(uses(), 1);
    let evaluated = sandbox.json(&format!("{RETRAIN} --force=evaluate"));
    assert_eq!((uses(), &evaluated["measured"]), (2, &Value::Null), "the figures are those of this run");
    assert_eq!(sandbox.run(&status).code, 0);
    // Fewer are needed now: what was held back is enough.
    sandbox.set("MIN_NEW_SAMPLES", "3");
    let why = sandbox.run(&format!("{status} --why"));
    assert!(
        why.code == 3 && why.stdout.contains("3 new recordings were held back, and 3 are enough"),
        "{}",
        why.stdout
    );
    assert!(sandbox.json(RETRAIN)["skipped"].as_object().unwrap().is_empty());
    assert_eq!((sandbox.run(&status).code, sandbox.json("models list").as_array().unwrap().len()), (0, 2));
}

#[test]
fn a_pinned_model_stays_in_production_until_it_is_unpinned() {
    let (mut sandbox, first) = trained();
    sandbox.set("ECOSIGHT_USER", "ann");
    assert_eq!(sandbox.run("models unpin").stdout, "no model was pinned\n");
    let pinned = sandbox.ok("models pin --reason trial").stdout;
    assert!(pinned.contains("by ann (trial)"), "{pinned}");
    for flag in ["--set train.l2=3.0", "--set train.l2=5.0 --force-publish"] {
        let outcome = sandbox.json(&format!("{RETRAIN} {flag}"));
        assert_ne!(outcome["model"], first["model"], "it is trained, evaluated and judged");
        assert!(outcome["gate"].is_object() && outcome["published"] == false, "{outcome}");
        assert!(outcome["skipped"]["publish"].as_str().unwrap().contains("is pinned since"), "{outcome}");
        assert_eq!(production(&sandbox), first["model"]);
    }
    let idle = sandbox.ok(&format!("{RETRAIN} --set train.l2=5.0")).stdout;
    assert!(idle.contains("is up to date") && idle.contains("models unpin"), "{idle}");
    let promote = sandbox.run("models promote candidate");
    assert!(promote.code == 1 && promote.stderr.contains("models unpin"), "{}", promote.stderr);

    sandbox.ok("models unpin");
    let published = sandbox.json(&format!("{RETRAIN} --set train.l2=5.0 --reason over"));
    assert_eq!((&published["published"], production(&sandbox)), (&true.into(), published["model"].clone()));
    sandbox.ok("models rollback --reason worse");
    let history = sandbox.json("models history");
    let told: Vec<[&str; 3]> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|step| ["by", "user", "reason"].map(|key| step[key].as_str().unwrap_or("")))
        .collect();
    let expected =
        [["rollback", "ann", "worse"], ["publish", "ann", "over"], ["unpin", "ann", ""], ["pin", "ann", "trial"]];
    assert_eq!(told[..4], expected);
    let shown = sandbox.ok("models show").stdout;
    assert!(shown.contains("rolled back by ann: worse"), "{shown}");
}

fn clip_id(sandbox: &Sandbox, uri: &str) -> String {
    let document = sandbox.json("review --out all.csv --n 100");
    assert!(document["clips"].is_array());
    let csv = fs::read_to_string(sandbox.path().join("all.csv")).unwrap();
    let row = csv.lines().find(|line| line.starts_with(uri)).unwrap_or_else(|| panic!("no {uri} in {csv}"));
    row.rsplit(',').next().unwrap().to_owned()
}

//! Setting up: the pipeline file, what is in force, the checks of the machine, completion in the shell.

use std::fs;

use serde_json::Value;

use crate::support::Sandbox;

/// What the values in force come from, by their keys.
fn origins(document: &Value) -> Vec<(&str, &str)> {
    let entries = document.as_array().unwrap().iter();
    entries.map(|entry| (entry["key"].as_str().unwrap(), entry["from"].as_str().unwrap())).collect()
}

#[test]
fn a_new_pipeline_file_changes_nothing_until_a_line_is_uncommented() {
    let sandbox = Sandbox::new();
    let (before, graph) = (sandbox.json("config --show"), sandbox.ok("graph").stdout);
    assert!(sandbox.ok("init").stderr.contains("ecosight.toml"));
    assert_eq!((sandbox.json("config"), sandbox.ok("graph").stdout), (before, graph));

    let path = sandbox.path().join("ecosight.toml");
    let text = fs::read_to_string(&path).unwrap();
    for shown in ["[stages.split]", "#l2 = \"auto\"", "#embedder = \"yamnet\"", "{inputs} {output}", "--config FILE"] {
        assert!(text.contains(shown), "{shown} is missing in\n{text}");
    }
    fs::write(&path, text.replace("#l2 = \"auto\"", "l2 = 0.5")).unwrap();
    let document = sandbox.json("config");
    let mine: Vec<_> = origins(&document).into_iter().filter(|(_, from)| *from == "ecosight.toml").collect();
    assert_eq!(mine, [("stages.train.l2", "ecosight.toml")]);
}

#[test]
fn a_pipeline_file_is_not_overwritten_unless_that_is_asked_for() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("ecosight.toml"), "mine").unwrap();
    let refused = sandbox.run("init");
    assert!(refused.code == 2 && refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(sandbox.path().join("ecosight.toml")).unwrap(), "mine");
    sandbox.ok("init --force");
    assert_eq!(sandbox.json("init other.toml")["file"], "other.toml");
    sandbox.ok("graph --config other.toml");
    let read = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap();
    assert_eq!(read("ecosight.toml"), read("other.toml"));
}

#[test]
fn every_value_in_force_names_where_it_comes_from() {
    let sandbox = Sandbox::new();
    let effects = "[stages.augment.effects]\nquiet = [{ step = \"gain\", factor = 0.5 }]";
    let mine = format!("[stages.train]\nl2 = 0.5\nseed = 7\n[stages.augment]\nvariants = 1\n{effects}");
    fs::write(sandbox.path().join("mine.toml"), mine).unwrap();
    let line = "config --show --config mine.toml --set train.l2=0.01 --set embed.embedder=logmel";
    let text = sandbox.ok(line).stdout;
    let has = |key: &str, from: &str| text.lines().any(|l| l.starts_with(&format!("{key} ")) && l.ends_with(from));
    assert!(has("stages.train.l2 = 0.01", "   (--set train.l2=0.01)"), "{text}");
    assert!(has("stages.train.seed = 7", "   (mine.toml)"), "{text}");
    assert!(has("stages.split.seed = 42", "   (built-in)"), "{text}");
    let document = sandbox.json(line);
    let effects: Vec<_> = origins(&document).into_iter().filter(|(key, _)| key.contains("effects")).collect();
    assert_eq!(effects, [("stages.augment.effects.quiet", "mine.toml")]);
    let l2 = document.as_array().unwrap().iter().find(|entry| entry["key"] == "stages.train.l2").unwrap();
    assert_eq!(l2["value"], 0.01);
    // A pipeline with mistakes is printed all the same: that is when one wants to know.
    let wrong = sandbox.run("config --set train.l2=x");
    assert!(wrong.code == 2 && wrong.stdout.contains("stages.train.l2 = \"x\""), "{}", wrong.stdout);
    assert!(wrong.stderr.contains("expected a number, or \"auto\""), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("ecosight config --show"), "{}", wrong.stderr);
}

/// State and text of one check.
fn finding<'a>(document: &'a Value, check: &str) -> (&'a str, &'a str) {
    let mut findings = document["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["check"] == check).unwrap();
    (finding["state"].as_str().unwrap(), finding["found"].as_str().unwrap())
}

fn doctor(sandbox: &Sandbox, line: &str) -> (i32, Value) {
    let ran = sandbox.run(&format!("doctor --json {line}"));
    let document = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e} in\n{}{}", ran.stdout, ran.stderr));
    (ran.code, document)
}

#[test]
fn a_doctor_on_a_new_machine_names_what_to_do_and_makes_nothing() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run("doctor");
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    for expected in ["ok    processor", "fail  weights", "fix: `ecosight weights fetch`", "warn  source", "warn  model"]
    {
        assert!(ran.stdout.contains(expected), "{expected} is missing in\n{}", ran.stdout);
    }
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 0, "something was made");
    // Without YAMNet there is nothing that needs weights.
    let (code, document) = doctor(&sandbox, "--set embed.embedder=logmel");
    assert_eq!((code, finding(&document, "weights").0), (0, "warn"));
    assert_eq!(document["state"], "warn");
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_demo() {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    let (code, document) = doctor(&sandbox, "--data-root ecosight-demo --set embed.embedder=logmel");
    assert_eq!(code, 0, "{document:#}");
    for check in ["data root", "lock", "configuration", "source", "model"] {
        assert_eq!(finding(&document, check).0, "ok", "{document:#}");
    }
    assert!(finding(&document, "source").1.starts_with("5 folders"), "{document:#}");
    let lock = fs::File::open(sandbox.path().join("ecosight-demo/.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(finding(&doctor(&sandbox, "--data-root ecosight-demo").1, "lock").0, "warn");
}

#[test]
fn a_doctor_goes_on_whatever_it_meets() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("ecosight.toml"), "[stages.train]\nl2 = 'x'\n[stages.splitt]\n").unwrap();
    fs::create_dir_all(sandbox.path().join("root/models")).unwrap();
    for file in ["root/models/production.json", "root/.last_run.json", "root/.lock"] {
        fs::write(sandbox.path().join(file), "{").unwrap();
    }
    fs::create_dir_all(sandbox.path().join("cache/weights/yamnet")).unwrap();
    fs::write(sandbox.path().join("cache/weights/yamnet/current.json"), "{").unwrap();
    let (code, document) = doctor(&sandbox, "--data-root root");
    assert_eq!(code, 1);
    let logmel = doctor(&sandbox, "--data-root root --set embed.embedder=logmel").1;
    assert_eq!(finding(&logmel, "weights").0, "warn", "one stage's mistake hides another stage's parameters");
    for check in ["configuration", "weights", "source", "model"] {
        assert_eq!(finding(&document, check).0, "fail", "{document:#}");
    }
    let configuration = finding(&document, "configuration").1;
    assert!(configuration.contains("stages.train.l2") && configuration.contains("stages.splitt"), "{configuration}");
    fs::write(sandbox.path().join("file"), "").unwrap();
    let (code, document) = doctor(&sandbox, "--data-root file/below --source nowhere");
    assert_eq!(code, 1);
    assert_eq!((finding(&document, "data root").0, finding(&document, "source").0), ("fail", "fail"), "{document:#}");
}

#[test]
fn damaged_weights_are_found_and_fetched_anew() {
    let sandbox = Sandbox::new();
    let (folder, hash) = (sandbox.path().join("cache/weights/yamnet"), "a".repeat(64));
    fs::create_dir_all(&folder).unwrap();
    let current = serde_json::json!({ "schema_version": 1, "content_hash": hash });
    let mut record = current.clone();
    for (key, value) in [("source", "x"), ("source_sha256", "x"), ("imported_at", "x")] {
        record[key] = value.into();
    }
    (record["source_bytes"], record["official"]) = (1.into(), true.into());
    fs::write(folder.join("current.json"), current.to_string()).unwrap();
    fs::write(folder.join(format!("{hash}.json")), record.to_string()).unwrap();
    assert_eq!(sandbox.json("weights list")["current"], hash.as_str(), "the record is sound");
    let (_, document) = doctor(&sandbox, "");
    assert_eq!(finding(&document, "weights").0, "fail", "{document:#}");
    let fetch = sandbox.run("weights fetch --url http://127.0.0.1:9/yamnet.h5");
    assert!(fetch.code != 0 && !fetch.stderr.contains("already there"), "{}", fetch.stderr);
}

#[test]
fn every_shell_can_complete_the_verbs() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.ok(&format!("completions {shell}")).stdout;
        assert!(script.contains("ecosight") && script.contains("retrain"), "{shell}");
    }
    assert_eq!(sandbox.run("completions csh").code, 2);
}

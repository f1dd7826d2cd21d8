//! Looking after a data root: its runs, its failed clips, what can be removed, and whether all of it is still what was written.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ran, Sandbox, embed_parts, table_digests};

const RETRAIN: &str = "retrain --source clips --set embed.embedder=logmel --set augment.variants=1";

/// The labelled clips of a demo in `clips/`, and nothing else.
fn with_clips() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    fs::rename(sandbox.path().join("ecosight-demo/extracted_audio"), sandbox.path().join("clips")).unwrap();
    fs::remove_dir_all(sandbox.path().join("ecosight-demo")).unwrap();
    sandbox
}

fn root(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("ecosight-data")
}

/// Cuts the first clip of the demo in half, and gives its path below the source.
fn cut_a_clip(sandbox: &Sandbox) -> String {
    let source = sandbox.path().join("clips");
    let class = first(&source);
    let clip = first(&class);
    let whole = fs::read(&clip).unwrap();
    fs::write(&clip, &whole[..whole.len() / 2]).unwrap();
    clip.strip_prefix(source).unwrap().to_string_lossy().into_owned()
}

/// The first by name of what lies in a folder.
fn first(folder: &Path) -> PathBuf {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).min().unwrap()
}

/// Changes a byte in the middle of a file, which keeps its size and its time.
fn damage(file: &Path) {
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    fs::File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e} in\n{}{}", ran.stdout, ran.stderr))
}

fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[test]
fn a_data_root_that_is_not_there_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::new();
    for verb in ["runs list", "failed", "failed --retry", "gc --yes", "verify", "verify --repair"] {
        let ran = sandbox.run(&format!("{verb} --data-root nowhere"));
        assert!(ran.code == 2 && ran.stderr.contains("hint: name it with `--data-root`"), "{verb}: {}", ran.stderr);
    }
    assert!(!sandbox.path().join("nowhere").exists());
    // One without anything in it is in order.
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    for verb in ["runs list", "failed", "failed --retry", "gc --yes", "verify", "verify --repair"] {
        sandbox.ok(&format!("{verb} --data-root empty"));
    }
}

#[test]
fn runs_are_listed_shown_and_compared() {
    let sandbox = with_clips();
    sandbox.ok(RETRAIN);
    sandbox.ok(&format!("{RETRAIN} --set train.l2=0.5 --set augment.variants=0"));
    fs::write(first(&sandbox.path().join("clips")).join("bad.wav"), b"RIFF....WAVEfmt ").unwrap();
    assert_eq!(sandbox.run(&format!("{RETRAIN} --set pipeline.max_failed=0.0")).code, 5);
    let killed = root(&sandbox).join("runs/20000101-000000-dead");
    fs::create_dir(&killed).unwrap();
    fs::write(killed.join("events.jsonl"), "{\"event\":\"stage_started\",\"stage\":\"manifest\",\"why\":\"x\"}\n{")
        .unwrap();

    let runs = sandbox.json("runs list");
    let exits = texts(&runs, "exit");
    assert_eq!(exits[1..], ["ok", "ok", "killed or still running"], "{runs:#}");
    assert!(exits[0].contains("stage `embed` stopped"), "{}", exits[0]);
    assert_eq!(runs[1]["test_accuracy"], 1.0);
    assert!(runs[2]["rows_computed"].as_u64() > runs[1]["rows_computed"].as_u64(), "{runs:#}");
    let ids = texts(&runs, "run_id");
    let text = sandbox.ok("runs list").stdout;
    assert!(text.contains("killed or still running") && text.contains(ids[1]), "{text}");

    assert_eq!(sandbox.json("runs show")["run_id"], ids[0]);
    assert_eq!(sandbox.json("runs show last~1")["run_id"], ids[1]);
    assert_eq!(sandbox.json("runs show 2000")["run_id"], ids[3]);
    let shown = sandbox.ok(&format!("runs show {}", ids[2])).stdout;
    for expected in
        ["ecosight_version", "embed ran because there is no record of it", "accuracy", "CPU seconds", "(in production)"]
    {
        assert!(shown.contains(expected), "{expected} is missing in\n{shown}");
    }
    assert!(sandbox.ok("runs show 2000").stdout.contains("manifest  stopped"));
    for (line, expected) in [("runs show 2", "runs begin with `2`"), ("runs show 19", "there is no run `19`")] {
        let ran = sandbox.run(line);
        assert!(ran.code == 2 && ran.stderr.contains(expected) && ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    assert_eq!(sandbox.run("runs show last~9").code, 2);

    let difference = sandbox.json("runs diff last~2 last~1");
    assert_eq!(texts(&difference["parameters"], "name"), ["augment.variants", "train.l2"]);
    assert_eq!((&difference["parameters"][1]["a"], &difference["parameters"][1]["b"]), (&"auto".into(), &0.5.into()));
    let embed = difference["rows"].as_array().unwrap().iter().find(|row| row["name"] == "embed").unwrap();
    assert!(embed["difference"].as_i64().unwrap() < 0, "{embed}");
    assert!(texts(&difference["metrics"], "name").contains(&"test accuracy"));
    assert_eq!(document(&sandbox.ok("runs diff last~2 last~1 --format json")), difference);
    let markdown = sandbox.ok("runs diff last~2 last~1 --format md").stdout;
    assert!(markdown.contains("| train.l2 | auto | 0.5 |  |\n"), "{markdown}");
    assert!(markdown.lines().all(|line| line.starts_with("| ") || line.starts_with("|---")), "{markdown}");
    let text = sandbox.ok("runs diff last~2 last~1").stdout;
    assert!(text.contains("train.l2") && text.contains("test accuracy"), "{text}");
}

#[test]
fn a_run_that_finds_nothing_to_do_leaves_no_record_and_gc_keeps_that_of_the_model_in_production() {
    let sandbox = with_clips();
    let first = sandbox.json(RETRAIN);
    assert_eq!(first["is_recorded"], true);
    for _ in 0..3 {
        let idle = sandbox.json(RETRAIN);
        assert_eq!((&idle["is_recorded"], &idle["exit"]), (&false.into(), &"ok".into()));
    }
    assert!(sandbox.ok(RETRAIN).stdout.contains("not recorded, as nothing was done"));
    let ids = || texts(&sandbox.json("runs list"), "run_id").into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(ids(), [first["run_id"].as_str().unwrap()]);
    assert_eq!(fs::read_dir(root(&sandbox).join("runs")).unwrap().count(), 1);

    // A run that does something, and one that fails, are recorded.
    sandbox.ok(&format!("{RETRAIN} --force=evaluate"));
    fs::rename(sandbox.path().join("clips"), sandbox.path().join("away")).unwrap();
    fs::create_dir(sandbox.path().join("clips")).unwrap();
    assert_ne!(sandbox.run(RETRAIN).code, 0);
    assert_eq!(ids().len(), 3);

    let found = sandbox.json("gc --keep-runs 0 --yes");
    let kept = texts(&found["kept"], "path");
    assert_eq!(kept.iter().filter(|path| path.starts_with("runs/")).count(), 2, "{found:#}");
    let left = ids();
    assert!(left.len() == 2 && left.iter().any(|id| first["run_id"] == id.as_str()), "{left:?}");
    // The last run that there is a record of.
    assert_eq!(sandbox.json("runs show")["run_id"], left[0].as_str());
    assert!(sandbox.ok("runs report").stdout.contains(&left[0]));
}

#[test]
fn failed_clips_are_listed_exported_and_tried_again_when_asked_for() {
    let sandbox = with_clips();
    let bad = cut_a_clip(&sandbox);
    fs::write(sandbox.path().join("clips/empty.wav"), b"").unwrap();
    let line = format!("{RETRAIN} --set pipeline.max_failed=0.2");
    sandbox.ok(&line);

    let listed = sandbox.json("failed");
    assert_eq!(
        (&listed["codes"]["truncated"], listed["failed"].as_array().unwrap().len()),
        (&1.into(), 2),
        "{listed:#}"
    );
    let text = sandbox.ok("failed").stdout;
    assert!(text.contains(&bad) && text.trim_end().ends_with("1 truncated"), "{text}");
    for file in ["failed.csv", "failed.json", "failed.parquet"] {
        sandbox.ok(&format!("failed --export {file}"));
        assert!(fs::metadata(sandbox.path().join(file)).unwrap().len() > 20, "{file}");
    }
    let csv = fs::read_to_string(sandbox.path().join("failed.csv")).unwrap();
    assert!(csv.starts_with("uri,stage,code,message,clip_id\n") && csv.contains(&bad), "{csv}");
    let unknown = sandbox.run("failed --export failed.xlsx");
    assert!(unknown.code == 2 && unknown.stderr.contains(".parquet"), "{}", unknown.stderr);

    let status = |sandbox: &Sandbox, outcome: &Value| {
        let stage = outcome["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "embed").unwrap();
        assert_eq!(sandbox.json("failed")["failed"].as_array().unwrap().len(), 2);
        (stage["status"].as_str().unwrap().to_owned(), stage["rows"]["new"].as_u64().unwrap())
    };
    assert_eq!(status(&sandbox, &sandbox.json(&line)).0, "fresh", "a bad clip is not tried again by itself");
    assert!(sandbox.ok("failed --retry").stderr.contains("`ecosight retrain` tries these 2 again"));
    assert_eq!(status(&sandbox, &sandbox.json(&line)), ("ok".to_owned(), 0));
    assert_eq!(status(&sandbox, &sandbox.json(&line)).0, "fresh");
}

#[test]
fn only_what_nothing_needs_is_removed_and_only_when_asked_for() {
    let sandbox = with_clips();
    for l2 in ["1.0", "0.5", "0.25", "0.125"] {
        sandbox.ok(&format!("{RETRAIN} --set train.l2={l2}"));
    }
    let line = format!("{RETRAIN} --set augment.variants=0");
    let model = sandbox.json(&line)["model"].as_str().unwrap().to_owned();
    let root = root(&sandbox);
    let put = |path: &str| {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), vec![0; 1000]).unwrap();
    };
    let removable = [
        "tables/split/.a1b2c3.tmp",
        ".staging/embed/other-v9-f32/part-0.parquet",
        ".staging/embed/logmel-v1-f32/.1.tmp",
        ".staging/split/part-00000.parquet",
        "models/.model-x/head.safetensors",
        "retired/damaged/tables/split/part-00000.parquet",
    ];
    let kept = [".staging/embed/logmel-v1-f32/part-0.parquet", ".staging/train/checkpoint/7.safetensors"];
    removable.iter().chain(&kept).for_each(|path| put(path));
    let digests = table_digests(&root);

    let found = sandbox.json("gc --keep 1 --keep-runs 2");
    let paths = texts(&found["removable"], "path");
    let expected = |prefix: &str| paths.iter().filter(|path| path.starts_with(prefix)).count();
    assert_eq!((expected("retired/embed/embedder="), expected("runs/")), (1, 3), "{found:#}");
    // In production, and before it.
    assert_eq!(expected("models/2"), 3, "{found:#}");
    assert!(found["bytes"].as_u64().unwrap() > 6000 && found["removed"] == false);
    let mut stays = texts(&found["kept"], "path");
    stays.sort_unstable();
    assert_eq!(stays, [".staging/embed/logmel-v1-f32", ".staging/train/checkpoint"]);
    let text = sandbox.ok("gc --keep 1 --keep-runs 2");
    assert!(text.stdout.contains("can be removed") && text.stderr.contains("`ecosight gc --yes`"), "{}", text.stderr);
    assert!(removable.iter().all(|path| root.join(path).exists()), "something was removed");

    sandbox.ok("gc --keep 1 --keep-runs 2 --yes");
    assert!(!removable.iter().any(|path| root.join(path).exists()), "something was not removed");
    assert!(kept.iter().all(|path| root.join(path).exists()), "something that is needed was removed");
    assert!(!root.join("retired").exists() && root.join("models").join(model).is_dir());
    let again = sandbox.ok("gc --keep 1 --keep-runs 2 --yes");
    assert!(again.stderr.contains("there is nothing to remove"), "{}{}", again.stdout, again.stderr);
    assert_eq!((table_digests(&root), sandbox.json("runs list").as_array().unwrap().len()), (digests, 2));
    sandbox.ok("status --source clips --set embed.embedder=logmel --set augment.variants=0");
    sandbox.ok("verify");
}

#[cfg(unix)]
#[test]
fn gc_does_not_follow_links_out_of_the_data_root() {
    use std::os::unix::fs::symlink;
    let sandbox = with_clips();
    let root = root(&sandbox);
    let outside = sandbox.path().join("clips");
    let count = || fs::read_dir(&outside).unwrap().count();
    let before = count();
    for folder in ["retired/embed", "models", "runs"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for link in ["retired/embed/embedder=x", "models/.model-x", "runs/20000101-000000-dead", ".staging"] {
        symlink(&outside, root.join(link)).unwrap();
    }
    let done = sandbox.json("gc --yes --keep 0 --keep-runs 0");
    assert_eq!(done["removable"], serde_json::json!([]), "{done:#}");
    assert_eq!(done["kept"].as_array().unwrap().len(), 3, "{done:#}");
    assert_eq!(count(), before);
}

#[test]
fn damage_that_shows_in_no_size_and_no_time_is_found_and_mended() {
    let sandbox = with_clips();
    let model = sandbox.json(RETRAIN)["model"].as_str().unwrap().to_owned();
    let root = root(&sandbox);
    let digests = table_digests(&root);
    let sound = sandbox.json("verify");
    // The model with its files, its pointers and the history.
    assert!(sound["by_part"]["models"]["ok"].as_u64().is_some_and(|n| n > 10), "{sound:#}");
    assert_eq!(sound["wrong"], serde_json::json!([]));

    damage(&embed_parts(&root)[0]);
    damage(&root.join("tables/manifest/part-00000.parquet"));
    damage(&root.join("index/embed.parquet"));
    damage(&root.join(format!("models/{model}/head.safetensors")));
    fs::write(root.join("tables/split/part-copy.parquet"), b"x").unwrap();
    fs::remove_file(root.join("tables/augment/part-00000.parquet")).unwrap();
    let found = sandbox.run("verify --json");
    assert_eq!(found.code, 1);
    let found = document(&found);
    let healths: Vec<_> = found["wrong"].as_array().unwrap().iter().map(|w| w["health"].as_str().unwrap()).collect();
    let count = |health: &str| healths.iter().filter(|h| **h == health).count();
    // The head of the model is wrong as a file, and the model with it.
    assert_eq!([count("damaged"), count("missing"), count("unknown")], [5, 1, 1], "{found:#}");
    let text = sandbox.run("verify");
    assert!(text.code == 1 && text.stderr.contains("hint: `ecosight verify --repair`"), "{}", text.stderr);

    let repaired = sandbox.ok("verify --repair");
    assert!(repaired.stderr.contains("hint: `ecosight retrain`"), "{}", repaired.stderr);
    assert!(root.join("retired/damaged/tables/manifest/part-00000.parquet").exists());
    let missing = sandbox.run("verify");
    assert!(missing.code == 1 && missing.stderr.contains("hint: `ecosight retrain`"), "{}", missing.stderr);
    sandbox.ok(RETRAIN);
    assert_eq!(table_digests(&root), digests, "the tables are not what they were");
    sandbox.ok("verify");
    let clip = first(&first(&sandbox.path().join("clips")));
    sandbox.ok(&format!("predict {}", clip.display()));
}

#[test]
fn a_state_a_pointer_and_an_index_that_cannot_be_read_are_mended() {
    let sandbox = with_clips();
    sandbox.ok(RETRAIN);
    let root = root(&sandbox);
    let digests = table_digests(&root);
    fs::write(root.join("index/split.json"), "{").unwrap();
    for file in ["models/production.json", "tables/quarantine/part-00000.parquet", "index/files.parquet"] {
        fs::write(root.join(file), "{").unwrap();
    }
    assert_eq!(sandbox.run("verify").code, 1);
    sandbox.ok("verify --repair");
    sandbox.ok(RETRAIN);
    sandbox.ok("verify");
    assert_eq!(table_digests(&root), digests);
}

#[test]
fn who_changes_the_data_root_waits_for_whoever_writes_it() {
    let sandbox = with_clips();
    cut_a_clip(&sandbox);
    sandbox.ok(RETRAIN);
    fs::write(root(&sandbox).join("tables/.a1b2.tmp"), b"x").unwrap();
    let lock = fs::File::open(root(&sandbox).join(".lock")).unwrap();
    lock.lock().unwrap();
    for line in ["gc --yes", "failed --retry", "verify --repair"] {
        let ran = sandbox.run(line);
        assert!(ran.code == 6 && ran.stderr.contains("when it is done"), "{line}: {}", ran.stderr);
    }
    for line in ["gc", "failed", "verify", "runs list"] {
        sandbox.ok(line);
    }
}

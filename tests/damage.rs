//! Files of a data root that are gone, cut off, or not what was written: noticed, told, made again, and the same as before.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clips::recordings;
use crate::roots::{Contents, busy, contents, document, files};
use crate::support::{Sandbox, embed_parts};

const RETRAIN: &str = "--source recordings --set embed.embedder=logmel --set augment.variants=1";

struct Root {
    sandbox: Sandbox,
    path: PathBuf,
    expected: Contents,
}

impl Root {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        recordings(&sandbox, 10);
        sandbox.ok(&format!("retrain -q {RETRAIN}"));
        let path = sandbox.path().join("ecosight-data");
        let expected = contents(&path);
        Self { sandbox, path, expected }
    }

    /// After the damage `status` names `why`, a run repairs it, and then all is as it was.
    fn expect_repair(&self, what: &str, why: &str) -> Value {
        let status = self.sandbox.run(&format!("status --why {RETRAIN}"));
        assert_eq!(status.code, 3, "{what}: {}{}", status.stdout, status.stderr);
        assert!(status.stdout.contains(why), "{what}: `{why}` is not in\n{}", status.stdout);
        self.expect_whole(what, "")
    }

    fn expect_whole(&self, what: &str, more: &str) -> Value {
        let ran = self.sandbox.run(&format!("retrain --json {RETRAIN} {more}"));
        assert_eq!(ran.code, 0, "{what}: {}", ran.stderr);
        assert_eq!(contents(&self.path), self.expected, "{what}");
        let status = self.sandbox.run(&format!("status {RETRAIN}"));
        assert_eq!(status.code, 0, "{what}: {}", status.stdout);
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

/// Replaces the middle byte; with the time of before where that is to be kept.
fn flip(path: &Path, is_secret: bool) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
    if is_secret {
        fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    }
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// A way to damage a file.
type Way = (&'static str, fn(&Path));

/// Ways to damage a file.
const WAYS: [Way; 3] =
    [("deleted", |path| fs::remove_file(path).unwrap()), ("cut off", cut), ("flipped", |path| flip(path, false))];

#[test]
fn a_damaged_part_of_the_embeddings_is_computed_again() {
    let root = Root::new();
    for (way, damage) in WAYS {
        let part = embed_parts(&root.path).remove(0);
        damage(&part);
        let outcome = root.expect_repair(way, &format!("{}", part.strip_prefix(&root.path).unwrap().display()));
        assert!(outcome["counts"]["embed"]["units"].as_u64().unwrap() > 20, "{way}");
        assert_eq!(busy(&outcome), ["embed"], "{way}: equal rows leave the rest as it is");
        let told = outcome["warnings"].to_string();
        assert!(told.contains("computed again"), "{way}: {told}");
    }
}

#[test]
fn a_part_that_was_changed_in_secret_is_found_when_it_is_read() {
    let root = Root::new();
    flip(&embed_parts(&root.path)[0], true);
    let outcome = root.expect_whole("in secret", "--force=train");
    let told = outcome["warnings"].to_string();
    assert!(told.contains("is damaged; its rows are computed again"), "{told}");
}

#[test]
fn a_damaged_table_is_made_again() {
    let root = Root::new();
    for table in ["manifest", "split", "augment"] {
        for (way, damage) in WAYS {
            damage(&root.path.join(format!("tables/{table}/part-00000.parquet")));
            let what = format!("{table} {way}");
            let outcome = root.expect_repair(&what, &format!("`tables/{table}/part-00000.parquet` is"));
            assert_eq!(busy(&outcome), [table], "{what}");
        }
    }
}

#[test]
fn a_damaged_model_or_pointer_is_made_again() {
    let root = Root::new();
    for file in ["head.safetensors", "class_names.json", "model.json", "candidate.json", "production.json"] {
        for (way, damage) in WAYS {
            let version = document(&root.path.join("models/candidate.json"))["version"].clone();
            let inside = root.path.join("models").join(version.as_str().unwrap()).join(file);
            let path = if inside.exists() { inside } else { root.path.join("models").join(file) };
            damage(&path);
            root.expect_repair(&format!("{file} {way}"), file);
        }
    }
}

#[test]
fn a_damaged_index_is_made_again() {
    let root = Root::new();
    for (way, damage) in WAYS {
        for path in files(&root.path.join("index")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            damage(&path);
            // What is known of the files of the source only saves reading them; what the parts hold they say themselves.
            let outcome = root.expect_whole(&format!("{name} {way}"), "");
            assert!(outcome["counts"]["embed"]["units"].as_u64().is_none_or(|n| n == 0), "{name} {way}: computed");
        }
    }
}

#[test]
fn whole_folders_that_are_gone_are_made_again() {
    let root = Root::new();
    for folder in ["tables/embed", "index", "models", "tables", "runs", ".staging", "retired"] {
        let _ = fs::remove_dir_all(root.path.join(folder));
        root.expect_whole(folder, "");
    }
}

//! What a data root holds at rest, and whether it is what an undisturbed run over the same source makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{Layout, SNAPSHOT};
use ecosight_datasets::snapshot::Snapshot;
use ecosight_datasets::tables::{ClipRow, RecipeRow, Row, SplitRow, column_digests, read_rows};
use serde_json::Value;

use crate::support::{Sandbox, embed_parts, table_digests};

/// Everything that a run has made, without what differs from run to run: the rows of each table, and the model.
pub(crate) type Contents = BTreeMap<String, String>;

/// The contents of a data root at rest; also checks that nothing lies about that no index names.
pub(crate) fn contents(root: &Path) -> Contents {
    let mut contents = table_digests(root);
    contents.extend([("manifest", columns::<ClipRow>(root)), ("split", columns::<SplitRow>(root))].map(named));
    contents.extend([("augment", columns::<RecipeRow>(root)), ("model", model(root))].map(named));
    check_files(root);
    contents
}

/// The data root in the folder of a bucket as a reader finds it who goes by its latest snapshot.
pub(crate) fn as_the_snapshot_says(bucket: &Path) -> tempfile::TempDir {
    let found = tempfile::tempdir().unwrap();
    let root = found.path();
    for folder in ["models", "runs"].into_iter().filter(|folder| bucket.join(folder).exists()) {
        copy(&bucket.join(folder), &root.join(folder));
    }
    for part in Snapshot::read_at(&bucket.join(SNAPSHOT)).unwrap().unwrap().parts() {
        assert!(part.is_whole(bucket).unwrap(), "{part:?}");
        fs::create_dir_all(root.join(&part.name).parent().unwrap()).unwrap();
        fs::copy(bucket.join(&part.path), root.join(&part.name)).unwrap();
    }
    found
}

fn named((name, digest): (&str, String)) -> (String, String) {
    (name.to_owned(), digest)
}

/// Digest of a table, whatever the order of its rows: it is that of the source, from which a renamed file may have moved.
fn columns<R: Row>(root: &Path) -> String {
    let rows: Vec<R> = read_rows(&Layout::new(root).table(R::TABLE.name)).unwrap();
    format!("{:?}", column_digests(&R::batch(&rows).unwrap()))
}

/// The model in production, with its figures.
fn model(root: &Path) -> String {
    let production = document(&root.join("models/production.json"));
    let folder = root.join("models").join(production["version"].as_str().unwrap());
    let head = ContentHash::of_reader(fs::File::open(folder.join("head.safetensors")).unwrap()).unwrap();
    let meta = document(&folder.join("model.json"));
    assert!(meta["metrics"]["test"].is_object(), "{meta}");
    format!("{} {head} {}", meta["digest"], meta["metrics"])
}

/// What an undisturbed run with these settings makes of the source as it is now.
pub(crate) fn undisturbed(sandbox: &Sandbox, settings: &str) -> Contents {
    let root = sandbox.path().join("undisturbed");
    if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    sandbox.ok(&format!("retrain -q --data-root undisturbed {settings}"));
    contents(&root)
}

/// A file of JSON.
pub(crate) fn document(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What a plain glob over the table of embeddings sees is what the index names, and what was under way is gone.
pub(crate) fn check_files(root: &Path) {
    let seen: BTreeSet<PathBuf> = files(&root.join("tables/embed")).into_iter().collect();
    assert_eq!(seen, embed_parts(root).into_iter().collect(), "parts that the index does not name, or the reverse");
    let staged = files(&root.join(".staging"));
    assert!(staged.is_empty() && !root.join(".staging/embed").exists(), "left behind: {staged:?}");
    let hidden = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    for folder in ["tables", "index"] {
        let found = files(&root.join(folder));
        let odd: Vec<_> = found.iter().filter(hidden).collect();
        assert!(odd.is_empty(), "left behind: {odd:?}");
    }
}

/// The files below a folder; none where there is no folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Copies a folder with everything in it, and the times of the files.
#[cfg(unix)]
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// The stages that had something to do.
pub(crate) fn busy(outcome: &Value) -> Vec<&str> {
    let stages = outcome["stages"].as_array().unwrap().iter();
    stages.filter(|stage| stage["status"] != "fresh").map(|stage| stage["stage"].as_str().unwrap()).collect()
}

/// `new`, `changed`, `reused`, `retired` and `failed` rows of a stage.
pub(crate) fn rows(outcome: &Value, stage: &str) -> [u64; 5] {
    let stages = outcome["stages"].as_array().unwrap();
    let found = stages.iter().find(|found| found["stage"] == stage).unwrap();
    ["new", "changed", "reused", "retired", "failed"].map(|name| found["rows"][name].as_u64().unwrap())
}

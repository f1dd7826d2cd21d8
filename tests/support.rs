//! What the end-to-end tests share: the built binary in a folder of its own, and the data that may not be there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ecosight_datasets::key::{ContentHash, KeyHasher};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{EmbedParts, EmbedReader, Patches, Unit};

/// A temporary folder in which the real binary is run, with a cache of its own.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a command left behind.
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self::with_env(Vec::new())
    }

    /// An empty folder in which commands see these variables.
    pub(crate) fn with_env(env: Vec<(String, String)>) -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder"), env }
    }

    /// Sets a variable for the commands from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command line, ready to run; arguments are split at spaces.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecosight"));
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("ECOSIGHT_CACHE_DIR", self.path().join("cache"))
            .env("ECOSIGHT_STATE_DIR", self.path().join("state"))
            // A handful of clips is all that most tests have.
            .env("MIN_NEW_SAMPLES", "0")
            .env_remove("ECOSIGHT_DATA_ROOT");
        // No bucket of whoever runs the tests is ever touched.
        for (name, _) in std::env::vars_os() {
            if ["AWS_", "S3_", "CLOUDFRONT_"].iter().any(|front| name.to_string_lossy().starts_with(front)) {
                command.env_remove(name);
            }
        }
        let nowhere = ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"].map(|name| (name, "/nowhere"));
        command.envs(nowhere).env("AWS_EC2_METADATA_DISABLED", "true").envs(self.env.iter().cloned());
        command
    }

    /// Runs a command line.
    pub(crate) fn run(&self, line: &str) -> Ran {
        ran(&self.command(line).output().expect("the binary starts"))
    }

    /// Runs a command line that must succeed.
    pub(crate) fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "`ecosight {line}` failed:\n{}{}", ran.stdout, ran.stderr);
        ran
    }

    /// Runs a command line with `--json` that must succeed.
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        let ran = self.ok(&format!("{line} --json"));
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("`{line}`: {e} in\n{}", ran.stdout))
    }
}

/// Digest of the rows of every table below a data root, whatever parts they lie in and in whatever order.
pub(crate) fn table_digests(root: &Path) -> BTreeMap<String, String> {
    let layout = Layout::new(root);
    let mut digests = BTreeMap::new();
    for entry in std::fs::read_dir(layout.tables()).expect("there are tables") {
        let name = entry.expect("a readable folder").file_name().to_string_lossy().into_owned();
        let mut rows: Vec<String> = if name == "embed" {
            let row = |(unit, rows): (Unit, Patches)| {
                let key = KeyHasher::new("rows").u64(rows.first.into()).f32s(&rows.embeddings);
                let key = rows.start_s.iter().fold(key, |key, start| key.f64(*start)).finish();
                format!("{} {} {key}", unit.clip_id, unit.variant)
            };
            EmbedReader::open(&layout).expect("a table").map(|run| row(run.expect("whole parts"))).collect()
        } else {
            // The other tables have one part, in the order of the source.
            let part = layout.table(&name).join("part-00000.parquet");
            vec![ContentHash::of_reader(std::fs::File::open(part).expect("a part")).expect("readable").to_string()]
        };
        rows.sort();
        digests.insert(name, rows.iter().fold(KeyHasher::new("table"), |key, row| key.str(row)).finish().to_string());
    }
    digests
}

/// The part files of the table of embeddings.
pub(crate) fn embed_parts(root: &Path) -> Vec<PathBuf> {
    let parts = EmbedParts::read(&Layout::new(root)).expect("readable").expect("a table").parts;
    parts.into_iter().map(|part| root.join(part.file.path)).collect()
}

/// The output of a process as text.
pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Says that a test is skipped, past the test runner, which hides what passing tests print.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Tells a figure that people want to know, past the test runner, which hides what passing tests print.
pub(crate) fn measured(what: &str) {
    let _ = writeln!(std::io::stderr(), "MEASURED: {what}");
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file or folder of the test data, or none, said loudly. With `ECOSIGHT_REQUIRE_DATA` set, the test fails where it is not there.
pub(crate) fn test_data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ECOSIGHT_TEST_DATA").map_or_else(|| repository().join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return std::fs::canonicalize(found).ok();
    }
    let why = format!("no `{path}` in ECOSIGHT_TEST_DATA ({})", root.display());
    assert!(std::env::var_os("ECOSIGHT_REQUIRE_DATA").is_none(), "test data is required here: {why}");
    skipped(&why);
    None
}

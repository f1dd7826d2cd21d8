//! What the end-to-end tests share: the built binary in a folder of its own, and the data that may not be there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary folder in which the real binary is run, with a cache of its own.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
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
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
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
            .env_remove("ECOSIGHT_DATA_ROOT");
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

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file or folder of the test data, or none, said loudly.
pub(crate) fn test_data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ECOSIGHT_TEST_DATA").map_or_else(|| repository().join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return std::fs::canonicalize(found).ok();
    }
    skipped(&format!("no `{path}` in ECOSIGHT_TEST_DATA ({})", root.display()));
    None
}

//! Python for the tests that need it.
//!
//! The virtual environment is made once below the target folder. Where python3 or a package index is missing these tests skip, and say
//! so; with `ECOSIGHT_REQUIRE_PYTHON` set they fail instead.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{ran, repository, skipped};

/// The interpreter of the tests' virtual environment, or none with the reason said loudly.
pub(crate) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| make_environment().map_err(|why| skip(&why)).ok()).as_deref()
}

fn skip(why: &str) {
    assert!(std::env::var_os("ECOSIGHT_REQUIRE_PYTHON").is_none(), "python is required here: {why}");
    skipped(why);
}

fn make_environment() -> Result<PathBuf, String> {
    let requirements = repository().join("tests/requirements.txt");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (python, done) = (folder.join("bin/python"), folder.join("requirements.txt"));
    let wanted = std::fs::read(&requirements).map_err(|e| e.to_string())?;
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").arg("-m").arg("venv").arg("--clear").arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(install).arg(&requirements))?;
    std::fs::write(&done, wanted).map_err(|e| e.to_string())?;
    Ok(python)
}

/// Runs a command that must succeed; what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let ran = ran(&output);
    if ran.code == 0 { Ok(ran.stdout) } else { Err(format!("{command:?} failed:\n{}{}", ran.stdout, ran.stderr)) }
}

//! A browser for the tests that look at pages.
//!
//! Chromium of the system (`apt-get install chromium`), driven by the tests' Python. Where one of them is missing these tests skip, and
//! say so; with `ECOSIGHT_REQUIRE_BROWSER` set they fail instead.

use std::path::Path;
use std::process::Command;

use crate::python::python;
use crate::support::{ran, repository, skipped};

/// Names that Chromium goes by, in the order in which they are tried.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Opens a page in both colour schemes, in a wide and a narrow window, and leaves the screenshots in a folder.
///
/// What is wrong with it, one finding a line; nothing where there is no browser, with the reason said loudly.
pub(crate) fn findings(page: &Path, screenshots: &Path) -> Option<String> {
    let is_there =
        |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let (Some(python), Some(chromium)) = (python(), NAMES.iter().find(is_there)) else {
        assert!(std::env::var_os("ECOSIGHT_REQUIRE_BROWSER").is_none(), "a browser is required here");
        skipped("no Chromium, or no Python to drive it");
        return None;
    };
    let script = repository().join("tests/browser/check.py");
    let output = Command::new(python).arg(script).arg(page).arg(screenshots).args(["--chromium", chromium]).output();
    let ran = ran(&output.expect("python runs"));
    Some((ran.stdout + &ran.stderr).trim().to_owned())
}

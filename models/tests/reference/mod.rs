//! Reading the reference data that the parity tests compare with.

pub(crate) mod npz;
pub(crate) mod seeded;
pub(crate) mod wav;

use std::io::Write as _;
use std::path::PathBuf;

use ecosight_models::frontend::{Framer, Window, Windowing};

/// The folder of reference data (`ECOSIGHT_TEST_DATA`, else `shared` beside the repository); says so when it is not there. With
/// `ECOSIGHT_REQUIRE_DATA` set, the test fails then.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let folder = std::env::var_os("ECOSIGHT_TEST_DATA").map_or_else(|| PathBuf::from(default), PathBuf::from);
    if folder.join("golden").is_dir() && folder.join("weights").is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("ECOSIGHT_REQUIRE_DATA").is_none(),
        "reference data is required here: there is none in `{}`",
        folder.display()
    );
    // Past the test runner, which hides what passing tests print.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {test}: no reference data in `{}`; set ECOSIGHT_TEST_DATA",
        folder.display()
    );
    None
}

/// All windows of a clip.
pub(crate) fn windows(windowing: Windowing, samples: &[f32]) -> Vec<Window> {
    let (mut framer, mut out) = (Framer::new(windowing), Vec::new());
    framer.push(samples, &mut out);
    framer.finish(&mut out);
    out
}

/// Largest absolute difference; infinite when the lengths differ or a value is not finite.
pub(crate) fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() || a.iter().chain(b).any(|value| !value.is_finite()) {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

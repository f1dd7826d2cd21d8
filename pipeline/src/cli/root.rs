//! The data root of a verb that looks after one: it must be there, and nobody else may write it meanwhile.

use ecosight_datasets::store::Place;

use super::error::CliError;
use super::session::{Globals, now};
use crate::engine::{Lock, LockError, RunError};

/// An error where there is no data root: a typing error must not look like an empty one.
pub(crate) fn must_exist(globals: &Globals) -> Result<(), CliError> {
    let is_there = match globals.root() {
        Place::Local(folder) => folder.is_dir(),
        // Its copy was just brought up to date.
        Place::Bucket(_) => globals.layout.index().is_dir() || globals.layout.runs().is_dir(),
    };
    if is_there {
        return Ok(());
    }
    let message = format!("there is no data root `{}`", globals.root());
    Err(CliError::usage(message, "name it with `--data-root`; `ecosight retrain` makes one"))
}

/// Takes the lock.
pub(crate) fn lock(globals: &Globals) -> Result<Lock, CliError> {
    Lock::take(&globals.layout.lock(), now()).map_err(|error| {
        let is_held = matches!(error, LockError::Held { .. });
        let error = CliError::from(RunError::from(error));
        if is_held { error.with_hint("run the same command again when it is done") } else { error }
    })
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

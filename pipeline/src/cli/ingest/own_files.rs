//! Files of the data root itself are not taken in: an empty variable of a shell, or a folder too high up, would file everything under one class.

use std::path::{Path, PathBuf};

use ecosight_datasets::layout::Area;

use crate::cli::audio_paths::Named;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Leaves out the files that lie in an area of the data root; an error where one of `paths` does, or nothing else is left.
pub(super) fn leave_out(
    named: &mut Named,
    paths: &[PathBuf],
    globals: &Globals,
    printer: &Printer,
) -> Result<(), CliError> {
    let root = globals.layout.root();
    let areas = Area::ALL.map(|area| globals.layout.area(area));
    let areas: Vec<PathBuf> = areas.iter().filter_map(|area| area.canonicalize().ok()).collect();
    let is_own = |path: &Path| path.canonicalize().is_ok_and(|path| areas.iter().any(|area| path.starts_with(area)));
    let hint = "name recordings that lie elsewhere; `ecosight storage fix-keys` and `storage reindex` look after those of the data root";
    if let Some(path) = paths.iter().find(|path| is_own(path)) {
        let message = format!(
            "`{}` lies in the data root `{}`, which takes nothing in from itself",
            path.display(),
            root.display()
        );
        return Err(CliError::usage(message, hint));
    }
    let before = named.files.len();
    named.files.retain(|file| !is_own(file));
    let own = before - named.files.len();
    if own > 0 && named.files.is_empty() {
        let message = format!(
            "all {own} audio file(s) lie in the data root `{}`, which takes nothing in from itself",
            root.display()
        );
        return Err(CliError::usage(message, hint));
    }
    if own > 0 {
        printer.warning(&format!("{own} file(s) of the data root `{}` itself were passed over", root.display()));
    }
    Ok(())
}

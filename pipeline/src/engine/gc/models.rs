//! Models that nothing points to.

use std::collections::BTreeSet;

use ecosight_datasets::layout::Layout;
use ecosight_models::artefact::{MODEL_FILE, WEIGHTS_FILE};
use ecosight_stages::StageErrorKind;
use ecosight_stages::train::Pointer;

use super::Garbage;
use crate::engine::files::{below, is_folder, name_of, oldest_first};
use crate::engine::state::known;

/// Lists all models but those in use and the `keep` newest, and what saving a model has left behind. Gives the versions that are kept.
pub(super) fn find(layout: &Layout, keep: usize, garbage: &mut Garbage) -> Result<BTreeSet<String>, StageErrorKind> {
    let folder = layout.models();
    let used = in_use(layout)?;
    if !is_folder(&folder) {
        super::linked(layout, &folder, garbage)?;
        return Ok(used);
    }
    let entries = below(&folder)?;
    for path in entries.iter().filter(|path| name_of(path).starts_with('.')) {
        garbage.remove(layout, path, "a model that a killed run was writing")?;
    }
    let is_model = |path: &&std::path::PathBuf| {
        is_folder(path) && !name_of(path).starts_with('.') && path.join(MODEL_FILE).is_file()
    };
    let models = oldest_first(entries.iter().filter(is_model).cloned().collect(), WEIGHTS_FILE);
    let newest: BTreeSet<String> = models.iter().rev().take(keep).map(|path| name_of(path)).collect();
    for path in &models {
        let version = name_of(path);
        if !used.contains(&version) && !newest.contains(&version) {
            let why = format!("not in production, nor before it, nor the last trained, nor among the {keep} newest");
            garbage.remove(layout, path, why)?;
            continue;
        }
        for file in below(path)?.iter().filter(|file| name_of(file).starts_with('.')) {
            garbage.remove(layout, file, "a file that a killed run was writing")?;
        }
    }
    Ok(used.into_iter().chain(newest).collect())
}

/// The model in production, the one before it, the one trained last, and those whose files a stage has made.
fn in_use(layout: &Layout) -> Result<BTreeSet<String>, StageErrorKind> {
    let mut used = BTreeSet::new();
    if let Some(pointer) = Pointer::read(&layout.production())? {
        used.insert(pointer.version);
        used.extend(pointer.previous);
    }
    used.extend(Pointer::read(&layout.candidate())?.map(|pointer| pointer.version));
    for (_, state) in known(layout)? {
        for file in state.into_iter().flat_map(|state| state.files) {
            let mut parts = file.path.split('/');
            if parts.next() == Some("models") {
                used.extend(parts.next().map(str::to_owned));
            }
        }
    }
    Ok(used)
}

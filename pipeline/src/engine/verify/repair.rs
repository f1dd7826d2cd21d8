//! What is damaged or unknown is set aside, so that the next run computes it again.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{folder_of, write_atomic};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::snapshot::{Part, Snapshot};
use ecosight_stages::StageErrorKind;
use ecosight_stages::publish::{Move, restore_pointer};
use ecosight_stages::train::Pointer;
use serde::Serialize;

use super::{Checked, Health, Remedy};
use crate::engine::files::relative;
use crate::engine::state::known;
use crate::engine::{Lock, State};

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Paths, below the data root, of what was moved to `retired/`.
    pub set_aside: Vec<String>,
    /// Paths of what was written again.
    pub restored: Vec<String>,
}

/// Moves what is damaged to `retired/damaged/` and what is unknown to `retired/unknown/`, each at its path below the data root. The pointer to
/// the model in production and the history are written again from what can be read. What only a person can put right stays as it is.
///
/// A model moves as a whole, with the pointers that name it: the next run trains and publishes one again.
pub fn repair(layout: &Layout, checked: &[Checked], _lock: &Lock) -> Result<Repaired, StageErrorKind> {
    let mut bad: BTreeSet<(PathBuf, &str)> = BTreeSet::new();
    for checked in checked.iter().filter(|checked| checked.remedy != Remedy::ByHand) {
        let place = match checked.health {
            Health::Ok | Health::Unfinished | Health::Missing => continue,
            Health::Damaged => "damaged",
            Health::Unknown => "unknown",
        };
        bad.insert((whole(&checked.path), place));
    }
    let is_bad = |version: &str| bad.contains(&(Path::new("models").join(version), "damaged"));
    let names_bad = |path: &PathBuf| Pointer::read(path).ok().flatten().is_some_and(|pointer| is_bad(&pointer.version));
    let pointers = [layout.production(), layout.candidate()].into_iter().filter(names_bad);
    let pointers: Vec<PathBuf> = pointers.map(|path| PathBuf::from(relative(layout, &path))).collect();
    bad.extend(pointers.into_iter().map(|path| (path, "damaged")));
    let mut repaired = Repaired::default();
    forget_snapshots(layout, &bad)?;
    for (path, place) in &bad {
        // An index that was tampered with moves nothing that lies elsewhere.
        if path.components().all(|part| matches!(part, Component::Normal(_))) {
            let moved =
                set_aside(layout, path, place).map_err(DatasetError::at("set aside", &layout.root().join(path)))?;
            let path = relative(layout, &layout.root().join(path));
            if let Some(copy) = moved.filter(|_| layout.root().join(&path) == layout.history()) {
                restore_history(&copy, layout)?;
                repaired.restored.push(path.clone());
            }
            repaired.set_aside.push(path);
        }
    }
    if repaired.set_aside.iter().any(|path| path.starts_with("tables/quarantine/")) {
        find_failures_again(layout)?;
    }
    let production = relative(layout, &layout.production());
    let is_wrong = |checked: &Checked| checked.path == production && checked.health.is_wrong();
    if checked.iter().any(is_wrong) && restore_pointer(layout)?.is_some() {
        repaired.restored.push(production);
    }
    Ok(repaired)
}

/// Takes files that are about to be set aside out of the latest snapshot: what it names is the same file under another name.
fn forget_snapshots(layout: &Layout, bad: &BTreeSet<(PathBuf, &str)>) -> Result<(), DatasetError> {
    let Ok(Some(mut latest)) = Snapshot::read(layout) else { return Ok(()) };
    let is_bad = |part: &Part| {
        let is_named = |name: &str| bad.iter().any(|(path, _)| path == Path::new(name));
        is_named(&part.path) || (is_named(&part.name) && part.is_live(layout))
    };
    let gone: Vec<Part> = latest.parts().filter(|part| is_bad(part)).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    latest.remove(&gone);
    latest.write(&layout.snapshot())?;
    for part in gone.iter().filter(|part| part.is_live(layout)) {
        let path = layout.root().join(&part.path);
        std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
    }
    Ok(())
}

/// Writes the history again, without the lines of `copy` that cannot be read.
fn restore_history(copy: &Path, layout: &Layout) -> Result<(), DatasetError> {
    let bytes = std::fs::read(copy).map_err(DatasetError::at("read history", copy))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter(|line| serde_json::from_str::<Move>(line).is_ok());
    write_atomic(&layout.history(), lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes())
}

/// Lets the stages that know of failed clips run again: what they knew lay in `quarantine`.
fn find_failures_again(layout: &Layout) -> Result<(), DatasetError> {
    for (stage, state) in known(layout)? {
        if let Some(state) = state.filter(|state| state.rows.failed > 0) {
            State { is_provisional: true, ..state }.write(layout, &stage)?;
        }
    }
    Ok(())
}

/// The file itself, or the model that it is a file of.
fn whole(path: &str) -> PathBuf {
    let path = Path::new(path);
    let mut parts = path.components();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(models), Some(version), Some(_)) if models.as_os_str() == "models" => {
            Path::new(models.as_os_str()).join(version)
        }
        _ => path.to_owned(),
    }
}

/// Moves `path` to its place below `retired/`; where it is now, unless it was gone.
fn set_aside(layout: &Layout, path: &Path, place: &str) -> std::io::Result<Option<PathBuf>> {
    let from = layout.root().join(path);
    let to = layout.retired().join(place).join(path);
    std::fs::create_dir_all(folder_of(&to))?;
    // What was set aside before stays.
    let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let others = (1..).map(|number| to.with_file_name(format!("{name}~{number}")));
    let free = std::iter::once(to.clone()).chain(others).find(|to| to.symlink_metadata().is_err());
    let to = free.unwrap_or(to);
    match std::fs::rename(&from, &to) {
        // Gone with the folder that it lay in.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    }
    // A table without a part is none; a folder that holds something stays.
    if from.starts_with(layout.tables()) {
        let _ = std::fs::remove_dir(folder_of(&from));
    }
    Ok(Some(to))
}

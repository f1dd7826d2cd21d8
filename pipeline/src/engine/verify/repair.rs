//! What is damaged or unknown is set aside, so that the next run computes it again.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::folder_of;
use ecosight_datasets::layout::Layout;
use ecosight_stages::train::Pointer;

use super::{Checked, Health};
use crate::engine::Lock;
use crate::engine::files::relative;

/// Moves what is damaged to `retired/damaged/` and what is unknown to `retired/unknown/`, each at its path below the data root. Gives
/// the paths of what was moved.
///
/// A model moves as a whole, with the pointers that name it: the next run trains and publishes one again.
pub fn repair(layout: &Layout, checked: &[Checked], _lock: &Lock) -> Result<Vec<String>, DatasetError> {
    let mut bad: BTreeSet<(PathBuf, &str)> = BTreeSet::new();
    for checked in checked {
        let place = match checked.health {
            Health::Ok | Health::Missing => continue,
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
    let mut moved = Vec::new();
    for (path, place) in &bad {
        // An index that was tampered with moves nothing that lies elsewhere.
        if path.components().all(|part| matches!(part, Component::Normal(_))) {
            set_aside(layout, path, place).map_err(DatasetError::at("set aside", &layout.root().join(path)))?;
            moved.push(relative(layout, &layout.root().join(path)));
        }
    }
    Ok(moved)
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

fn set_aside(layout: &Layout, path: &Path, place: &str) -> std::io::Result<()> {
    let from = layout.root().join(path);
    let to = layout.retired().join(place).join(path);
    std::fs::create_dir_all(folder_of(&to))?;
    // What was set aside before stays.
    let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let others = (1..).map(|number| to.with_file_name(format!("{name}~{number}")));
    let free = std::iter::once(to.clone()).chain(others).find(|to| to.symlink_metadata().is_err());
    match std::fs::rename(&from, free.unwrap_or(to)) {
        // Gone with the folder that it lay in.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

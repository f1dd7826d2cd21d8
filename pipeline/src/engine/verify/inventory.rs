//! Everything that can be checked in a data root.

use std::collections::BTreeSet;
use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::{Area, Layout};
use ecosight_datasets::tables::{CopyRow, EmbedParts, QuarantineRow, read_file};

use super::{Check, describe, files_index, is_readable};
use crate::engine::files::{below, is_folder, name_of, relative};
use crate::engine::state::known;

/// Lists it, each with what it is part of.
pub(super) fn take(layout: &Layout) -> Result<Vec<(String, Check)>, DatasetError> {
    let (mut checks, mut named) = (Vec::new(), BTreeSet::new());
    states(layout, &mut checks, &mut named)?;
    embeddings(layout, &mut checks, &mut named);
    if layout.files_index().exists() {
        checks.push(("index".to_owned(), Check::Readable(layout.files_index(), files_index(layout))));
    }
    if layout.copies_index().exists() {
        let readable = read_file::<CopyRow>(&layout.copies_index()).map(drop).map_err(|error| describe(&error));
        checks.push(("index".to_owned(), Check::Readable(layout.copies_index(), readable)));
    }
    quarantine(layout, &mut checks, &mut named)?;
    models(layout, &mut checks)?;
    journal(layout, &mut checks)?;
    unnamed(layout, &layout.tables(), &named, &mut checks)?;
    Ok(checks)
}

/// The states of all stages, and the files that they name.
fn states(
    layout: &Layout,
    checks: &mut Vec<(String, Check)>,
    named: &mut BTreeSet<String>,
) -> Result<(), DatasetError> {
    let pointers = [layout.production(), layout.candidate()].map(|path| relative(layout, &path));
    for (stage, state) in known(layout)? {
        let readable = state.as_ref().map(drop).ok_or_else(|| "it cannot be read by this program".to_owned());
        checks.push(("index".to_owned(), Check::Readable(layout.state(&stage), readable)));
        for stamp in state.into_iter().flat_map(|state| state.files) {
            named.insert(stamp.path.clone());
            // Pointers are moved on purpose, and judged by what they name.
            if !pointers.contains(&stamp.path) || !layout.root().join(&stamp.path).exists() {
                checks.push((stage.clone(), Check::Stamp(stamp)));
            }
        }
    }
    Ok(())
}

/// The parts that the index of the table of embeddings names.
fn embeddings(layout: &Layout, checks: &mut Vec<(String, Check)>, named: &mut BTreeSet<String>) {
    match EmbedParts::read(layout) {
        Ok(table) => {
            for part in table.into_iter().flat_map(|table| table.parts) {
                named.insert(part.file.path.clone());
                checks.push(("embed".to_owned(), Check::Stamp(part.file)));
            }
        }
        Err(error) => {
            let why = Err(describe(&error));
            checks.push(("index".to_owned(), Check::Readable(layout.embed_index(), why)));
        }
    }
}

/// The table of quarantined clips, which belongs to no stage.
fn quarantine(
    layout: &Layout,
    checks: &mut Vec<(String, Check)>,
    named: &mut BTreeSet<String>,
) -> Result<(), DatasetError> {
    let folder = layout.table("quarantine");
    if !is_folder(&folder) {
        return Ok(());
    }
    let readable = is_readable::<QuarantineRow>(&folder);
    for path in below(&folder)?.into_iter().filter(|path| is_parquet(path)) {
        named.insert(relative(layout, &path));
        checks.push(("quarantine".to_owned(), Check::Readable(path, readable.clone())));
    }
    Ok(())
}

/// All models, and what points to them.
fn models(layout: &Layout, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    for pointer in [layout.production(), layout.candidate()] {
        if pointer.exists() {
            checks.push(("models".to_owned(), Check::Pointer(pointer)));
        }
    }
    if layout.models().is_dir() {
        let folders = below(&layout.models())?.into_iter();
        let models = folders.filter(|path| path.is_dir() && !name_of(path).starts_with('.'));
        checks.extend(models.map(|path| ("models".to_owned(), Check::Model(path))));
    }
    Ok(())
}

/// Entries of what people decided, and of what was noted.
fn journal(layout: &Layout, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    let versions = layout.root().join(Area::Journal.key("test_uses"));
    let versions = if versions.is_dir() { below(&versions)? } else { Vec::new() };
    let versions: Vec<String> = versions.iter().map(|path| name_of(path)).collect();
    let mut journals = vec![Journal::Corrections, Journal::History, Journal::Removals];
    journals.extend(versions.iter().map(|version| Journal::TestUses(version)));
    for journal in journals {
        for entry in journal.read(layout)? {
            let result = if entry.is_whole() { Ok(()) } else { Err("it is not what was written".to_owned()) };
            checks.push((Area::Journal.name().to_owned(), Check::Readable(entry.path, result)));
        }
    }
    Ok(())
}

/// The Parquet files below `folder` that nothing names.
fn unnamed(
    layout: &Layout,
    folder: &Path,
    named: &BTreeSet<String>,
    checks: &mut Vec<(String, Check)>,
) -> Result<(), DatasetError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for path in below(folder)? {
        if is_folder(&path) {
            unnamed(layout, &path, named, checks)?;
        } else if is_parquet(&path) {
            let path_below = relative(layout, &path);
            if !named.contains(&path_below) {
                let table = path_below.split('/').nth(1).unwrap_or_default().to_owned();
                checks.push((table, Check::Unnamed(path)));
            }
        }
    }
    Ok(())
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

//! What runs that did not end have left in the staging folder.

use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::folder_of;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::EmbedParts;

use super::Garbage;
use crate::engine::files::{below, is_folder, is_temporary, name_of};

/// Tells what the next run uses from what it does not. Work by one of `embedders` is finished work; where no table tells which embedder
/// is in use, all of it is.
pub(super) fn find(layout: &Layout, embedders: &[String], garbage: &mut Garbage) -> Result<(), DatasetError> {
    let folder = folder_of(&layout.staging("embed")).to_owned();
    if !is_folder(&folder) {
        return super::linked(layout, &folder, garbage);
    }
    for path in below(&folder)? {
        match name_of(&path).as_str() {
            "embed" if is_folder(&path) => embed(layout, embedders, &path, garbage)?,
            // A commit that was cut off where names cannot be exchanged in one step.
            "embed.old" if !layout.table("embed").exists() => {
                garbage.keep(layout, &path, "the only copy of a table: a run was killed while it replaced it")?;
            }
            _ => stage(layout, &path, garbage)?,
        }
    }
    Ok(())
}

/// Parts that wait for their table to be complete.
fn embed(layout: &Layout, embedders: &[String], folder: &Path, garbage: &mut Garbage) -> Result<(), DatasetError> {
    let live = EmbedParts::read(layout).ok().flatten().map(|table| table.embedder);
    let is_used = |name: &str| live.as_deref().is_none_or(|live| live == name) || embedders.iter().any(|e| e == name);
    for path in below(folder)? {
        let name = name_of(&path);
        if !is_used(&name) {
            let why = format!("work of an unfinished run with the embedder `{name}`, which is not in use");
            garbage.remove(layout, &path, why)?;
            continue;
        }
        if is_folder(&path) {
            for part in below(&path)?.iter().filter(|part| is_temporary(part)) {
                garbage.remove(layout, part, "a part that a killed run was writing")?;
            }
            if below(&path)?.iter().any(|part| !is_temporary(part)) {
                garbage.keep(layout, &path, "finished work of an interrupted run; the next one uses it")?;
            }
        }
    }
    Ok(())
}

/// What a stage was writing. How far a training has come is worth keeping.
fn stage(layout: &Layout, path: &Path, garbage: &mut Garbage) -> Result<(), DatasetError> {
    let checkpoint = layout.checkpoint(&name_of(path));
    if !checkpoint.exists() {
        let is_empty = is_folder(path) && below(path)?.is_empty();
        return if is_empty { Ok(()) } else { garbage.remove(layout, path, "left by a run that did not end") };
    }
    for inner in below(path)? {
        if inner == checkpoint {
            garbage.keep(
                layout,
                &inner,
                "how far an interrupted training has come; the next run goes on from there",
            )?;
        } else {
            garbage.remove(layout, &inner, "left by a run that did not end")?;
        }
    }
    Ok(())
}

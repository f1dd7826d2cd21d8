//! Everything that can be checked in a data root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::{Area, Layout};
use ecosight_datasets::snapshot::{SNAPSHOT_FILE, Snapshot};
use ecosight_datasets::tables::{
    CopyRow, EmbedParts, QuarantineRow, Row, SoundRow, read_file, read_files_index, read_rows,
};
use ecosight_datasets::tracks::{Status, Tracks};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use ecosight_models::artefact::{CLASS_NAMES_FILE, MODEL_FILE, WEIGHTS_FILE};

use super::{Check, STAGING};
use crate::engine::describe;
use crate::engine::files::{below, is_folder, is_temporary, name_of, relative};
use crate::engine::gc::run_records;
use crate::engine::state::known;

/// The part of the data root that holds versions of the tables.
const SNAPSHOTS: &str = "snapshots";

/// What was found.
pub(super) struct Inventory {
    /// What can be checked, each with what it is part of.
    pub(super) checks: Vec<(String, Check)>,
    /// What cannot be, and why.
    pub(super) left_out: Vec<String>,
}

/// Lists it.
pub(super) fn take(layout: &Layout) -> Result<Inventory, DatasetError> {
    let (mut checks, mut named) = (Vec::new(), BTreeSet::new());
    states(layout, &mut checks, &mut named)?;
    embeddings(layout, &mut checks, &mut named);
    indexes(layout, &mut checks);
    let left_out = recordings(layout, &mut checks).map_or_else(
        |error| vec![format!("the recordings were not compared with the index of tracks: {}", describe(&error))],
        |()| Vec::new(),
    );
    quarantine(layout, &mut checks, &mut named)?;
    models(layout, &mut checks)?;
    runs(layout, &mut checks)?;
    parts("retired", &layout.retired().join("embed"), &mut checks)?;
    parts(STAGING, &layout.staging("embed"), &mut checks)?;
    if layout.corrections().exists() {
        checks.push(("corrections".to_owned(), Check::Corrections(layout.corrections())));
    }
    journal(layout, &mut checks)?;
    snapshots(layout, &mut checks);
    unnamed(layout, &layout.tables(), &named, &mut checks)?;
    Ok(Inventory { checks, left_out })
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

/// What is known of files, clips and pairs of clips.
fn indexes(layout: &Layout, checks: &mut Vec<(String, Check)>) {
    let readable = |result: Result<(), DatasetError>| result.map_err(|error| describe(&error));
    let found = [
        (layout.files_index(), readable(read_files_index(layout).map(drop))),
        (layout.copies_index(), readable(whole::<CopyRow>(&layout.copies_index()))),
        (layout.sounds_index(), readable(whole::<SoundRow>(&layout.sounds_index()))),
    ];
    let found = found.into_iter().filter(|(path, _)| path.exists());
    checks.extend(found.map(|(path, readable)| ("index".to_owned(), Check::Readable(path, readable))));
}

/// Whether the rows of `path` can be read.
fn whole<R: Row>(path: &Path) -> Result<(), DatasetError> {
    read_file::<R>(path).map(drop)
}

/// The recordings that were taken in and of which a copy is kept here. An error where the index of tracks cannot be opened, as on a mount that
/// is read only.
fn recordings(layout: &Layout, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    let read = || -> Result<_, DatasetError> {
        let Some(tracks) = Tracks::find(layout)? else { return Ok(Vec::new()) };
        tracks.check()?;
        tracks.all()
    };
    match read() {
        Ok(tracks) => {
            let kept = tracks.into_iter().filter(|track| track.status == Status::Stored && track.path.is_some());
            checks.extend(kept.map(|track| ("recordings".to_owned(), Check::Recording(Box::new(track)))));
            Ok(())
        }
        Err(error) if matches!(error.kind, DatasetErrorKind::Invalid(_)) => {
            checks.push(("index".to_owned(), Check::Tracks(layout.tracks(), describe(&error))));
            Ok(())
        }
        Err(error) => Err(error),
    }
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
    let readable = read_rows::<QuarantineRow>(&folder).map(drop).map_err(|error| describe(&error));
    for path in below(&folder)?.into_iter().filter(|path| is_parquet(path)) {
        named.insert(relative(layout, &path));
        checks.push(("quarantine".to_owned(), Check::Readable(path, readable.clone())));
    }
    Ok(())
}

/// All models with their files, what points to them, and what was in production when.
fn models(layout: &Layout, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    let mut push = |check: Check| checks.push(("models".to_owned(), check));
    let has_history = layout.history().exists() || !Journal::History.read(layout)?.is_empty();
    if has_history || layout.production().exists() {
        push(Check::Production(layout.production()));
    }
    if layout.history().exists() {
        push(Check::History(layout.history()));
    }
    if layout.candidate().exists() {
        push(Check::Pointer(layout.candidate()));
    }
    if !layout.models().is_dir() {
        return Ok(());
    }
    // These are compared with their checksums.
    let is_known = |name: &str| [MODEL_FILE, WEIGHTS_FILE, CLASS_NAMES_FILE].contains(&name);
    let pointers = [layout.production(), layout.candidate(), layout.history()];
    for path in below(&layout.models())?.into_iter().filter(|path| !name_of(path).starts_with('.')) {
        if !path.is_dir() {
            if !pointers.contains(&path) {
                push(Check::File(path));
            }
            continue;
        }
        let files = below(&path)?.into_iter().filter(|file| {
            let name = name_of(file);
            file.is_file() && !name.starts_with('.') && !is_known(&name)
        });
        files.for_each(|file| push(Check::File(file)));
        push(Check::Model(path));
    }
    Ok(())
}

/// The records of all runs.
fn runs(layout: &Layout, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    for folder in run_records(layout)? {
        let files = ["run.json", "metrics.json", "events.jsonl"].map(|name| folder.join(name));
        let files = files.into_iter().filter(|file| file.is_file());
        checks.extend(files.map(|file| ("runs".to_owned(), Check::File(file))));
    }
    Ok(())
}

/// Parts of embeddings below `folder` that come back by their keys: retired ones, and those of a run that did not come to its end.
fn parts(part_of: &str, folder: &Path, checks: &mut Vec<(String, Check)>) -> Result<(), DatasetError> {
    if !is_folder(folder) {
        return Ok(());
    }
    for path in below(folder)? {
        if is_folder(&path) {
            parts(part_of, &path, checks)?;
        } else if is_parquet(&path) && !is_temporary(&path) {
            checks.push((part_of.to_owned(), Check::File(path)));
        }
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

/// The latest snapshot of the tables, those of the models, and the files that they name. What is a second name of a file that is checked anyway, under the
/// name that the engine reads, is not read twice.
fn snapshots(layout: &Layout, checks: &mut Vec<(String, Check)>) {
    let of_models = std::fs::read_dir(layout.models()).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = of_models.map(|model| model.path().join(SNAPSHOT_FILE)).collect();
    paths.sort();
    paths.insert(0, layout.snapshot());
    let mut seen = BTreeSet::new();
    for path in paths {
        let snapshot = match Snapshot::read_at(&path) {
            Ok(None) => continue,
            Ok(Some(snapshot)) => snapshot,
            Err(error) => {
                checks.push((SNAPSHOTS.to_owned(), Check::Readable(path, Err(describe(&error)))));
                continue;
            }
        };
        checks.push((SNAPSHOTS.to_owned(), Check::Readable(path, Ok(()))));
        for part in snapshot.parts().filter(|part| !part.is_live(layout)) {
            if seen.insert(part.path.clone()) {
                checks.push((SNAPSHOTS.to_owned(), Check::Kept(part.clone())));
            }
        }
    }
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

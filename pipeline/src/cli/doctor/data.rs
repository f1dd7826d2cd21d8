//! The data: who writes them, where they come from, and the model made of them.

use std::fs::{DirEntry, read_dir};
use std::path::Path;

use ecosight_datasets::files::open_regular;
use ecosight_datasets::lease::Lease;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, Store};
use ecosight_stages::predict::Predictor;

use super::Finding;
use super::disk::writable;
use crate::cli::args::PipelineArgs;
use crate::cli::error::CliError;
use crate::cli::finding::State;
use crate::cli::session::Globals;
use crate::engine::holder;

const NAME_A_SOURCE: &str = "name the folder with your recordings: `--source DIR`";

/// Whether the data root can be written here, or answers where it lies in a bucket.
pub(super) fn root(globals: &Globals) -> Finding {
    const CHECK: &str = "data root";
    let place = globals.layout.place();
    let here = writable(globals.layout.root());
    if place.local().is_some() || here.state == State::Fail {
        return here;
    }
    let listed = globals.access().and_then(|access| Store::connect(place, access));
    match listed.and_then(|store| block_on(store.folders(""))) {
        Ok(folders) if folders.is_empty() => Finding::ok(CHECK, format!("`{place}` answers; nothing is there yet")),
        Ok(_) => Finding::ok(CHECK, format!("`{place}` answers; its copy is `{}`", globals.layout.root().display())),
        Err(error) => Finding::error(CHECK, &error.into()),
    }
}

/// Whether another process writes the data root.
pub(super) fn lock(globals: &Globals) -> Finding {
    let place = globals.layout.place();
    if place.bucket().is_some() {
        let store = globals.access().and_then(|access| Store::connect(place, access));
        match store.and_then(|store| block_on(Lease::holder(&store, globals.started))) {
            Ok(None) => {}
            Ok(Some((holder, since))) => {
                let found = format!("the data root is being written: {holder} since {since}");
                return Finding::warn("lock", found, "wait until it is done");
            }
            Err(error) => return Finding::error("lock", &error.into()),
        }
    }
    match holder(&globals.layout.lock()) {
        Ok(None) => Finding::ok("lock", "no other process writes the data root"),
        Ok(Some(holder)) => {
            Finding::warn("lock", format!("the data root is being written: {holder}"), "wait until it is done")
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            let fix = "check the permissions of the data root";
            Finding::fail("lock", format!("the lock cannot be read: {error}{cause}"), fix)
        }
    }
}

/// Whether what `retrain` would read is there. A look at the top of it only: it may be large.
pub(super) fn source(globals: &Globals, args: &PipelineArgs) -> Finding {
    const CHECK: &str = "source";
    // Having none is how everybody begins.
    let is_settled = args.source.is_some() || globals.layout.last_run().exists();
    match globals.source(args) {
        Ok(Source::Folder(Place::Local(folder))) => self::folder(&folder),
        Ok(Source::Manifest(Place::Local(file))) => match open_regular(&file) {
            Ok(_) => Finding::ok(CHECK, format!("the manifest `{}` can be read", file.display())),
            Err(error) => Finding::fail(CHECK, format!("`{}` cannot be read: {error}", file.display()), NAME_A_SOURCE),
        },
        Ok(source) => bucket(&source, globals),
        Err(error) if is_settled => Finding::error(CHECK, &error),
        Err(error) => Finding::warn(CHECK, error.chain().join(": "), error.hint().unwrap_or(NAME_A_SOURCE)),
    }
}

/// Whether the bucket of the source answers.
fn bucket(source: &Source, globals: &Globals) -> Finding {
    const CHECK: &str = "source";
    let look = || {
        let store = source.store(globals.access()?)?;
        match source {
            Source::Manifest(place) => block_on(store.look(&place.split().1)).map(|found| usize::from(found.is_some())),
            Source::Folder(_) => block_on(store.folders("")).map(|folders| folders.len()),
        }
    };
    match look() {
        Ok(0) => Finding::fail(CHECK, format!("there is nothing at `{source}`"), NAME_A_SOURCE),
        Ok(1) if matches!(source, Source::Folder(_)) => {
            let found = format!("`{source}` has one folder, and a model needs two classes");
            Finding::warn(CHECK, found, "put the recordings of each class into a folder of its own")
        }
        Ok(count) => Finding::ok(CHECK, format!("`{source}` can be read ({count} at its top)")),
        Err(error) => Finding::error(CHECK, &error.into()),
    }
}

fn folder(folder: &Path) -> Finding {
    const CHECK: &str = "source";
    let shown = folder.display();
    let entries: Vec<DirEntry> = match read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => entries,
        Err(error) => return Finding::fail(CHECK, format!("`{shown}` cannot be listed: {error}"), NAME_A_SOURCE),
    };
    let is_hidden = |entry: &DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let classes: Vec<_> = entries.iter().filter(|e| !is_hidden(e) && e.path().is_dir()).map(DirEntry::path).collect();
    let unreadable = classes.iter().find_map(|class| read_dir(class).err().map(|error| (class, error)));
    if let Some((class, error)) = unreadable {
        let found = format!("`{}` cannot be listed: {error}", class.display());
        return Finding::fail(CHECK, found, "check the permissions of that folder");
    }
    if classes.len() < 2 {
        let found = format!("`{shown}` has {} folder(s), and a model needs two classes", classes.len());
        return Finding::warn(CHECK, found, "put the recordings of each class into a folder of its own");
    }
    Finding::ok(CHECK, format!("{} folders in `{shown}`, each a class", classes.len()))
}

/// Whether the model in production could predict.
pub(super) fn model(globals: &Globals) -> Finding {
    const CHECK: &str = "model";
    match Predictor::open(&globals.layout, None, &globals.weights) {
        Ok(predictor) => {
            let (version, classes) = (predictor.version(), predictor.classes().len());
            Finding::ok(CHECK, format!("{version} is in production, with {classes} classes"))
        }
        Err(error) => {
            let error = CliError::from(error);
            if globals.layout.production().symlink_metadata().is_ok() {
                return Finding::error(CHECK, &error);
            }
            // Having none is how everybody begins.
            let fix = error.hint().unwrap_or("train one with `ecosight retrain --source DIR`");
            Finding::warn(CHECK, error.chain().join(": "), fix)
        }
    }
}

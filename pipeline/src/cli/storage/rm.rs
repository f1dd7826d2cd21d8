//! `ecosight storage rm`: removes objects, and recordings wherever they are.

mod recordings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ecosight_datasets::DatasetError;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Object, Store, each};
use serde_json::json;

use self::recordings::Recordings;
use super::tally::{Failure, Failures};
use super::target::{Target, connect, root};
use crate::ExitStatus;
use crate::cli::args::RmArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::root::size;
use crate::cli::session::Globals;

/// What is to be removed, by address, so that nothing that is named twice is counted twice.
type Found<'a> = BTreeMap<String, (&'a Store, Object)>;

/// Runs the verb.
pub(crate) fn rm(args: &RmArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let store = connect(&root(globals)?, globals)?;
    let recordings = Recordings::open(&store, globals)?;
    let targets: Result<Vec<_>, CliError> = args.names.iter().map(|name| Target::of(name, globals)).collect();
    let targets = targets?;
    if targets.iter().any(|target| target.name.is_empty()) {
        return Err(CliError::usage("this is a whole store", "name the objects or the folder that are to be removed"));
    }
    let mut found = Found::new();
    for target in &targets {
        for object in block_on(inside(&target.store, &target.name, args.recursive))? {
            found.insert(target.store.address(&object.uri), (&target.store, object));
        }
        if target.store.place() == store.place() {
            recordings.add_local(&target.name, args.recursive, &mut found)?;
        }
    }
    if let Some(id) = &args.ingest {
        recordings.add_ingest(id, &mut found)?;
    }
    recordings.add_other_side(&mut found)?;
    let bytes: u64 = found.values().map(|(_, object)| object.size_bytes).sum();
    if !args.consent.yes {
        let names: Vec<_> = found.keys().collect();
        if printer.json {
            printer.document(&json!({ "removed": false, "objects": names, "bytes": bytes }))?;
        } else {
            printer.list(&names)?;
            printer.note(&format!("{} object(s), {} would be removed", names.len(), size(bytes)));
        }
        if args.consent.dry_run || found.is_empty() {
            return Ok(ExitStatus::Ok);
        }
        return Err(CliError::usage("nothing was removed yet", "add `--yes` to remove what is listed"));
    }
    // First, so that nothing comes back of what is removed below, whatever interrupts it.
    let noted = recordings.note(&found, printer)?;
    let (mut removed, mut failures) = (Vec::new(), Failures::default());
    block_on(each(found, &globals.cancelled, delete, |(address, result)| match result {
        Ok(()) => {
            removed.push(address);
            ControlFlow::Continue(())
        }
        Err(error) => failures.add(Failure::new(&address, error)),
    }));
    removed.sort();
    if printer.json {
        let failed = failures.sorted();
        let document =
            json!({ "removed": true, "objects": removed, "bytes": bytes, "recordings": noted, "failures": failed });
        printer.document(&document)?;
    } else {
        printer.note(&format!("{} object(s) removed", removed.len()));
        if !noted.is_empty() {
            printer.note(&format!(
                "{} recording(s) do not come back unless `ecosight ingest --restore` takes them in again; the next `ecosight retrain` leaves them \
                 out, and models that were trained on them stay what they are until then",
                noted.len()
            ));
        }
    }
    failures.close(globals.is_cancelled(), "run it again: what is removed already counts as removed", printer)
}

async fn delete((address, (store, object)): (String, (&Store, Object))) -> (String, Result<(), DatasetError>) {
    let result = store.delete(&object.uri).await.and_then(|()| store.forget_cached(&object));
    (address, result)
}

/// The objects that a word names. None where there is nothing of that name.
async fn inside(store: &Store, name: &str, recursive: bool) -> Result<Vec<Object>, CliError> {
    let below = if recursive {
        store.list_below(name).await?.objects
    } else {
        let entries = store.entries(name).await?;
        if !entries.folders.is_empty() || !entries.objects.is_empty() {
            let error = format!("`{}` is a folder", store.address(name));
            return Err(CliError::usage(error, "add `--recursive` to remove all that lies in it"));
        }
        Vec::new()
    };
    let is_folder = !below.is_empty() || store.place().local().is_some_and(|root| root.join(name).is_dir());
    if is_folder {
        return Ok(below);
    }
    Ok(store.look(name).await?.into_iter().collect())
}

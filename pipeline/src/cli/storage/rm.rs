//! `ecosight storage rm`: removes objects.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::AudioKey;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Store, each};
use serde_json::json;

use super::tally::{Failure, Failures};
use super::target::{Target, name_in_bucket};
use crate::ExitStatus;
use crate::cli::args::RmArgs;
use crate::cli::error::CliError;
use crate::cli::ingest::{Hurry, open};
use crate::cli::printer::Printer;
use crate::cli::root::size;
use crate::cli::session::Globals;

/// Runs the verb.
pub(crate) fn rm(args: &RmArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let targets: Result<Vec<_>, CliError> = args.names.iter().map(|name| Target::of(name, globals)).collect();
    let targets = targets?;
    if targets.iter().any(|target| target.name.is_empty()) {
        return Err(CliError::usage("this is a whole store", "name the objects or the folder that are to be removed"));
    }
    // By address, so that nothing that is named twice is counted twice.
    let mut found = BTreeMap::new();
    for target in &targets {
        for (name, bytes) in block_on(inside(target, args.recursive))? {
            found.insert(target.store.address(&name), (&target.store, name, bytes));
        }
    }
    let bytes: u64 = found.values().map(|(_, _, bytes)| bytes).sum();
    if !args.consent.yes {
        let names: Vec<_> = found.keys().collect();
        if printer.json {
            printer.document(&json!({ "removed": false, "objects": names, "bytes": bytes }))?;
        } else {
            printer.result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
            printer.note(&format!("{} object(s), {} would be removed", names.len(), size(bytes)));
        }
        if args.consent.dry_run || found.is_empty() {
            return Ok(ExitStatus::Ok);
        }
        return Err(CliError::usage("nothing was removed yet", "add `--yes` to remove what is listed"));
    }
    // Here or in the index, a recording must not look as if its upload had been forgotten.
    let of_bucket: BTreeMap<String, String> = found
        .keys()
        .filter_map(|address| Some((address.clone(), name_in_bucket(address, globals).ok()??)))
        .filter(|(_, name)| AudioKey::parse(name).is_some())
        .collect();
    let index =
        if of_bucket.is_empty() || !globals.layout.root().is_dir() { None } else { Some(open(globals, Hurry::No)?) };
    let (mut removed, mut kept, mut failures) = (Vec::new(), 0, Failures::default());
    let now_ms = globals.started.timestamp_millis();
    let withdraw = |address: &String| match (&index, of_bucket.get(address)) {
        (Some(index), Some(name)) => index.tracks().withdraw(name, now_ms),
        _ => Ok(false),
    };
    block_on(each(found, &globals.cancelled, delete, |(address, result)| {
        match result.and_then(|()| withdraw(&address)) {
            Ok(is_kept) => {
                removed.push(address);
                kept += u64::from(is_kept);
                ControlFlow::Continue(())
            }
            Err(error) => failures.add(Failure::new(&address, error)),
        }
    }));
    removed.sort();
    if printer.json {
        let failed = failures.sorted();
        let document =
            json!({ "removed": true, "objects": removed, "bytes": bytes, "kept_local": kept, "failures": failed });
        printer.document(&document)?;
    } else {
        printer.note(&format!("{} object(s) removed", removed.len()));
        if kept > 0 {
            printer.note(&format!(
                "{kept} of them stay in the data root; `ecosight storage sync` leaves them there, `ecosight ingest` takes them in again"
            ));
        }
    }
    failures.close(globals.is_cancelled(), "run it again: what is removed already counts as removed", printer)
}

async fn delete((address, (store, name, _)): (String, (&Store, String, u64))) -> (String, Result<(), DatasetError>) {
    let result = store.delete(&name).await;
    (address, result)
}

/// The objects that a word names, with their sizes. None where there is nothing of that name.
async fn inside(target: &Target, recursive: bool) -> Result<Vec<(String, u64)>, CliError> {
    let Target { store, name, .. } = target;
    let below = if recursive {
        let listing = store.list_below(name).await?;
        listing.objects.into_iter().map(|object| (object.uri, object.size_bytes)).collect()
    } else {
        let entries = store.entries(name).await?;
        if !entries.folders.is_empty() || !entries.objects.is_empty() {
            let error = format!("`{}` is a folder", target.address());
            return Err(CliError::usage(error, "add `--recursive` to remove all that lies in it"));
        }
        Vec::new()
    };
    let is_folder = !below.is_empty() || store.place().local().is_some_and(|root| root.join(name).is_dir());
    if is_folder {
        return Ok(below);
    }
    Ok(store.look(name).await?.map(|object| (object.uri, object.size_bytes)).into_iter().collect())
}

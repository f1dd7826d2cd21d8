//! `ecosight storage gc`: what is left over in the store and beside it, and why; removed only when that is asked for.

mod find;
mod rows;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use ecosight_datasets::DatasetError;
#[cfg(feature = "aws-admin")]
use ecosight_datasets::admin::Unfinished;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::each;
use serde::Serialize;

use super::tally::{Failure, Failures};
use crate::ExitStatus;
use crate::cli::args::StorageGcArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::listing;
use crate::cli::root::size;
use crate::cli::session::Globals;
use find::Place;

/// Something left over.
#[derive(Clone, Serialize)]
pub(super) struct Item {
    /// Where it lies.
    name: String,
    bytes: u64,
    /// What it is: all of a kind have the same reason.
    kind: &'static str,
    why: String,
    #[serde(skip)]
    garbage: Garbage,
}

/// How something is removed.
#[derive(Clone)]
pub(super) enum Garbage {
    File(PathBuf),
    Object(String),
    /// An object, and the one with the same content that stays.
    Twin(String, String),
    #[cfg(feature = "aws-admin")]
    Upload(Unfinished),
    /// It is not: somebody has to look at it.
    Kept,
}

/// The document.
#[derive(Serialize)]
struct Report {
    removed: bool,
    removable: Vec<Item>,
    /// What does not fit together and is never removed here.
    kept: Vec<Item>,
    bytes: u64,
    failures: Vec<Failure>,
}

/// Runs the verb.
pub(crate) fn gc(args: &StorageGcArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let place = Place::open(globals)?;
    let mut found = place.temporaries()?;
    found.extend(block_on(place.expired())?);
    #[cfg(feature = "aws-admin")]
    found.extend(block_on(place.unfinished(printer))?);
    found.extend(block_on(place.repeated())?);
    let kept = block_on(rows::strays(&place, globals))?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let mut failures = Failures::default();
    if args.consent.yes {
        found = remove(&place, found, &mut failures, globals);
    }
    let close = failures.close(globals.is_cancelled(), "run it again for the rest", printer);
    let bytes = found.iter().map(|item| item.bytes).sum();
    let report = Report { removed: args.consent.yes, removable: found, kept, bytes, failures: failures.take() };
    if printer.json {
        printer.document(&report)?;
    } else {
        print(&report, printer)?;
    }
    close
}

/// Removes all of `found`; what was removed.
fn remove(place: &Place<'_>, found: Vec<Item>, failures: &mut Failures, globals: &Globals) -> Vec<Item> {
    let mut removed = Vec::new();
    let work = |item: Item| async move {
        let result: Result<(), DatasetError> = place.remove(&item.garbage).await;
        (item, result)
    };
    block_on(each(found, &globals.cancelled, work, |(item, result)| match result {
        Ok(()) => {
            removed.push(item);
            ControlFlow::Continue(())
        }
        Err(error) => failures.add(Failure::new(&item.name, error)),
    }));
    removed.sort_by(|a, b| a.name.cmp(&b.name));
    removed
}

/// One line of each kind: why with an example, how many, and their bytes.
fn kinds(items: &[Item]) -> Vec<(String, usize, u64)> {
    let mut kinds: BTreeMap<&str, (String, usize, u64)> = BTreeMap::new();
    for item in items {
        let first = || (format!("{}, such as `{}`", item.why, item.name), 0, 0);
        let (_, count, bytes) = kinds.entry(item.kind).or_insert_with(first);
        (*count, *bytes) = (*count + 1, *bytes + item.bytes);
    }
    kinds.into_values().collect()
}

fn print(report: &Report, printer: &Printer) -> Result<(), CliError> {
    if !report.removable.is_empty() {
        let rows =
            kinds(&report.removable).into_iter().map(|(why, items, bytes)| vec![items.to_string(), size(bytes), why]);
        printer.result(&listing(&["items", "size", "what"], rows))?;
        let closing = if report.removed { "removed" } else { "can be removed" };
        printer.result(&format!("\n{} item(s), {} {closing}\n", report.removable.len(), size(report.bytes)))?;
    }
    for (why, items, bytes) in kinds(&report.kept) {
        printer.note(&format!("kept: {items} item(s), {}: {why}", size(bytes)));
    }
    if printer.verbose {
        for item in report.removable.iter().chain(&report.kept) {
            printer.note(&format!("{}: {}: {}", item.kind, item.name, item.why));
        }
    }
    match (report.removable.is_empty(), report.removed) {
        (true, _) => printer.note("there is nothing to remove"),
        (false, false) => printer.note("`ecosight storage gc --yes` removes it"),
        (false, true) => {}
    }
    Ok(())
}

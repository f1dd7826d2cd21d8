//! `ecosight storage ls`: names, sizes and times.

use chrono::{DateTime, SecondsFormat};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Entries, Object};
use serde::Serialize;

use super::tally::warn_of_left_out;
use super::target::{Named, Target};
use crate::ExitStatus;
use crate::cli::args::LsArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report;
use crate::cli::root::size;
use crate::cli::session::Globals;

/// The document.
#[derive(Serialize)]
struct Report {
    place: String,
    folders: Vec<String>,
    objects: Vec<Row>,
    /// Names that cannot be addressed.
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    bytes: u64,
    modified: String,
    etag: Option<String>,
}

impl From<Object> for Row {
    fn from(object: Object) -> Self {
        let modified = time(object.modified_ms);
        Self { name: object.uri, bytes: object.size_bytes, modified, etag: object.etag }
    }
}

/// Runs the verb.
pub(crate) fn ls(args: &LsArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let target = Target::of(&args.place, globals)?;
    let found = block_on(look(&target, args.recursive))?;
    let is_empty = found.folders.is_empty() && found.objects.is_empty() && found.unreadable.is_empty();
    if !target.name.is_empty() && is_empty {
        return Err(absent(&target));
    }
    let below = |name: String| if target.name.is_empty() { name } else { format!("{}/{name}", target.name) };
    let report = Report {
        place: target.address(),
        folders: found.folders.into_iter().map(below).collect(),
        objects: found.objects.into_iter().map(Row::from).collect(),
        unreadable: found.unreadable,
    };
    warn_of_left_out(&report.unreadable, printer);
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    Ok(ExitStatus::Ok)
}

async fn look(target: &Target, recursive: bool) -> Result<Entries, CliError> {
    let Target { store, name, .. } = target;
    let mut found = if recursive {
        let listing = store.list_below(name).await?;
        Entries { folders: Vec::new(), objects: listing.objects, unreadable: listing.unreadable }
    } else {
        store.entries(name).await?
    };
    if found.folders.is_empty() && found.objects.is_empty() && !name.is_empty() {
        // It may be an object itself.
        found.objects.extend(store.look(name).await?);
    }
    Ok(found)
}

/// There is nothing of this name.
pub(super) fn absent(target: &Target) -> CliError {
    // The nearest folder above that has something in it; the store itself otherwise.
    let above = std::iter::successors(target.name.rsplit_once('/'), |(folder, _)| folder.rsplit_once('/'));
    let has_some = |folder: &str| {
        let entries = block_on(target.store.entries(folder)).unwrap_or_default();
        !entries.folders.is_empty() || !entries.objects.is_empty()
    };
    let folder = above.map(|(folder, _)| folder).find(|folder| has_some(folder)).unwrap_or_default();
    let place = match (&target.named, folder) {
        (Named::Below, folder) => folder.to_owned(),
        (Named::Address, "") => target.store.place().to_string(),
        (Named::Address, folder) => target.store.address(folder),
    };
    let word = match place.as_str() {
        "" => String::new(),
        plain if plain.chars().all(|c| c.is_alphanumeric() || "/:._-=".contains(c)) => format!(" {plain}"),
        other => format!(" '{other}'"),
    };
    let error = format!("there is nothing called `{}`", target.address());
    CliError::failed(error, format!("`ecosight storage ls{word}` shows what there is"))
}

/// A time in UTC.
pub(super) fn time(modified_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(modified_ms);
    time.map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn text(report: &Report) -> String {
    if report.folders.is_empty() && report.objects.is_empty() {
        return String::new();
    }
    let folders = report.folders.iter().map(|name| vec![format!("{name}/"), String::new(), String::new()]);
    let objects = report.objects.iter().map(|row| vec![row.name.clone(), size(row.bytes), row.modified.clone()]);
    report::table(&["name", "size", "modified"], folders.chain(objects))
}

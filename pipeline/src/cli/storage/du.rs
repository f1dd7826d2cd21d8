//! `ecosight storage du`: objects and bytes, per area and class.

use std::collections::BTreeMap;

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use serde::Serialize;

use super::ls::absent;
use super::tally::warn_of_left_out;
use super::target::Target;
use crate::ExitStatus;
use crate::cli::args::DuArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report;
use crate::cli::root::size;
use crate::cli::session::Globals;

/// The document.
#[derive(Serialize)]
struct Report {
    place: String,
    folders: Vec<Row>,
    objects: u64,
    bytes: u64,
    /// Names that cannot be addressed, and are not counted.
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    /// `extracted_audio`, or a folder that no area is called.
    area: String,
    /// Class, stage or whatever the area has folders of.
    folder: Option<String>,
    objects: u64,
    bytes: u64,
}

/// Runs the verb.
pub(crate) fn du(args: &DuArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let target = Target::of(&args.place, globals)?;
    let mut listing = block_on(target.store.list_below(&target.name))?;
    if listing.objects.is_empty() && listing.unreadable.is_empty() && !target.name.is_empty() {
        // It may be an object itself.
        listing.objects.extend(block_on(target.store.look(&target.name))?);
        if listing.objects.is_empty() {
            return Err(absent(&target));
        }
    }
    warn_of_left_out(&listing.unreadable, printer);
    let mut sums: BTreeMap<(String, Option<String>), (u64, u64)> = BTreeMap::new();
    for object in &listing.objects {
        let (objects, bytes) = sums.entry(folder(&object.uri)).or_default();
        *objects += 1;
        *bytes += object.size_bytes;
    }
    let report = Report {
        place: target.address(),
        objects: sums.values().map(|(objects, _)| objects).sum(),
        bytes: sums.values().map(|(_, bytes)| bytes).sum(),
        unreadable: listing.unreadable,
        folders: sums
            .into_iter()
            .map(|((area, folder), (objects, bytes))| Row { area, folder, objects, bytes })
            .collect(),
    };
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    Ok(ExitStatus::Ok)
}

/// The area and the folder in it that an object is counted in.
fn folder(name: &str) -> (String, Option<String>) {
    let mut parts = name.split('/');
    let (top, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if second.is_none() {
        return (".".to_owned(), None);
    }
    let is_area = Area::ALL.iter().any(|area| area.name() == top);
    (top.to_owned(), second.filter(|_| is_area && third.is_some()).map(str::to_owned))
}

fn text(report: &Report) -> String {
    let row = |area: &str, folder: &str, objects: u64, bytes: u64| {
        let name = if folder.is_empty() { area.to_owned() } else { format!("{area}/{folder}") };
        vec![name, objects.to_string(), size(bytes)]
    };
    let rows = report.folders.iter().map(|r| row(&r.area, r.folder.as_deref().unwrap_or_default(), r.objects, r.bytes));
    let total = row("total", "", report.objects, report.bytes);
    report::table(&["folder", "objects", "size"], rows.chain([total]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_by_area_and_class() {
        for (name, area, below) in [
            ("extracted_audio/dog/a.wav", "extracted_audio", Some("dog")),
            ("models/production.json", "models", None),
            ("tables/embed/embedder=x/part.parquet", "tables", Some("embed")),
            ("audio/dog/a.wav", "audio", None),
            ("stray.wav", ".", None),
        ] {
            assert_eq!(folder(name), (area.to_owned(), below.map(str::to_owned)), "{name}");
        }
    }
}

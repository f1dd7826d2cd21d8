//! `ecosight gc`: what lies in the data root without being needed, and why; removed only when that is asked for.

use ecosight_stages::embed::Embed;
use ecosight_stages::params;
use toml::Table;

use super::args::{GcArgs, PipelineArgs};
use super::error::CliError;
use super::last_run::LastRun;
use super::printer::Printer;
use super::report::listing;
use super::root::{lock, must_exist, size};
use super::session::{Globals, now};
use crate::ExitStatus;
use crate::engine::gc::{Garbage, Item, Keep, find, remove};
use crate::engine::{holder, own_parameters};

/// Runs the verb.
pub(crate) fn gc(args: &GcArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    let keep = Keep { models: args.keep, runs: args.keep_runs, embedders: embedders(globals) };
    let mut garbage = find(&globals.layout, &keep, now())?;
    if let (false, Ok(Some(holder))) = (args.yes, holder(&globals.layout.lock())) {
        printer.warning(&format!("{holder} is writing this data root: what it is making may be listed, too"));
    }
    if args.yes && !garbage.removable.is_empty() {
        let lock = lock(globals)?;
        // A run may have ended in between.
        garbage = find(&globals.layout, &keep, now())?;
        remove(&globals.layout, &garbage, &lock)?;
    }
    if printer.json {
        let mut document = serde_json::to_value(&garbage)?;
        document["removed"] = args.yes.into();
        document["files"] = garbage.files().into();
        document["bytes"] = garbage.bytes().into();
        printer.document(&document)?;
    } else {
        print(&garbage, args.yes, printer)?;
    }
    Ok(ExitStatus::Ok)
}

fn print(garbage: &Garbage, is_removed: bool, printer: &Printer) -> Result<(), CliError> {
    let row = |item: &Item| {
        let Item { path, files, bytes, why } = item;
        vec![path.clone(), files.to_string(), size(*bytes), why.clone()]
    };
    if !garbage.removable.is_empty() {
        let total = format!("{} file(s), {}", garbage.files(), size(garbage.bytes()));
        let closing = if is_removed { "removed" } else { "can be removed" };
        // A line for each item is for who watches, or asks what there is.
        if is_removed && printer.quiet {
            printer.result(&format!("{total} {closing}\n"))?;
        } else {
            printer.result(&listing(&["path", "files", "size", "why"], garbage.removable.iter().map(row)))?;
            printer.result(&format!("\n{total} {closing}\n"))?;
        }
    }
    for Item { path, files, bytes, why } in &garbage.kept {
        printer.note(&format!("kept: {path} ({files} file(s), {}): {why}", size(*bytes)));
    }
    match (garbage.removable.is_empty(), is_removed) {
        (true, _) => printer.note("there is nothing to remove"),
        (false, false) => printer.note("`ecosight gc --yes` removes it"),
        (false, true) => {}
    }
    Ok(())
}

/// Names of the embedders that the pipeline file and the last run declare, as far as they can be told: an interrupted run may have
/// worked with one that no table has yet.
fn embedders(globals: &Globals) -> Vec<String> {
    let declared = globals.pipeline(&PipelineArgs::default(), &[]).ok().map(|pipeline| pipeline.table);
    let last = LastRun::read(&globals.layout).ok().flatten().map(|last| last.pipeline);
    let tables = [declared, last].into_iter().flatten();
    tables.filter_map(|table| slug(&table, globals)).collect()
}

fn slug(pipeline: &Table, globals: &Globals) -> Option<String> {
    let embed: Embed = params::parse(&own_parameters(pipeline, "embed").unwrap_or_default()).ok()?;
    Some(embed.spec().identify(&globals.weights).ok()?.slug())
}

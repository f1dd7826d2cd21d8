//! `ecosight storage verify`: the local recordings beside those in the bucket.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Depth, Object, Store, each};
use serde::Serialize;

use super::left_out::{LeftOut, Sorted, names, sort, tell};
use super::tally::{Failure, Failures, bar};
use super::target::{bucket, connect};
use crate::ExitStatus;
use crate::cli::args::StorageVerifyArgs;
use crate::cli::error::CliError;
use crate::cli::ingest::rules;
use crate::cli::printer::Printer;
use crate::cli::root::must_exist;
use crate::cli::session::Globals;

/// The document.
#[derive(Serialize)]
struct Report<'a> {
    local: String,
    bucket: String,
    /// Files that are there with the same content.
    same: usize,
    /// Those of them that have another name there.
    renamed: BTreeMap<String, String>,
    /// Files that `migrate` would not bring there.
    left_out: Vec<LeftOut>,
    /// Files that are not in the bucket.
    missing: Vec<String>,
    /// Files whose objects hold something else.
    different: Vec<String>,
    /// Objects that no local file belongs to.
    extra: Vec<String>,
    failures: &'a [Failure],
}

/// Runs the verb.
pub(crate) fn verify(args: &StorageVerifyArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let remote = connect(&bucket(globals)?, globals)?;
    must_exist(globals)?;
    let local = Store::folder(globals.layout.root())?;
    let (files, mut objects) = block_on(both(&local, &remote))?;
    let Sorted { elsewhere, left_out } = sort(&files, &objects, globals)?;
    let left = names(&left_out);
    let depth = if args.deep { Depth::Content } else { Depth::Tag };
    let bar = bar(files.iter().map(|file| file.size_bytes).sum(), printer);
    let (mut missing, mut pairs) = (Vec::new(), Vec::new());
    for file in files {
        match (objects.remove(&file.uri), elsewhere.get(&file.uri)) {
            (Some(object), _) => pairs.push((file.uri, object)),
            (None, Some(object)) => pairs.push((file.uri, object.clone())),
            (None, None) if left.contains(file.uri.as_str()) => {}
            (None, None) => missing.push(file.uri),
        }
    }
    for object in elsewhere.values() {
        objects.remove(&object.uri);
    }
    let (mut same, mut different, mut failures) = (0, Vec::new(), Failures::default());
    let work = |(name, object): (String, Object)| {
        let remote = &remote;
        async move {
            let path = globals.layout.root().join(&name);
            let holds = remote.holds(&object, &path, depth).await;
            (name, object.size_bytes, holds)
        }
    };
    block_on(each(pairs, &globals.cancelled, work, |(name, bytes, holds)| {
        bar.inc(bytes);
        match holds {
            Ok(true) => same += 1,
            Ok(false) => different.push(name),
            Err(error) => return failures.add(Failure::new(&name, error)),
        }
        ControlFlow::Continue(())
    }));
    bar.finish_and_clear();
    different.sort();
    let report = Report {
        local: globals.layout.extracted_audio().display().to_string(),
        bucket: remote.address(Area::ExtractedAudio.name()),
        same,
        renamed: elsewhere.into_iter().map(|(name, object)| (name, object.uri)).collect(),
        left_out,
        missing,
        different,
        extra: objects.into_keys().collect(),
        failures: failures.sorted(),
    };
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    tell(&report.left_out, printer);
    // Who drops local copies has objects that no file belongs to.
    let is_extra_fine = report.extra.is_empty() || !rules(globals, globals.access()?)?.keep_local;
    let is_alike = report.missing.is_empty() && report.different.is_empty() && is_extra_fine;
    if !report.missing.is_empty() {
        printer.note("hint: `ecosight storage migrate` uploads what is missing");
    }
    let status = failures.close(globals.is_cancelled(), "run it again; nothing was changed", printer)?;
    Ok(if status == ExitStatus::Ok && !is_alike { ExitStatus::Failed } else { status })
}

/// The originals here, and those in the bucket by name.
pub(super) async fn both(
    local: &Store,
    remote: &Store,
) -> Result<(Vec<Object>, BTreeMap<String, Object>), ecosight_datasets::DatasetError> {
    let area = Area::ExtractedAudio.name();
    let files = local.list_below(area).await?.objects;
    let objects = remote.list_below(area).await?.objects;
    Ok((files, objects.into_iter().map(|object| (object.uri.clone(), object)).collect()))
}

fn text(report: &Report<'_>) -> String {
    let lists = [("missing", &report.missing), ("different", &report.different), ("extra", &report.extra)];
    let lines = lists.iter().flat_map(|(word, names)| names.iter().map(move |name| format!("{word:<10} {name}\n")));
    let renamed = match report.renamed.len() {
        0 => String::new(),
        count => format!(" ({count} under another name)"),
    };
    let closing = format!(
        "{} same{renamed}, {} missing in the bucket, {} different, {} in the bucket alone, {} not compared\n",
        report.same,
        report.missing.len(),
        report.different.len(),
        report.extra.len(),
        report.failures.len()
    );
    lines.chain([closing]).collect()
}

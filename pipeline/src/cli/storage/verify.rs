//! `ecosight storage verify`: the recordings of this data root beside those in the bucket.
//!
//! A recording belongs to this data root where its file is here, or where the index of tracks says that it was taken in here. Several data
//! roots may upload into one bucket: what the others have there is counted, and is no failure unless the whole bucket is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Depth, Object, Store, each};
use ecosight_datasets::tracks::{Track, Tracks};
use serde::Serialize;

use super::left_out::{LeftOut, Sorted, names, sort, tell};
use super::tally::{Failure, Failures, bar};
use super::target::{bucket, connect};
use crate::ExitStatus;
use crate::cli::args::StorageVerifyArgs;
use crate::cli::error::CliError;
use crate::cli::escape::one_line;
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
    /// Files, and recordings of which no copy is kept here, that are not in the bucket.
    missing: Vec<String>,
    /// Files whose objects hold something else.
    different: Vec<String>,
    /// Objects whose files were kept here and are gone.
    gone_here: Vec<String>,
    /// Objects that no local file belongs to: of other data roots, or of recordings of which no copy is kept here.
    extra: Vec<String>,
    failures: &'a [Failure],
}

/// Runs the verb.
pub(crate) fn verify(args: &StorageVerifyArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let remote = connect(&bucket(globals)?, globals)?;
    must_exist(globals)?;
    let local = Store::folder(globals.layout.root())?;
    let (files, mut objects) = block_on(both(&local, &remote))?;
    let index = Tracks::find(&globals.layout)?.map(|tracks| tracks.all()).transpose()?.unwrap_or_default();
    let own: Vec<Own> = index.into_iter().filter_map(|track| Own::of(track, &remote.identity())).collect();
    let Sorted { elsewhere, left_out } = sort(&files, &objects, globals)?;
    let left = names(&left_out);
    let depth = if args.deep { Depth::Content } else { Depth::Tag };
    let bar = bar(files.iter().map(|file| file.size_bytes).sum(), printer);
    let is_lost = |own: &&Own| !own.is_kept_here && !objects.contains_key(&own.name);
    let mut missing: Vec<String> = own.iter().filter(is_lost).map(|own| own.name.clone()).collect();
    let mut pairs = Vec::new();
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
    let kept: BTreeSet<&str> = own.iter().filter(|own| own.is_kept_here).map(|own| own.name.as_str()).collect();
    let (gone_here, extra) = objects.into_keys().partition(|name| kept.contains(name.as_str()));
    let report = Report {
        local: globals.layout.extracted_audio().display().to_string(),
        bucket: remote.address(Area::ExtractedAudio.name()),
        same,
        renamed: elsewhere.into_iter().map(|(name, object)| (name, object.uri)).collect(),
        left_out,
        missing,
        different,
        gone_here,
        extra,
        failures: failures.sorted(),
    };
    // Who drops local copies has objects that no file belongs to.
    let wants_copies = || Ok::<_, CliError>(rules(globals, globals.access()?)?.keep_local);
    let is_alone = !report.gone_here.is_empty() || args.all && !report.extra.is_empty();
    let is_alike = report.missing.is_empty() && report.different.is_empty() && !(is_alone && wants_copies()?);
    if printer.json {
        printer.document(&report)?;
    } else {
        // Names of what others have uploaded are of no use here.
        let names_extra = args.all || printer.verbose;
        printer.outcome(!is_alike || !report.failures.is_empty(), &text(&report, names_extra))?;
    }
    tell(&report.left_out, printer);
    if !report.missing.is_empty() {
        printer.note("hint: `ecosight storage migrate` uploads what is here and missing there; `storage reindex` finds what was renamed");
    }
    if !report.gone_here.is_empty() {
        printer.note("hint: `ecosight storage get NAME` fetches a recording again");
    }
    let status = failures.close(globals.is_cancelled(), "run it again; nothing was changed", printer)?;
    Ok(if status == ExitStatus::Ok && !is_alike { ExitStatus::Failed } else { status })
}

/// A recording that was taken in here and is in the bucket, as the index of tracks says.
struct Own {
    /// The name of its object.
    name: String,
    /// Whether a copy is kept in the data root.
    is_kept_here: bool,
}

impl Own {
    /// What `track` is in the bucket called `identity`; none where it is not there.
    fn of(track: Track, identity: &str) -> Option<Self> {
        let name = track.s3_object_key.filter(|_| track.s3_bucket.as_deref() == Some(identity))?;
        Some(Self { name, is_kept_here: track.path.is_some() })
    }
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

fn text(report: &Report<'_>, names_extra: bool) -> String {
    let none = Vec::new();
    let extra = if names_extra { &report.extra } else { &none };
    let lists = [
        ("missing", &report.missing),
        ("different", &report.different),
        ("gone here", &report.gone_here),
        ("extra", extra),
    ];
    let lines =
        lists.iter().flat_map(|(word, names)| names.iter().map(move |name| format!("{word:<10} {}\n", one_line(name))));
    let renamed = match report.renamed.len() {
        0 => String::new(),
        count => format!(" ({count} under another name)"),
    };
    let closing = format!(
        "{} same{renamed}, {} missing in the bucket, {} different, {} gone here, {} in the bucket alone, {} not compared\n",
        report.same,
        report.missing.len(),
        report.different.len(),
        report.gone_here.len(),
        report.extra.len(),
        report.failures.len()
    );
    lines.chain([closing]).collect()
}

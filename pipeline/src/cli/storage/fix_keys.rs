//! `ecosight storage fix-keys`: finds recordings whose keys do not fit the layout, and moves them.

mod mover;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use ecosight_datasets::layout::{AudioKey, ClassName, Meant, Mended, meant, mended};
use ecosight_datasets::manifest::Beside;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, each, is_path};
use serde::Serialize;

use super::tally::{Failure, Failures, warn_of_left_out};
use super::target::root;
use crate::ExitStatus;
use crate::cli::args::FixKeysArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::listing;
use crate::cli::root::size;
use crate::cli::session::{Globals, absolute};
use mover::{Found, Mover};

/// A recording under a wrong key.
#[derive(Clone, Serialize)]
pub(super) struct Wrong {
    pub(super) key: String,
    bytes: u64,
    /// What it should be called; with a hash of its content where that is another recording's name already.
    new: String,
    /// Where it is called so.
    places: Vec<String>,
    /// The same, as numbers of movers.
    #[serde(skip)]
    sides: Vec<usize>,
    /// Its entity tag, where it is in a bucket.
    #[serde(skip)]
    etag: Option<String>,
    #[serde(skip)]
    class: ClassName,
    #[serde(skip)]
    time: String,
    #[serde(skip)]
    name: String,
}

/// A recording of which nobody can tell where it belongs.
#[derive(Serialize)]
struct Unclear {
    key: String,
    why: &'static str,
    #[serde(skip)]
    remedy: &'static str,
}

/// What mends most of what is unclear.
const ANEW: &str = "`ecosight ingest` files it anew (fetch it first with `ecosight storage get` if it is in a bucket), then remove this one";

/// What removes or renames an object that only tools of the server can name.
const BY_OTHER_MEANS: &str =
    "remove or rename it with the tools of the server, such as `aws s3api delete-object --bucket BUCKET --key KEY`";

/// The document.
#[derive(Serialize)]
struct Report {
    place: String,
    moved: bool,
    wrong: Vec<Wrong>,
    unclear: Vec<Unclear>,
    failures: Vec<Failure>,
}

/// Runs the verb.
pub(crate) fn fix_keys(args: &FixKeysArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let place = if args.place.is_empty() { root(globals)? } else { Place::parse(&args.place)? };
    let mut places = vec![place.clone()];
    // A recording has one name on both sides.
    let is_configured = globals.access()?.settings.configured().is_ok_and(|configured| *configured == place);
    if is_configured && globals.layout.root().is_dir() {
        places.push(Place::Local(absolute(globals.layout.root())?));
    }
    let movers: Vec<Mover<'_>> =
        places.iter().map(|place| Mover::new(place, globals)).collect::<Result<_, CliError>>()?;
    // By key: the time of the first change, and where it lies.
    let mut keys: BTreeMap<String, (Found, Vec<usize>)> = BTreeMap::new();
    for (side, mover) in movers.iter().enumerate() {
        let (found, unreadable) = block_on(mover.list())?;
        warn_of_left_out(&unreadable, printer);
        if side == 0 && !args.place.is_empty() {
            refuse_inside(&place, &found)?;
        }
        for object in found {
            let (first, sides) = keys.entry(object.key.clone()).or_insert_with(|| (object.clone(), Vec::new()));
            first.modified_ms = first.modified_ms.min(object.modified_ms);
            sides.push(side);
        }
    }
    let names: Vec<&str> = keys.keys().map(String::as_str).collect();
    let labelled = Beside::labelled(&names);
    let mut report = Report {
        place: place.to_string(),
        moved: args.consent.yes,
        wrong: Vec::new(),
        unclear: Vec::new(),
        failures: Vec::new(),
    };
    for (object, sides) in keys.values() {
        match mended(&object.key, object.modified_ms) {
            Mended::Fine if !is_path(&object.key) => {
                let why = "no path can be called so, and it is no recording";
                report.unclear.push(Unclear { key: object.key.clone(), why, remedy: BY_OTHER_MEANS });
            }
            Mended::Fine => {}
            Mended::Unclear(why) => {
                report.unclear.push(Unclear { key: object.key.clone(), why, remedy: ANEW });
            }
            Mended::Better { .. } if labelled.contains(object.key.as_str()) => {
                let (why, remedy) = ("a file with labels lies beside it", "move both by hand");
                report.unclear.push(Unclear { key: object.key.clone(), why, remedy });
            }
            Mended::Better { class, time, name } => {
                let new = AudioKey::new(&class, &time, &name, None).to_string();
                let key = object.key.clone();
                let (bytes, etag, sides) = (object.size_bytes, object.etag.clone(), sides.clone());
                let places = sides.iter().map(|side| places[*side].to_string()).collect();
                report.wrong.push(Wrong { key, bytes, new, places, sides, etag, class, time, name });
            }
        }
    }
    let mut failures = Failures::default();
    if args.consent.yes {
        apply(&movers, &mut report.wrong, &mut failures, globals);
    }
    let close = failures.close(globals.is_cancelled(), "run it again: it goes on where it stopped", printer);
    report.failures = failures.take();
    if printer.json {
        printer.document(&report)?;
    } else {
        print(&report, printer)?;
    }
    let status = close?;
    let is_left = args.consent.yes && !report.unclear.is_empty();
    Ok(if status == ExitStatus::Ok && is_left { ExitStatus::Failed } else { status })
}

/// Keys say where recordings belong only as seen from the root of the store: another place is refused.
fn refuse_inside(place: &Place, found: &[Found]) -> Result<(), CliError> {
    let path = place.local().and_then(|path| path.canonicalize().ok());
    let mut here = path.map_or_else(|| place.clone(), Place::Local);
    for depth in 0..2 {
        let (above, name) = here.split();
        let is_inside = match meant(&name) {
            None => false,
            Some(Meant::Surely) => true,
            Some(Meant::Maybe) => {
                let is_root =
                    |object: &Found| object.key.split('/').find(|part| !part.is_empty()).and_then(meant).is_some();
                depth == 0 && !found.iter().any(is_root)
            }
        };
        if is_inside {
            let error = format!("`{place}` lies within a store, and what belongs where is told from its root");
            return Err(CliError::usage(error, format!("name the root: `ecosight storage fix-keys {above}`")));
        }
        here = above;
    }
    Ok(())
}

/// Moves all of `wrong`; those that were moved stay in it, under their new names.
fn apply(movers: &[Mover<'_>], wrong: &mut Vec<Wrong>, failures: &mut Failures, globals: &Globals) {
    // Those that want the same name take turns.
    let mut groups: BTreeMap<String, Vec<Wrong>> = BTreeMap::new();
    for wrong in wrong.drain(..) {
        groups.entry(wrong.new.clone()).or_default().push(wrong);
    }
    let work = |group: Vec<Wrong>| async move {
        let mut results = Vec::new();
        for wrong in group {
            let mut result = Ok(None);
            for side in &wrong.sides {
                // What the first side has called it, the other does as well, if it can.
                if let Ok(named) = result {
                    result = movers[*side].bring(&wrong, named.as_deref()).await.map(|new| named.or(Some(new)));
                }
            }
            results.push((wrong, result));
        }
        results
    };
    let moved = &mut *wrong;
    block_on(each(groups.into_values(), &globals.cancelled, work, |results| {
        let mut flow = ControlFlow::Continue(());
        for (wrong, result) in results {
            match result {
                Ok(new) => moved.push(Wrong { new: new.unwrap_or(wrong.new), ..wrong }),
                Err(error) => flow = failures.add(Failure::new(&wrong.key, error)),
            }
        }
        flow
    }));
    wrong.sort_by(|a, b| a.key.cmp(&b.key));
}

fn print(report: &Report, printer: &Printer) -> Result<(), CliError> {
    let Report { wrong, unclear, moved, .. } = report;
    if !wrong.is_empty() {
        let row = |wrong: &Wrong| {
            vec![wrong.key.escape_debug().to_string(), wrong.new.clone(), size(wrong.bytes), wrong.places.join(", ")]
        };
        let new = if *moved { "is now" } else { "should be" };
        printer.result(&listing(&["key", new, "size", "where"], wrong.iter().map(row)))?;
    }
    for Unclear { key, why, remedy } in unclear {
        printer.note(&format!("unclear: {}: {why}; {remedy}", key.escape_debug()));
    }
    let names: BTreeSet<_> = wrong.iter().map(|wrong| &wrong.new).collect();
    match (wrong.is_empty(), *moved) {
        (true, _) if unclear.is_empty() && report.failures.is_empty() => {
            printer.note("all recordings lie where they belong");
        }
        (true, _) => {}
        (false, true) => printer.note(&format!(
            "{} moved; `ecosight storage reindex` tells the index of those that it did not know",
            wrong.len()
        )),
        (false, false) => {
            if names.len() < wrong.len() {
                printer.note("where two want one name, a hash of the content tells them apart");
            }
            printer.note(&format!("{} to move: `ecosight storage fix-keys --yes` does it", wrong.len()));
        }
    }
    Ok(())
}

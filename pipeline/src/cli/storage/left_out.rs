//! Local files that do not go into the bucket, and why.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::{Area, ClassName};
use ecosight_datasets::manifest::Beside;
use ecosight_datasets::removals::Removals;
use ecosight_datasets::store::{Object, Twins};
use ecosight_datasets::tracks::Tracks;
use ecosight_stages::ingest::{Rules, refusal};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::ingest::rules;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// A file that stays where it is.
#[derive(Serialize)]
pub(super) struct LeftOut {
    pub(super) name: String,
    why: String,
}

/// What is known of the local files that have no object of their own name.
pub(super) struct Sorted {
    /// The objects with the same content under another name of the same class.
    pub(super) elsewhere: BTreeMap<String, Object>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Sorts the local `files` that no object is called as. They are read, several at a time.
pub(super) fn sort(
    files: &[Object],
    objects: &BTreeMap<String, Object>,
    globals: &Globals,
) -> Result<Sorted, CliError> {
    let twins = Twins::of(objects.values());
    let rules = rules(globals, globals.access()?)?;
    let withdrawn = Tracks::find(&globals.layout)?.map(|tracks| tracks.withdrawn()).transpose()?.unwrap_or_default();
    let removals = Removals::read(&globals.layout)?;
    let names: Vec<&str> = files.iter().map(|file| file.uri.as_str()).collect();
    let labels = Beside::labels(&names);
    let look = |file: &&Object| -> Result<(String, Option<Object>, Option<String>), DatasetError> {
        let (name, path) = (file.uri.clone(), globals.layout.root().join(&file.uri));
        if globals.is_cancelled() {
            return Ok((name, None, None));
        }
        if withdrawn.contains(&name) || is_removed(&removals, &name, &path)? {
            let why = "it was removed with `ecosight storage rm`; `ecosight ingest --restore` takes it in again";
            return Ok((name, None, Some(why.to_owned())));
        }
        if let Some(object) = twins.find(&name, &path)? {
            return Ok((name, Some(object.clone()), None));
        }
        let why = if labels.contains(name.as_str()) { None } else { why_not(&name, &path, &rules) };
        Ok((name, None, why))
    };
    let alone: Vec<&Object> = files.iter().filter(|file| !objects.contains_key(&file.uri)).collect();
    let looked: Vec<_> = alone.par_iter().map(look).collect::<Result<_, DatasetError>>()?;
    let mut sorted = Sorted { elsewhere: BTreeMap::new(), left_out: Vec::new() };
    for (name, object, why) in looked {
        sorted.left_out.extend(why.map(|why| LeftOut { name: name.clone(), why }));
        sorted.elsewhere.extend(object.map(|object| (name, object)));
    }
    Ok(sorted)
}

/// Whether the recording `name` at `path` was removed on purpose.
fn is_removed(removals: &Removals, name: &str, path: &std::path::Path) -> Result<bool, DatasetError> {
    if removals.is_empty() {
        return Ok(false);
    }
    let failed = DatasetError::at("read file", path);
    let hash = std::fs::File::open(path).and_then(ContentHash::of_reader).map_err(failed)?;
    Ok(name.split('/').nth(1).is_some_and(|class| removals.find(&hash, class).is_some()))
}

/// Why `ingest` would not take it.
fn why_not(name: &str, path: &std::path::Path, rules: &Rules) -> Option<String> {
    let below = name.strip_prefix(Area::ExtractedAudio.name()).unwrap_or(name).trim_start_matches('/');
    let Some((class, file)) = below.split_once('/').filter(|(_, file)| !file.contains('/')) else {
        return Some(
            "it does not lie in the folder of a class; `ecosight storage fix-keys` may know better".to_owned(),
        );
    };
    if let Err(problem) = ClassName::new(class) {
        return Some(format!("{problem}; `ecosight storage fix-keys` proposes a better name for `{file}`"));
    }
    refusal(path, rules).map(|no| format!("{}: {} ({})", no.code, no.message, no.hint))
}

/// Tells some of them, or all with `-v`.
pub(super) fn tell(left_out: &[LeftOut], printer: &Printer) {
    const SHOWN: usize = 10;
    let shown = if printer.verbose { left_out.len() } else { SHOWN };
    for LeftOut { name, why } in left_out.iter().take(shown) {
        printer.note(&format!("left out: {name}: {why}"));
    }
    if left_out.len() > shown {
        printer.note(&format!("… and {} more; `-v` shows them all, and so does `--json`", left_out.len() - shown));
    }
}

/// Their names.
pub(super) fn names(left_out: &[LeftOut]) -> BTreeSet<&str> {
    left_out.iter().map(|left| left.name.as_str()).collect()
}

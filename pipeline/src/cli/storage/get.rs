//! `ecosight storage get`: copies an object or a folder to this machine.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ecosight_datasets::DatasetError;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Depth, Listing, Object, Store, each};
use serde_json::json;

use super::ls::absent;
use super::tally::{Failure, Failures, bar, step, warn_of_left_out};
use super::target::Target;
use crate::ExitStatus;
use crate::cli::args::GetArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Objects, each with the file that it becomes.
type Wanted = Vec<(Object, PathBuf)>;

/// What came of one object.
enum Got {
    New,
    /// It was there already.
    Same,
}

/// Runs the verb.
pub(crate) fn get(args: &GetArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let target = Target::of(&args.name, globals)?;
    let (wanted, unreadable) = wanted(&target, args)?;
    warn_of_left_out(&unreadable, printer);
    let bar = bar(wanted.iter().map(|(object, _)| object.size_bytes).sum(), printer);
    let (mut new, mut same, mut failures) = (Vec::new(), Vec::new(), Failures::default());
    let work = |(object, path): (Object, PathBuf)| {
        let (store, bar) = (&target.store, &bar);
        async move {
            let got = copy(store, &object, &path, args, &step(bar)).await;
            (object.uri, path, got)
        }
    };
    block_on(each(wanted, &globals.cancelled, work, |(name, path, got)| {
        match got {
            Ok(Got::New) => new.push(path),
            Ok(Got::Same) => same.push(path),
            Err(error) => return failures.add(Failure::new(&name, error)),
        }
        ControlFlow::Continue(())
    }));
    bar.finish_and_clear();
    new.sort();
    same.sort();
    if printer.json {
        let document =
            json!({ "dry_run": args.dry_run, "fetched": new, "skipped": same, "failures": failures.sorted() });
        printer.document(&document)?;
    } else {
        printer.list(new.iter().map(|path| path.display().to_string()))?;
        let verb = if args.dry_run { "to fetch" } else { "fetched" };
        printer.note(&format!("{} {verb}, {} there already, {} failed", new.len(), same.len(), failures.len()));
    }
    failures.close(globals.is_cancelled(), "run it again: it goes on where it stopped", printer)
}

/// The objects to get, each with the file that it becomes, and messages on those whose names cannot be addressed.
fn wanted(target: &Target, args: &GetArgs) -> Result<(Wanted, Vec<String>), CliError> {
    let Target { store, name, .. } = target;
    if args.recursive {
        let folder = match &args.destination {
            Some(folder) => folder.clone(),
            None if name.is_empty() => {
                return Err(CliError::usage("this is a whole store", "name the folder it is copied to"));
            }
            None => PathBuf::from(target.last()),
        };
        let Listing { objects, unreadable, .. } = block_on(store.list_below(name))?;
        if objects.is_empty() && unreadable.is_empty() {
            return Err(absent(target));
        }
        let path = |object: &Object| {
            let below = object.uri.strip_prefix(name.as_str()).unwrap_or(&object.uri).trim_start_matches('/');
            below.split('/').fold(folder.clone(), |path, part| path.join(part))
        };
        let wanted = objects.into_iter().map(|object| (path(&object), object)).map(|(p, o)| (o, p)).collect();
        return Ok((wanted, unreadable));
    }
    let is_folder = name.is_empty() || store.place().local().is_some_and(|root| root.join(name).is_dir());
    let object = if is_folder { None } else { block_on(store.look(name))? };
    let Some(object) = object else {
        let entries = block_on(store.entries(name))?;
        let is_absent = entries.folders.is_empty() && entries.objects.is_empty() && entries.unreadable.is_empty();
        return Err(if is_absent {
            absent(target)
        } else {
            CliError::usage(
                format!("`{}` is a folder", target.address()),
                "add `--recursive` to get all that lies in it",
            )
        });
    };
    let path = match &args.destination {
        None => PathBuf::from(target.last()),
        Some(path) if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') => path.join(target.last()),
        Some(path) => path.clone(),
    };
    Ok((vec![(object, path)], Vec::new()))
}

async fn copy(
    store: &Store,
    object: &Object,
    path: &Path,
    args: &GetArgs,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Got, DatasetError> {
    let at = || path.display().to_string();
    if path.is_dir() {
        return Err(DatasetError::invalid("write file", at(), "a folder is there"));
    }
    if path.exists() {
        if store.holds(object, path, Depth::Tag).await? {
            progress(object.size_bytes);
            return Ok(Got::Same);
        }
        if !args.overwrite {
            return Err(DatasetError::invalid("write file", at(), "another file is there; `--overwrite` replaces it"));
        }
    }
    if args.dry_run {
        return Ok(Got::New);
    }
    if store.download(&object.uri, path, progress).await? {
        return Ok(Got::New);
    }
    Err(DatasetError::invalid("download", store.address(&object.uri), "it is not there any more"))
}

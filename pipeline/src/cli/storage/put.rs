//! `ecosight storage put`: copies files into the store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Created, Depth, Labels, Object, Room, Store, Written, each, media_type};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use serde_json::json;

use super::tally::{Failure, Failures, bar, step};
use super::target::Target;
use crate::ExitStatus;
use crate::cli::args::PutArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Runs the verb.
pub(crate) fn put(args: &PutArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let Some((to, files)) = args.words.split_last() else { return Err(CliError::bug()) };
    let target = Target::of(to, globals)?;
    let files = names(files, to, &target)?;
    let bytes = files.iter().filter_map(|(path, _)| path.metadata().ok()).map(|meta| meta.len()).sum();
    let (bar, room) = (bar(bytes, printer), Room::default());
    let (mut new, mut same, mut failures) = (Vec::new(), Vec::new(), Failures::default());
    let work = |(path, name): (PathBuf, String)| {
        let (store, bar, room) = (&target.store, &bar, &room);
        async move {
            let sent = send(store, &path, &name, args, room, &step(bar)).await;
            (name, sent)
        }
    };
    block_on(each(files, &globals.cancelled, work, |(name, sent)| {
        match sent {
            Ok(Created::New(_)) => new.push(name),
            Ok(Created::Same(_)) => same.push(name),
            Err(error) if matches!(error.kind, DatasetErrorKind::Conflict) => {
                let address = target.store.address(&name);
                return failures.add(Failure::because(
                    &address,
                    "something else is there",
                    "`--overwrite` replaces what is there",
                ));
            }
            Err(error) => return failures.add(Failure::new(&name, error)),
        }
        ControlFlow::Continue(())
    }));
    bar.finish_and_clear();
    let address = |names: &mut Vec<String>| {
        names.sort();
        names.iter().map(|name| target.store.address(name)).collect::<Vec<_>>()
    };
    let (new, same) = (address(&mut new), address(&mut same));
    if printer.json {
        printer.document(
            &json!({ "dry_run": args.dry_run, "stored": new, "skipped": same, "failures": failures.sorted() }),
        )?;
    } else {
        printer.list(&new)?;
        let verb = if args.dry_run { "to store" } else { "stored" };
        printer.note(&format!("{} {verb}, {} there already, {} failed", new.len(), same.len(), failures.len()));
    }
    failures.close(globals.is_cancelled(), "run it again: what is stored is not sent again", printer)
}

/// The files, each with the name that it gets.
fn names(files: &[String], to: &str, target: &Target) -> Result<Vec<(PathBuf, String)>, CliError> {
    let is_folder = files.len() > 1 || to.ends_with('/') || target.name.is_empty();
    let mut named = BTreeMap::new();
    for file in files {
        let path = Path::new(file);
        if !path.is_file() {
            let why = if path.is_dir() { "it is a folder" } else { "there is no such file" };
            return Err(CliError::usage(
                format!("cannot store `{file}`: {why}"),
                "name files first and then where they go; `ecosight storage migrate` brings all recordings into the bucket",
            ));
        }
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let name = match (is_folder, target.name.as_str()) {
            (false, name) => name.to_owned(),
            (true, "") => own.into_owned(),
            (true, folder) => format!("{folder}/{own}"),
        };
        if let Some(other) = named.insert(name.clone(), path.to_owned()).filter(|other| other != path) {
            let error = format!("`{}` and `{file}` would both be stored as `{name}`", other.display());
            return Err(CliError::usage(error, "store them one by one, under names of their own"));
        }
    }
    Ok(named.into_iter().map(|(name, path)| (path, name)).collect())
}

async fn send(
    store: &Store,
    path: &Path,
    name: &str,
    args: &PutArgs,
    room: &Room,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Created, DatasetError> {
    let labels =
        Labels { content_type: Some(media_type(path)?.to_owned()), metadata: args.metadata.iter().cloned().collect() };
    let size = path.metadata().map_err(DatasetError::at("read file", path))?.len();
    if args.dry_run {
        let written = |object: Object| Written { etag: object.etag, size_bytes: object.size_bytes };
        return match store.look(name).await? {
            None => Ok(Created::New(Written { etag: None, size_bytes: size })),
            Some(object) if store.holds(&object, path, Depth::Tag).await? => Ok(Created::Same(written(object))),
            Some(object) if args.overwrite => Ok(Created::New(written(object))),
            Some(_) => Err(DatasetError::new("upload", store.address(name), DatasetErrorKind::Conflict)),
        };
    }
    let _room = room.take(size).await;
    if args.overwrite {
        return store.upload(path, name, &labels, progress).await.map(Created::New);
    }
    store.upload_new(path, name, &labels, progress).await
}

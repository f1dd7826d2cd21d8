//! `ecosight storage migrate`: brings the local recordings into the bucket.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use ecosight_datasets::files::folder_of;
use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Created, Depth, Labels, Object, Room, Store, each, media_type};
use ecosight_datasets::tracks::{InBucket, LocalCopy, Tracks};
use ecosight_datasets::{DatasetError, DatasetErrorKind};
use serde::Serialize;

use super::left_out::{LeftOut, Sorted, names, sort, tell};
use super::tally::{Failure, Failures, bar, step};
use super::target::{bucket, connect};
use super::verify::both;
use crate::ExitStatus;
use crate::cli::args::MigrateArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::root::{must_exist, size};
use crate::cli::session::Globals;

/// The document.
#[derive(Default, Serialize)]
struct Report {
    from: String,
    to: String,
    dry_run: bool,
    uploaded: u64,
    /// There already, with the same content, or left out.
    skipped: u64,
    /// What `ingest` would reject, or was removed from the bucket by name.
    left_out: Vec<LeftOut>,
    failed: u64,
    /// All files, those that were not come to before an interruption included.
    total: u64,
    uploaded_bytes: u64,
    /// Local files that were removed after they were verified in the bucket.
    deleted: u64,
    failures: Vec<Failure>,
}

/// What came of one file.
struct Moved {
    is_new: bool,
    is_deleted: bool,
}

/// Runs the verb.
pub(crate) fn migrate(args: &MigrateArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let remote = connect(&bucket(globals)?, globals)?;
    must_exist(globals)?;
    let local = Store::folder(globals.layout.root())?;
    if !args.dry_run {
        // What others have removed is not brought back.
        block_on(Journal::Removals.exchange(&globals.layout, &remote))?;
    }
    let (files, objects) = block_on(both(&local, &remote))?;
    let total = files.len() as u64;
    let Sorted { elsewhere, left_out } = sort(&files, &objects, globals)?;
    let left = names(&left_out);
    let files: Vec<_> = files.into_iter().filter(|file| !left.contains(file.uri.as_str())).collect();
    let mut report = Report {
        from: globals.layout.extracted_audio().display().to_string(),
        to: remote.address(Area::ExtractedAudio.name()),
        dry_run: args.dry_run,
        total,
        skipped: left_out.len() as u64,
        ..Report::default()
    };
    let bar = bar(files.iter().map(|file| file.size_bytes).sum(), printer);
    let mut failures = Failures::default();
    let mover = Mover {
        remote: &remote,
        objects: &objects,
        elsewhere: &elsewhere,
        identity: remote.identity(),
        args,
        root: globals.layout.root(),
        room: Room::default(),
        tracks: Tracks::find(&globals.layout)?,
        now_ms: globals.started.timestamp_millis(),
    };
    let work = |file: Object| {
        let (mover, bar) = (&mover, &bar);
        async move {
            let moved = mover.bring(&file, &step(bar)).await;
            (file, moved)
        }
    };
    block_on(each(files, &globals.cancelled, work, |(file, moved)| {
        match moved {
            Ok(Moved { is_new, is_deleted }) => {
                report.uploaded += u64::from(is_new);
                report.uploaded_bytes += if is_new { file.size_bytes } else { 0 };
                report.skipped += u64::from(!is_new);
                report.deleted += u64::from(is_deleted);
            }
            Err(error) => return failures.add(failure(&file.uri, error)),
        }
        ControlFlow::Continue(())
    }));
    bar.finish_and_clear();
    report.failed = failures.len() as u64;
    let status = failures.close(globals.is_cancelled(), "run it again: it goes on where it stopped", printer);
    report.failures = failures.take();
    report.left_out = left_out;
    tell(&report.left_out, printer);
    if printer.json {
        printer.document(&report)?;
    } else {
        let has_changed = report.dry_run || report.uploaded + report.deleted + report.failed > 0;
        printer.outcome(has_changed, &text(&report))?;
    }
    status
}

fn failure(name: &str, error: DatasetError) -> Failure {
    if matches!(error.kind, DatasetErrorKind::Conflict) {
        let hint = "`ecosight storage verify` compares both; remove the wrong one with `ecosight storage rm`, or here";
        return Failure::because(name, "the bucket holds something else under this key", hint);
    }
    Failure::new(name, error)
}

/// Brings files into the bucket.
struct Mover<'a> {
    remote: &'a Store,
    /// What was there before.
    objects: &'a BTreeMap<String, Object>,
    /// Objects with the content of files that are called otherwise.
    elsewhere: &'a BTreeMap<String, Object>,
    identity: String,
    args: &'a MigrateArgs,
    root: &'a Path,
    room: Room,
    /// The index, where there is one.
    tracks: Option<Tracks>,
    now_ms: i64,
}

impl Mover<'_> {
    async fn bring(&self, file: &Object, progress: &(dyn Fn(u64) + Sync)) -> Result<Moved, DatasetError> {
        let (remote, path) = (self.remote, self.root.join(&file.uri));
        let before = stamp(&path)?;
        let _room = self.room.take(file.size_bytes).await;
        let there = self.objects.get(&file.uri).or_else(|| self.elsewhere.get(&file.uri));
        let is_new = if let Some(object) = there {
            if !remote.holds(object, &path, Depth::Tag).await? {
                return Err(DatasetError::new("upload", remote.address(&file.uri), DatasetErrorKind::Conflict));
            }
            progress(file.size_bytes);
            false
        } else if self.args.dry_run {
            true
        } else {
            let labels = Labels { content_type: Some(media_type(&path)?.to_owned()), ..Labels::default() };
            let created = remote.upload_new(&path, &file.uri, &labels, progress).await?;
            matches!(created, Created::New(_))
        };
        if let Some(tracks) = self.tracks.as_ref().filter(|_| !self.args.dry_run) {
            // Told first: a crash in between leaves a file too many, never a row without one.
            let copy = if self.args.delete_local { LocalCopy::Dropped } else { LocalCopy::Kept };
            let name = there.map_or(&file.uri, |object| &object.uri);
            tracks.uploaded(&file.uri, &InBucket { bucket: &self.identity, name }, copy, self.now_ms)?;
        }
        let is_deleted = self.args.delete_local && delete(&path, before)?;
        Ok(Moved { is_new, is_deleted })
    }
}

/// Size and time, to notice a file that is written while it is uploaded.
type Stamp = (u64, Option<std::time::SystemTime>);

fn stamp(path: &Path) -> Result<Stamp, DatasetError> {
    let meta = path.metadata().map_err(DatasetError::at("read file", path))?;
    Ok((meta.len(), meta.modified().ok()))
}

/// Removes a file that is as it was when it was uploaded, and its folder if that is empty then.
fn delete(path: &Path, before: Stamp) -> Result<bool, DatasetError> {
    if stamp(path)? != before {
        return Ok(false);
    }
    std::fs::remove_file(path).map_err(DatasetError::at("delete", path))?;
    // It stays while other files are in it.
    let _ = std::fs::remove_dir(folder_of(path));
    Ok(true)
}

fn text(report: &Report) -> String {
    let Report { uploaded, skipped, failed, total, deleted, .. } = report;
    let bytes = size(report.uploaded_bytes);
    let verb = if report.dry_run { "to upload" } else { "uploaded" };
    let mut text =
        format!("{verb:<10} {uploaded} ({bytes})\nskipped    {skipped}\nfailed     {failed}\ntotal      {total}\n");
    if *deleted > 0 {
        text.push_str(&format!("removed    {deleted} local file(s) that are verified in the bucket\n"));
    }
    text
}

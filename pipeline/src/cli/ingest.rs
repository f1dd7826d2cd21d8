//! `ecosight ingest`: takes labelled recordings in.

mod own_files;
mod preview;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use ecosight_datasets::DatasetError;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::removals::Removal;
use ecosight_datasets::store::{Access, Store};
use ecosight_stages::Event;
use ecosight_stages::ingest::{Answer, Call, Ingest, NewClass, Receipt, Rejection, Restore, Rules, Which};
use serde::Serialize;

use super::args::{IngestArgs, PipelineArgs};
use super::audio_paths::{Buckets, Named, expand};
use super::error::CliError;
use super::escape::one_line;
use super::printer::Printer;
use super::progress::Progress;
use super::session::{Globals, absolute, now};
use crate::ExitStatus;
use crate::engine::{ingest_rules, stack};

/// For how long one upload is tried while somebody waits, unless `S3_RETRY_SECONDS` says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many older uploads one call tries once more, and for how long.
const OLDER: (usize, Duration) = (100, Duration::from_secs(20));

/// What is told of one file.
#[derive(Serialize)]
struct Line {
    file: String,
    status: &'static str,
    id: Option<ClipId>,
    key: Option<String>,
    local_path: Option<String>,
    s3_object_key: Option<String>,
    s3_uploaded: bool,
    duration_s: Option<f64>,
    size_bytes: Option<u64>,
    warnings: Vec<String>,
    code: Option<&'static str>,
    message: Option<String>,
    hint: Option<String>,
}

/// The document.
#[derive(Serialize, Default)]
struct Report {
    /// This call; what it stored is removed with `storage rm --ingest`.
    ingest_id: String,
    files: Vec<Line>,
    stored: usize,
    already_present: usize,
    rejected: usize,
    /// Recordings that were removed before, and were passed over.
    removed: usize,
    /// Recordings that wait for their upload, of earlier calls as well.
    outbox: u64,
}

/// Runs the verb.
pub(crate) fn ingest(args: &IngestArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    warn_of_half_configuration(globals, printer)?;
    let mut named = expand(&args.paths, Buckets::Refused, printer)?;
    own_files::leave_out(&mut named, &args.paths, globals, printer)?;
    let new = if args.new_class { NewClass::Welcome } else { NewClass::Refused };
    let restore = if args.restore { Restore::Yes } else { Restore::No };
    if args.dry_run {
        return preview::preview(&named, (&args.class, new), restore, globals, printer);
    }
    let id = globals.run_id();
    let call = Call { id: Some(id.clone()), user: globals.user.clone(), restore };
    let ingest = open(globals, Hurry::Yes)?.with_call(call);
    let class = ingest.class(&args.class, new)?.map_err(|no| unusable(no, &named))?;
    let mut report = Report { ingest_id: id, ..Report::default() };
    for message in named.unreadable {
        let rejection = Rejection::new("bad_name", message, "give the file another name");
        report.add(rejected("(a name that cannot be addressed)", rejection), printer)?;
    }
    let progress = Progress::new(printer);
    let total = named.files.len() as u64;
    let mut result = Ok(());
    for (done, file) in named.files.iter().enumerate() {
        if globals.is_cancelled() {
            let error = CliError::interrupted("what was told is stored; run the same command again for the rest");
            result = Err(not_tried(error, total - done as u64));
            break;
        }
        progress.show(&Event::Progress { stage: "ingest", done: done as u64, total, unit: "files" });
        let shown = file.display().to_string();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match ingest.accept(file, &name, &class) {
            Ok(Answer::Stored(receipt)) => report.add(stored(&shown, "stored", receipt)?, printer)?,
            Ok(Answer::AlreadyPresent(receipt)) => report.add(stored(&shown, "already_present", receipt)?, printer)?,
            Ok(Answer::Removed(removal)) => report.add(removed(&shown, &removal), printer)?,
            Ok(Answer::Rejected(rejection)) => report.add(rejected(&shown, rejection), printer)?,
            // A full disk is full for the next file as well.
            Err(error) => {
                let error = CliError::from(error).with_note(&format!("`{}` is not stored", one_line(&shown)));
                result = Err(not_tried(error, total - done as u64 - 1));
                break;
            }
        }
    }
    progress.clear();
    if named.passed_over > 0 {
        printer.note(&format!("{} file(s) in folders are no audio and were passed over", named.passed_over));
    }
    if result.is_ok() {
        try_older(&ingest, globals)?;
        report.outbox = ingest.tracks().backlog()?.count;
    }
    report.finish(ingest.has_bucket(), printer)?;
    result?;
    if ingest.has_bucket() && report.is_all_waiting(&ingest)? {
        return Ok(ExitStatus::Store);
    }
    Ok(if report.rejected > 0 { ExitStatus::Failed } else { ExitStatus::Ok })
}

/// Says how many files were not come to.
fn not_tried(error: CliError, files: u64) -> CliError {
    if files == 0 { error } else { error.with_note(&format!("{files} file(s) were not tried")) }
}

/// The error of a class that cannot be used.
fn unusable(no: Rejection, named: &Named) -> CliError {
    match named.files.iter().find(|file| !file.exists()) {
        // Who has mistyped the file must not be told of the class alone.
        Some(file) => {
            let hint = format!("check the path; besides, {}: {}", no.message, no.hint);
            CliError::usage(format!("there is no file `{}`", file.display()), hint)
        }
        None => CliError::usage(no.message, no.hint),
    }
}

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurry {
    Yes,
    No,
}

/// What takes recordings in, as the pipeline file and the environment say.
pub(super) fn open(globals: &Globals, hurry: Hurry) -> Result<Ingest<'_>, CliError> {
    let access = globals.access()?;
    let store = store(access, hurry)?.map(|store| store.until(&globals.cancelled));
    Ok(Ingest::open(&globals.layout, rules(globals, access)?, store, now)?)
}

/// Says so where a bucket is named but cannot be used.
pub(super) fn warn_of_half_configuration(globals: &Globals, printer: &Printer) -> Result<(), CliError> {
    if let Some(why) = globals.access()?.settings.half_configured() {
        printer.warning(&format!("recordings stay on this machine: {why}; then `ecosight storage sync` uploads them"));
    }
    Ok(())
}

/// What is taken in, and what becomes of it.
pub(super) fn rules(globals: &Globals, access: &Access) -> Result<Rules, CliError> {
    const NAME: &str = "MAX_UPLOAD_MB";
    let rules = ingest_rules(&stack(&globals.layers(&PipelineArgs::default(), &[])?))?;
    let Some(set) = access.settings.environment.first(&[NAME]) else { return Ok(rules) };
    let megabytes = set.value.parse().ok().filter(|megabytes| (0.001..100_000.0).contains(megabytes));
    let invalid = || DatasetError::invalid("read variable", &set.origin, "it is no number of megabytes");
    Ok(Rules { max_upload_mb: megabytes.ok_or_else(invalid)?, ..rules })
}

/// The bucket, where one is configured.
pub(super) fn store(access: &Access, hurry: Hurry) -> Result<Option<Store>, CliError> {
    let Ok(place) = access.settings.configured() else { return Ok(None) };
    let access = match hurry {
        Hurry::Yes => &access.patient_for(PATIENCE),
        Hurry::No => access,
    };
    Ok(Some(Store::connect(place, access)?))
}

/// Earlier uploads that have rested long enough.
fn try_older(ingest: &Ingest<'_>, globals: &Globals) -> Result<(), CliError> {
    let begun = Instant::now();
    let stop = || globals.is_cancelled() || begun.elapsed() > OLDER.1;
    ingest.drain(Which::Due, OLDER.0, &stop, &mut |_, _| ())?;
    Ok(())
}

fn stored(file: &str, status: &'static str, receipt: Receipt) -> Result<Line, CliError> {
    let s3_uploaded = receipt.is_in_bucket();
    let local_path = receipt.local_path.as_deref().map(absolute).transpose()?;
    let track = receipt.track;
    Ok(Line {
        file: file.to_owned(),
        status,
        id: Some(track.id),
        key: Some(track.key),
        local_path: local_path.as_deref().map(Path::display).map(|path| path.to_string()),
        s3_object_key: track.s3_object_key,
        s3_uploaded,
        duration_s: track.duration_s,
        size_bytes: Some(track.size_bytes),
        warnings: receipt.warnings,
        code: None,
        message: None,
        hint: None,
    })
}

fn rejected(file: &str, rejection: Rejection) -> Line {
    Line {
        file: file.to_owned(),
        status: "rejected",
        id: None,
        key: None,
        local_path: None,
        s3_object_key: None,
        s3_uploaded: false,
        duration_s: None,
        size_bytes: None,
        warnings: Vec::new(),
        code: Some(rejection.code),
        message: Some(rejection.message),
        hint: Some(rejection.hint),
    }
}

/// A recording that was removed on purpose.
fn removed(file: &str, removal: &Removal) -> Line {
    let hint = "`--restore` takes it in again";
    let rejection = Rejection::new("removed", format!("it was {}", removal.words()), hint);
    Line { status: "removed", ..rejected(file, rejection) }
}

impl Report {
    /// Whether recordings were taken in, and all of them still wait for their upload.
    fn is_all_waiting(&self, ingest: &Ingest<'_>) -> Result<bool, CliError> {
        let waiting: HashSet<String> = ingest.tracks().outbox()?.into_iter().map(|waiting| waiting.key).collect();
        let mut taken = self.files.iter().filter_map(|line| line.key.as_ref()).peekable();
        Ok(taken.peek().is_some() && taken.all(|key| waiting.contains(key)))
    }

    /// Tells of a file as soon as its fate is known: whoever reads a line may rely on it, whatever comes after.
    fn add(&mut self, line: Line, printer: &Printer) -> Result<(), CliError> {
        match line.status {
            "stored" => self.stored += 1,
            "already_present" => self.already_present += 1,
            "removed" => self.removed += 1,
            _ => self.rejected += 1,
        }
        if !printer.json {
            printer.outcome_line(line.status != "already_present", &line.text())?;
        }
        for warning in &line.warnings {
            printer.warning(&format!("{}: {warning}", line.file));
        }
        self.files.push(line);
        Ok(())
    }

    fn finish(&self, has_bucket: bool, printer: &Printer) -> Result<(), CliError> {
        if printer.json {
            printer.document(self)?;
            return Ok(());
        }
        let Self { ingest_id, stored, already_present, rejected, removed, .. } = self;
        let of_removed = if *removed > 0 { format!(", {removed} removed before") } else { String::new() };
        let id = if *stored > 0 { format!("ingest {ingest_id}: ") } else { String::new() };
        printer
            .note(&format!("{id}{stored} stored, {already_present} already present, {rejected} rejected{of_removed}"));
        if has_bucket && self.outbox > 0 {
            let outbox = self.outbox;
            printer.note(&format!("{outbox} not in the bucket yet; `ecosight storage outbox` says why"));
        }
        Ok(())
    }
}

impl Line {
    fn text(&self) -> String {
        let Self { file, status, .. } = self;
        match (&self.key, &self.message, &self.hint) {
            (Some(key), ..) => {
                let bucket = match &self.s3_object_key {
                    Some(other) if self.s3_uploaded && other != key => format!(" (in the bucket as {other})"),
                    _ if self.s3_uploaded => " (in the bucket)".to_owned(),
                    _ => String::new(),
                };
                format!("{status}  {file}  {key}{bucket}")
            }
            (None, message, hint) => {
                let [code, message, hint] =
                    [self.code, message.as_deref(), hint.as_deref()].map(Option::unwrap_or_default);
                format!("{status}  {file}  {code}: {message} ({hint})")
            }
        }
    }
}

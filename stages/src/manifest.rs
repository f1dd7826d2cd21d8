//! `manifest`: which labelled clips there are. Every file is recognised and hashed by its content, once; none is decoded.

use std::collections::BTreeMap;
use std::io::{Read, SeekFrom};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ecosight_datasets::audio::{AUDIO_EXTENSIONS, AudioSource, Container, sniff};
use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::{Corrections, Distinct, Duplicate, Entry, distinct};
use ecosight_datasets::removals::Removals;
use ecosight_datasets::store::{OpenError, describe_loops};
use ecosight_datasets::tables::{ClipRow, FileRow, QuarantineRow, Row, column_digests, write_files_index};
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::bridge::{self, Listed};
use crate::error::InStage;
use crate::files::{Known, Listing};
use crate::foresee::Foreseen;
use crate::params::{NoParams, parse};
use crate::retrain_policy::Loss;
use crate::rows::{read_before, replace};
use crate::stage::{Context, Definition, Event, Forecast, Input, KeyPart, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 3,
    about: "list the labelled clips, recognise and hash them by content",
    inputs: &[],
    parameters: &[],
    configure: |table| parse::<NoParams>(table).map(|_| Box::new(Manifest::default()) as Box<dyn Stage>),
};

const NAME: &str = "manifest";

/// Columns of the predictions that stand beside those of the classes.
pub const RESERVED: [&str; 5] = ["path", "start_s", "end_s", "predicted", "confidence"];

/// The stage; it has no parameters.
#[derive(Default)]
pub struct Manifest {
    /// The source is listed once, so that the key and the rows are about the same files.
    listing: OnceLock<Listing>,
}

impl Stage for Manifest {
    fn check(&self, context: &Context<'_>) -> Result<(), StageError> {
        context.store().map(drop).in_stage(NAME)
    }

    fn reads(&self) -> Vec<Input> {
        Vec::new()
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        let listing = self.listing(context)?;
        let mut parts = vec![
            KeyPart::new("source", context.source.to_string()),
            KeyPart::new("files", format!("{} files, {}", listing.files().len(), listing.digest())),
        ];
        let corrections = Corrections::read(context.layout)?;
        let of = |digest| KeyPart::new("corrections", format!("{} labels, {digest}", corrections.labels.len()));
        parts.extend(corrections.digest().map(of));
        let removals = Removals::read(context.layout)?;
        parts.extend(removals.digest().map(|digest| KeyPart::new("removals", digest.to_string())));
        Ok(parts)
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let listing = self.listing(context)?;
        let known = Known::read(context.layout);
        let (mut unread, mut outcomes) = (Vec::new(), Vec::new());
        for (uri, entries) in listing.files() {
            let seen = known.guess(entries[0]).map_or_else(|| unseen(entries[0]), Seen::of);
            if known.find(entries[0]).is_none() && matches!(&seen, Seen::File { container: Some(_), .. }) {
                unread.push(uri.to_owned());
            }
            outcomes.extend(entries.iter().map(|entry| judge(entry, &seen)));
        }
        let found = sort_out(outcomes, listing, &Decisions::read(context.layout)?);
        let before: Vec<ClipRow> = read_before(context.layout);
        let mut rows = RowCounts::between(&before, &found.clips, |row| row.clip_id);
        rows.failed = found.failed.len() as u64;
        let mut notes = differences(&before, &found.clips);
        if !unread.is_empty() {
            notes.push(format!("{} file(s) to be read; what follows is an estimate until they are", unread.len()));
        }
        let columns = Some(column_digests(&ClipRow::batch(&found.clips)?));
        foreseen.clips = Some(found.clips);
        Ok(Forecast { rows: Some(rows), columns, notes, examples: unread })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let keep = |rows: &[FileRow]| Ok(write_files_index(context.layout, rows)?);
        // What is known of the files is kept: they are probably on a disk that is not mounted.
        if self.listing(context).in_stage(NAME)?.files().is_empty() && !context.allow_loss {
            let lost = Loss::of(context, &[]).in_stage(NAME)?.filter(|loss| loss.lost > 0);
            if let Some(loss) = lost.map(Box::new) {
                context.emit(Event::Lost(loss.clone()));
                return Err(StageErrorKind::Lost { loss }).in_stage(NAME);
            }
        }
        let read = self.find(context, &keep).in_stage(NAME)?;
        context.quarantine(&read.failed, read.failed.len() + read.clips.len()).in_stage(NAME)?;
        let mut output = replace(context.layout, &read.clips, |row| row.clip_id).in_stage(NAME)?;
        context.emit(Event::counted(
            NAME,
            [
                ("clips", read.clips.len()),
                ("classes", classes(&read.clips).len()),
                ("ignored", read.ignored),
                ("duplicates", read.duplicates.len()),
                ("corrected", read.corrected),
                ("quarantined", read.failed.len()),
                ("read", read.read),
            ],
        ));
        output.rows.failed = read.failed.len() as u64;
        output.is_provisional = read.is_provisional;
        Ok(output)
    }
}

impl Manifest {
    fn listing(&self, context: &Context<'_>) -> Result<&Listing, StageErrorKind> {
        if self.listing.get().is_none() {
            let listing = Listing::read(context)?;
            let _ = self.listing.set(listing);
        }
        Ok(self.listing.get().expect("the listing was just made"))
    }

    /// Everything in the context's source. Files that are not known are read and hashed; `keep` gets, every now and then and in the end,
    /// what is to be known of all files from now on.
    pub fn find(&self, context: &Context<'_>, keep: &Keep<'_>) -> Result<Found, StageErrorKind> {
        let listing = self.listing(context)?;
        let warn = |message: String| context.emit(Event::Warning { stage: NAME, message });
        if !listing.ignored_columns.is_empty() {
            let columns: Vec<_> = listing.ignored_columns.iter().map(|name| format!("`{name}`")).collect();
            warn(format!("the manifest's columns {} mean nothing here and are ignored", columns.join(", ")));
        }
        describe_loops(&listing.loops).into_iter().for_each(warn);
        let known = if context.forced { Known::default() } else { Known::read(context.layout) };
        let files = listing.files();
        let mut seen: Vec<Option<Seen>> =
            files.iter().map(|(_, entries)| known.find(entries[0]).map(Seen::of)).collect();
        let unknown: Vec<usize> = (0..files.len()).filter(|&index| seen[index].is_none()).collect();
        let rows = |seen: &[Option<Seen>]| -> Vec<FileRow> {
            let row = |((_, entries), seen): (&(&str, Vec<&Entry>), &Option<Seen>)| seen.as_ref()?.file_row(entries[0]);
            files.iter().zip(seen).filter_map(row).collect()
        };
        let mut read = 0;
        for some in portions(&files, &unknown) {
            for (index, found) in read_files(context, &files, some, (read, unknown.len()))? {
                seen[index] = Some(found);
            }
            read += some.len();
            keep(&rows(&seen))?;
        }
        let rows = rows(&seen);
        if read == 0 {
            // Files may have gone.
            keep(&rows)?;
        }
        let mut outcomes = Vec::with_capacity(files.len());
        let mut is_provisional = false;
        for ((_, entries), seen) in files.iter().zip(seen.iter().flatten()) {
            is_provisional |= matches!(seen, Seen::Failed { .. });
            outcomes.extend(entries.iter().map(|entry| judge(entry, seen)));
        }
        let mut found = sort_out(outcomes, listing, &Decisions::read(context.layout)?);
        (found.read, found.is_provisional) = (read, is_provisional);
        if let Some(first) = found.duplicates.first() {
            let n = found.duplicates.len();
            warn(format!(
                "{n} file(s) repeat the bytes of another clip of the same class and were left out (first: {first}); `-v` names all of them, and \
                 so does `events.jsonl` of the run"
            ));
            for duplicate in &found.duplicates {
                context.emit(Event::Printed { stage: NAME, line: duplicate.to_string() });
            }
        }
        if found.removed > 0 {
            warn(format!(
                "{} clip(s) of recordings that were removed with `ecosight storage rm` are still in the source, and were left out",
                found.removed
            ));
        }
        if found.clips.is_empty() && found.failed.is_empty() {
            return Err(StageErrorKind::data(
                format!("no labelled audio in `{}`", context.source),
                "put recordings into one folder per class (<source>/<class>/…), or name another source with `--source`",
            ));
        }
        Ok(found)
    }
}

/// What was found in a source.
#[derive(Default)]
pub struct Found {
    /// One row per clip, ordered by uri.
    pub clips: Vec<ClipRow>,
    /// Files that cannot be used.
    pub failed: Vec<QuarantineRow>,
    /// Files that are no audio and were not named by a person.
    pub ignored: usize,
    /// Files that repeat another's bytes under the same label.
    pub duplicates: Vec<Duplicate>,
    /// Clips whose label a person has corrected.
    pub corrected: usize,
    /// Clips of recordings that were removed on purpose.
    pub removed: usize,
    /// Files that were read; the others were known.
    pub read: usize,
    /// Whether a file could not be read that another try may read.
    is_provisional: bool,
}

/// Number of clips per class, ordered by class.
pub fn classes(clips: &[ClipRow]) -> BTreeMap<&str, usize> {
    let mut classes = BTreeMap::new();
    for clip in clips {
        *classes.entry(clip.label.as_str()).or_insert(0) += 1;
    }
    classes
}

/// What a source may tell of a clip beside its label.
fn told_of(clip: &ClipRow) -> [&Option<String>; 5] {
    [&clip.recording_id, &clip.fold, &clip.site, &clip.device, &clip.recorded_at]
}

/// What is different about clips that were there, or are, in words; a few of them.
fn differences(before: &[ClipRow], after: &[ClipRow]) -> Vec<String> {
    const TOLD: usize = 5;
    let now: BTreeMap<_, &ClipRow> = after.iter().map(|row| (row.clip_id, row)).collect();
    let tell = |old: &ClipRow| match now.get(&old.clip_id) {
        None => Some(format!("{}: gone", old.uri)),
        Some(new) if new.label != old.label => Some(format!("{}: {} → {}", new.uri, old.label, new.label)),
        Some(new) if new.uri != old.uri => Some(format!("{} → {}", old.uri, new.uri)),
        Some(new) if told_of(new) != told_of(old) => {
            Some(format!("{}: another recording, fold, site, device or time", new.uri))
        }
        Some(_) => None,
    };
    let mut told: Vec<String> = before.iter().filter_map(tell).collect();
    let more = told.len().saturating_sub(TOLD);
    told.truncate(TOLD);
    if more > 0 {
        told.push(format!("… and {more} more"));
    }
    told
}

/// Takes what is known of all files.
pub type Keep<'a> = dyn Fn(&[FileRow]) -> Result<(), StageErrorKind> + 'a;

/// Cuts the files with these numbers into portions, of which one at most is read again after a crash.
fn portions<'a>(files: &[(&str, Vec<&Entry>)], mut numbers: &'a [usize]) -> Vec<&'a [usize]> {
    const FILES: usize = 5000;
    const BYTES: u64 = 2 << 30;
    let mut portions = Vec::new();
    while !numbers.is_empty() {
        let mut bytes = 0;
        let is_within = |number: &&usize| {
            bytes += files[**number].1[0].size_bytes.unwrap_or(0);
            bytes <= BYTES
        };
        let count = numbers.iter().take(FILES).take_while(is_within).count().max(1);
        let (portion, rest) = numbers.split_at(count);
        portions.push(portion);
        numbers = rest;
    }
    portions
}

/// Reads the files with these numbers, in any order; so many were `done` before, of so many in all.
fn read_files(
    context: &Context<'_>,
    files: &[(&str, Vec<&Entry>)],
    unknown: &[usize],
    (done, total): (usize, usize),
) -> Result<Vec<(usize, Seen)>, StageErrorKind> {
    let store = context.store()?;
    let wanted = |&index: &usize| Listed { uri: files[index].0, version: files[index].1[0].version() };
    let wanted: Vec<_> = unknown.iter().map(wanted).collect();
    let done = AtomicU64::new(done as u64);
    let look_at = |(number, opened): (usize, bridge::Opened)| {
        context.check_cancelled()?;
        let seen = look(opened)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        context.emit(Event::Progress { stage: NAME, done, total: total as u64, unit: "files" });
        Ok::<_, StageErrorKind>((unknown[number], seen))
    };
    bridge::fetch(&store, &wanted, |files| files.into_iter().enumerate().par_bridge().map(look_at).collect())
}

/// What people decided about the clips of the source.
struct Decisions {
    corrections: Corrections,
    removals: Removals,
}

impl Decisions {
    fn read(layout: &Layout) -> Result<Self, StageErrorKind> {
        Ok(Self { corrections: Corrections::read(layout)?, removals: Removals::read(layout)? })
    }
}

/// Makes rows of what the files turned out to be.
fn sort_out(outcomes: Vec<Outcome>, listing: &Listing, decisions: &Decisions) -> Found {
    let (mut rows, mut failed, mut ignored) = (Vec::new(), Vec::new(), 0);
    let row = |uri: &str, code: &str, message: &str| QuarantineRow {
        clip_id: None,
        uri: uri.to_owned(),
        stage: NAME.to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        key: None,
    };
    failed.extend(listing.unreadable.iter().map(|message| row("", "bad_name", message)));
    failed.extend(listing.problems.iter().map(|(uri, why)| row(uri, "bad_labels", why)));
    for outcome in outcomes {
        match outcome {
            Outcome::Clip(row) => rows.push(row),
            Outcome::Failed(row) => failed.push(row),
            Outcome::Ignored => ignored += 1,
        }
    }
    // Before equal bytes are compared: whoever corrects the label of one means all of them.
    let removed = decisions.removals.apply(&mut rows);
    let corrected = decisions.corrections.apply(&mut rows);
    let Distinct { rows: clips, duplicates, conflicts } = distinct(rows, NAME);
    failed.extend(conflicts);
    Found { clips, failed, ignored, duplicates, corrected, removed, ..Found::default() }
}

enum Outcome {
    Clip(ClipRow),
    Failed(QuarantineRow),
    Ignored,
}

/// What one file turned out to be.
enum Seen {
    File { container: Option<String>, hash: ContentHash, size_bytes: u64 },
    Failed { code: &'static str, message: String },
}

impl Seen {
    fn of(row: &FileRow) -> Self {
        Self::File { container: row.container.clone(), hash: row.blake3, size_bytes: row.size_bytes }
    }

    /// What is to be known of the file from now on.
    fn file_row(&self, entry: &Entry) -> Option<FileRow> {
        let Self::File { container, hash, size_bytes } = self else { return None };
        // A file that has changed since it was listed is another one by now, and is read again.
        let etag = entry.etag.clone().filter(|_| entry.size_bytes == Some(*size_bytes))?;
        let (uri, container) = (entry.uri.clone(), container.clone());
        Some(FileRow { uri, etag, size_bytes: *size_bytes, blake3: *hash, container })
    }
}

/// What a file that was not read yet will probably be: a clip of its own, if its name is that of audio.
fn unseen(entry: &Entry) -> Seen {
    let hash = ContentHash::of_reader(format!("unread {} {:?}", entry.uri, entry.etag).as_bytes());
    let container = claims_audio(entry).then(|| "unread".to_owned());
    match hash {
        Ok(hash) => Seen::File { container, hash, size_bytes: entry.size_bytes.unwrap_or(1) },
        Err(error) => Seen::Failed { code: "io", message: error.to_string() },
    }
}

fn claims_audio(entry: &Entry) -> bool {
    let extension = entry.uri.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    entry.explicit || extension.is_some_and(|e| AUDIO_EXTENSIONS.contains(&e.as_str()))
}

/// Recognises one file by its content and hashes it.
fn look(opened: bridge::Opened) -> Result<Seen, StageErrorKind> {
    match opened {
        Ok(mut file) => Ok(inspect(&mut *file).unwrap_or_else(|e| Seen::Failed { code: "io", message: e.to_string() })),
        Err(OpenError::File { code, message }) => Ok(Seen::Failed { code, message }),
        Err(OpenError::Store(error)) => Err(error.into()),
    }
}

/// Makes a row of what was seen, or says why not.
fn judge(entry: &Entry, seen: &Seen) -> Outcome {
    let failed = |code: &str, message: &str| {
        let (stage, uri) = (NAME.to_owned(), entry.uri.clone());
        let (code, message) = (code.to_owned(), message.to_owned());
        Outcome::Failed(QuarantineRow { clip_id: None, uri, stage, code, message, key: None })
    };
    let (container, hash, size_bytes) = match seen {
        Seen::File { container, hash, size_bytes } => (container, hash, *size_bytes),
        Seen::Failed { code, message } => return failed(code, message),
    };
    match (container, &entry.label) {
        (None, _) if !claims_audio(entry) => Outcome::Ignored,
        (None, _) if size_bytes == 0 => failed("empty", "the file is empty"),
        (None, _) => failed("not_audio", "the content is no audio format that is known here"),
        (Some(_), None) => failed(
            "no_label",
            "it has no label: the first folder below the source, or the column `label` of a manifest",
        ),
        (Some(_), Some(label)) if RESERVED.contains(&label.as_str()) => {
            failed("reserved_label", "a class cannot be called like a column of the predictions; rename its folder")
        }
        (Some(container), Some(label)) => {
            let file_id = ClipId::of_file(hash);
            Outcome::Clip(ClipRow {
                clip_id: entry.span.map_or(file_id, |span| ClipId::of_span(hash, span.start_s, span.end_s)),
                file_id,
                uri: entry.uri.clone(),
                label: label.clone(),
                recording_id: entry.recording_id.clone(),
                fold: entry.fold.clone(),
                site: entry.site.clone(),
                device: entry.device.clone(),
                recorded_at: entry.recorded_at.clone(),
                span: entry.span,
                container: container.clone(),
                size_bytes,
                etag: entry.etag.clone(),
            })
        }
    }
}

fn inspect(file: &mut dyn AudioSource) -> std::io::Result<Seen> {
    let mut head = Vec::new();
    file.take(4096).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    let hash = ContentHash::of_reader(&mut *file)?;
    let container = sniff(&head).map(|container: Container| container.to_string());
    Ok(Seen::File { container, hash, size_bytes: file.stream_position()? })
}

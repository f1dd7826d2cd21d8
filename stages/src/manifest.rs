//! `manifest`: which labelled clips there are. Every file is recognised and hashed by its content; none is decoded.

use std::collections::BTreeMap;
use std::io::{Read, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use ecosight_datasets::audio::{AUDIO_EXTENSIONS, AudioSource, Container, sniff};
use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::manifest::{Distinct, Entries, Entry, distinct};
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::{ClipRow, QuarantineRow, write_rows};
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::error::InStage;
use crate::params::{NoParams, parse};
use crate::stage::{Context, Definition, Event, Stage};
use crate::{StageError, StageErrorKind, bridge};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "list the labelled clips, recognise and hash them by content",
    inputs: &[],
    parameters: &[],
    configure: |table| parse::<NoParams>(table).map(|_| Box::new(Manifest) as Box<dyn Stage>),
};

const NAME: &str = "manifest";

/// Columns of the predictions that stand beside those of the classes.
pub const RESERVED: [&str; 5] = ["path", "start_s", "end_s", "predicted", "confidence"];

/// The stage; it has no parameters.
pub struct Manifest;

impl Stage for Manifest {
    fn check(&self, context: &Context<'_>) -> Result<(), StageError> {
        context.source.store().map(drop).in_stage(NAME)
    }

    fn run(&self, context: &Context<'_>) -> Result<(), StageError> {
        let read = read(context).in_stage(NAME)?;
        context.quarantine(&read.failed, read.failed.len() + read.clips.len()).in_stage(NAME)?;
        write_rows(context.layout, &read.clips).in_stage(NAME)?;
        context.emit(Event::counted(
            NAME,
            [
                ("clips", read.clips.len()),
                ("classes", classes(&read.clips).len()),
                ("ignored", read.ignored),
                ("duplicates", read.duplicates),
                ("quarantined", read.failed.len()),
            ],
        ));
        Ok(())
    }
}

/// What was found in a source.
pub struct Found {
    /// One row per clip, ordered by uri.
    pub clips: Vec<ClipRow>,
    /// Files that cannot be used.
    pub failed: Vec<QuarantineRow>,
    /// Files that are no audio and were not named by a person.
    pub ignored: usize,
    /// Files that repeat another's bytes under the same label.
    pub duplicates: usize,
}

/// Number of clips per class, ordered by class.
pub fn classes(clips: &[ClipRow]) -> BTreeMap<&str, usize> {
    let mut classes = BTreeMap::new();
    for clip in clips {
        *classes.entry(clip.label.as_str()).or_insert(0) += 1;
    }
    classes
}

/// Lists and hashes everything in the context's source.
pub fn read(context: &Context<'_>) -> Result<Found, StageErrorKind> {
    let store = context.source.store()?;
    let Entries { entries, unreadable, ignored_columns } = bridge::block_on(context.source.entries(&store))?;
    let warn = |message: String| context.emit(Event::Warning { stage: NAME, message });
    if !ignored_columns.is_empty() {
        let columns: Vec<_> = ignored_columns.iter().map(|name| format!("`{name}`")).collect();
        warn(format!("the manifest's columns {} mean nothing here and are ignored", columns.join(", ")));
    }
    // Many spans may lie in one file: it is read once.
    let mut by_uri: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        by_uri.entry(&entry.uri).or_default().push(entry);
    }
    let files: Vec<_> = by_uri.into_iter().collect();
    let uris: Vec<&str> = files.iter().map(|(uri, _)| *uri).collect();
    let done = AtomicU64::new(0);
    let look_at = |(index, opened): (usize, bridge::Opened)| {
        context.check_cancelled()?;
        let seen = look(opened)?;
        let outcomes: Vec<Outcome> = files[index].1.iter().map(|entry| judge(entry, &seen)).collect();
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        context.emit(Event::Progress { stage: NAME, done, total: files.len() as u64, unit: "files" });
        Ok::<_, StageErrorKind>((index, outcomes))
    };
    let outcomes: Result<Vec<_>, _> =
        bridge::fetch(&store, &uris, |files| files.into_iter().enumerate().par_bridge().map(look_at).collect())?;
    let mut outcomes = outcomes?;
    outcomes.sort_by_key(|(index, _)| *index);

    let (mut rows, mut failed, mut ignored) = (Vec::new(), Vec::new(), 0);
    failed.extend(unreadable.into_iter().map(|message| QuarantineRow {
        clip_id: None,
        uri: String::new(),
        stage: NAME.to_owned(),
        code: "bad_name".to_owned(),
        message,
    }));
    for outcome in outcomes.into_iter().flat_map(|(_, outcomes)| outcomes) {
        match outcome {
            Outcome::Clip(row) => rows.push(row),
            Outcome::Failed(row) => failed.push(row),
            Outcome::Ignored => ignored += 1,
        }
    }
    let Distinct { rows: clips, duplicates, conflicts } = distinct(rows, NAME);
    if let Some(first) = duplicates.first() {
        let n = duplicates.len();
        warn(format!(
            "{n} file(s) repeat the bytes of another clip of the same class and were left out (first: `{first}`)"
        ));
    }
    failed.extend(conflicts);
    if clips.is_empty() && failed.is_empty() {
        return Err(StageErrorKind::data(
            format!("no labelled audio in `{}`", context.source),
            "put recordings into one folder per class (<source>/<class>/…), or name another source with `--source`",
        ));
    }
    Ok(Found { clips, failed, ignored, duplicates: duplicates.len() })
}

enum Outcome {
    Clip(ClipRow),
    Failed(QuarantineRow),
    Ignored,
}

/// What one file turned out to be.
enum Seen {
    File { container: Option<Container>, hash: ContentHash, size_bytes: u64 },
    Failed { code: &'static str, message: String },
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
        Outcome::Failed(QuarantineRow { clip_id: None, uri, stage, code: code.to_owned(), message: message.to_owned() })
    };
    let (container, hash, size_bytes) = match seen {
        Seen::File { container, hash, size_bytes } => (container, hash, *size_bytes),
        Seen::Failed { code, message } => return failed(code, message),
    };
    let extension = entry.uri.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let claims_audio = entry.explicit || extension.is_some_and(|e| AUDIO_EXTENSIONS.contains(&e.as_str()));
    match (container, &entry.label) {
        (None, _) if !claims_audio => Outcome::Ignored,
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
                span: entry.span,
                container: container.to_string(),
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
    Ok(Seen::File { container: sniff(&head), hash, size_bytes: file.stream_position()? })
}

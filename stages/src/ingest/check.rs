//! Whether a file is a recording that can be used: it is opened once, and what was checked is what is stored.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::audio::{AUDIO_EXTENSIONS, AudioError, Container, MonoReader, SAMPLE_RATE_HZ};
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::sanitised;
use ecosight_datasets::tracks::Track;

use crate::intake::SILENCE;

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A word for programs: `empty`, `too_large`, `not_audio`, `truncated`, ….
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// What they can do.
    pub hint: String,
}

impl Rejection {
    /// A refusal.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// The file was written while it was read.
    pub(super) fn changed(path: &Path) -> Self {
        let message = format!("`{}` has changed while it was read", path.display());
        Self::new("changed", message, "wait until its recorder has finished, then run the same command again")
    }

    fn unreadable(error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { "missing" } else { "unreadable" };
        Self::new(code, format!("it cannot be read: {error}"), "check the path and its permissions")
    }

    fn audio(error: &AudioError) -> Self {
        let hint = match error.code() {
            "empty" => "the recorder or the transfer has written nothing: get the file again",
            "truncated" => "a part is missing, often because of a transfer that broke off: get the file again",
            "not_audio" | "unsupported" => "use WAV, FLAC, MP3, Ogg Vorbis, M4A, AAC or AIFF",
            "io" => "check the disk that it lies on",
            _ => "listen to it; if it plays, convert it to FLAC and try that",
        };
        Self::new(error.code(), error.to_string(), hint)
    }
}

/// A recording that may be stored.
pub(super) struct Sound {
    pub(super) file: File,
    pub(super) hash: ContentHash,
    pub(super) size_bytes: u64,
    pub(super) duration_s: f64,
    pub(super) container: Container,
    pub(super) warnings: Vec<String>,
}

/// What a check found.
pub(super) enum Checked {
    /// The same bytes are stored.
    Present(Track),
    /// It can be stored.
    Sound(Sound),
}

impl Checked {
    /// Hash of the bytes.
    pub(super) fn hash(&self) -> &ContentHash {
        match self {
            Self::Present(track) => &track.hash,
            Self::Sound(sound) => &sound.hash,
        }
    }
}

/// Checks the file at `path`, unless `present` knows its bytes. Memory stays bounded however long the recording is.
pub(super) fn check(
    path: &Path,
    max_bytes: u64,
    present: impl FnOnce(&ContentHash) -> Result<Option<Track>, DatasetError>,
) -> Result<Checked, Rejection> {
    let unreadable = |error: std::io::Error| Rejection::unreadable(&error);
    let meta = path.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        // Opening a pipe would wait for a writer that may never come.
        return Err(Rejection::new("not_a_file", "it is no regular file", "name an audio file"));
    }
    if meta.len() > max_bytes {
        let megabytes = |bytes: u64| bytes as f64 / 1_048_576.0;
        let message = format!("it has {:.1} MB, and {} are allowed", megabytes(meta.len()), megabytes(max_bytes));
        let hint = "cut it into pieces, or allow more with `MAX_UPLOAD_MB` or `[ingest] max_upload_mb`";
        return Err(Rejection::new("too_large", message, hint));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let reader = open(&file)?;
    let container = reader.info().container;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let hash = ContentHash::of_reader(&file).map_err(unreadable)?;
    // An index that fails here fails again, and is told, when the recording is announced.
    if let Ok(Some(track)) = present(&hash) {
        return Ok(Checked::Present(track));
    }
    let heard = hear(open(&file)?)?;
    let mut warnings = Vec::new();
    if heard.peak < SILENCE {
        warnings.push("it is silent from beginning to end".to_owned());
    }
    if heard.skipped_packets > 0 {
        warnings.push(format!("{} damaged pieces of it cannot be heard", heard.skipped_packets));
    }
    let sound = Sound {
        file,
        hash,
        size_bytes: meta.len(),
        duration_s: heard.samples as f64 / f64::from(SAMPLE_RATE_HZ),
        container,
        warnings,
    };
    Ok(Checked::Sound(sound))
}

fn open(file: &File) -> Result<MonoReader, Rejection> {
    let source = file.try_clone().map_err(|error| Rejection::unreadable(&error))?;
    MonoReader::open(Box::new(source), None).map_err(|error| Rejection::audio(&error))
}

struct Heard {
    samples: u64,
    peak: f32,
    skipped_packets: u64,
}

/// Decodes all of it.
fn hear(mut reader: MonoReader) -> Result<Heard, Rejection> {
    let (mut samples, mut peak) = (0, 0.0_f32);
    while let Some(block) = reader.next_block().map_err(|error| Rejection::audio(&error))? {
        samples += block.len() as u64;
        peak = block.iter().fold(peak, |peak, sample| peak.max(sample.abs()));
    }
    if samples == 0 {
        return Err(Rejection::new("no_samples", "it holds no sound at all", "get the recording again"));
    }
    Ok(Heard { samples, peak, skipped_packets: reader.skipped_packets() })
}

/// The length of a recording in seconds: what its header says, else what it decodes to; nothing where it does not decode.
pub(super) fn duration_s(file: &File) -> Option<f64> {
    let reader = open(file).ok()?;
    let declared = reader.info().duration_s;
    declared.or_else(|| hear(reader).ok().map(|heard| heard.samples as f64 / f64::from(SAMPLE_RATE_HZ)))
}

/// A harmless name for the file, with the ending of its format where it has none of audio.
pub(super) fn named(name: &str, container: Container) -> String {
    let name = sanitised(name);
    let is_audio = name.rsplit_once('.').is_some_and(|(_, extension)| AUDIO_EXTENSIONS.contains(&extension));
    if is_audio { name } else { format!("{name}.{container}") }
}

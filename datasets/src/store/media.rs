//! What kind of content a file has, as HTTP calls it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::DatasetError;
use crate::audio::{Container, sniff};

/// Endings of the project's own files, and what they mean.
const ENDINGS: [(&str, &str); 7] = [
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("parquet", "application/vnd.apache.parquet"),
    ("toml", "application/toml"),
    ("txt", "text/plain"),
];

/// The media type of the file at `path`: of audio by its first bytes, of anything else by its name.
pub fn media_type(path: &Path) -> Result<&'static str, DatasetError> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(DatasetError::at("read file", path))?;
    file.take(4096).read_to_end(&mut head).map_err(DatasetError::at("read file", path))?;
    Ok(match sniff(&head) {
        Some(Container::Wav) => "audio/wav",
        Some(Container::Flac) => "audio/flac",
        Some(Container::Mp3) => "audio/mpeg",
        Some(Container::Ogg) => "audio/ogg",
        Some(Container::Mp4) => "audio/mp4",
        Some(Container::Aac) => "audio/aac",
        Some(Container::Aiff) => "audio/aiff",
        None => {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
            let known = ENDINGS.iter().find(|(name, _)| *name == ending);
            known.map_or("application/octet-stream", |(_, kind)| kind)
        }
    })
}

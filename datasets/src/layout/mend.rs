//! What a recording that lies under a wrong key should be called.
//!
//! Wrong are another folder than `extracted_audio/` (`audio/…`, another case, doubled slashes), a class in upper case or with other characters, a
//! missing time, a random part before the name, folders within a class, and parts that no path has: empty ones, `.` and `..`.

use chrono::{DateTime, NaiveDateTime};

use super::{AudioKey, ClassName};
use crate::audio::AUDIO_EXTENSIONS;

/// How surely a folder was meant to be `extracted_audio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// It has that name, written in some way.
    Surely,
    /// It has a name that others have, too.
    Maybe,
}

/// What is to be done with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mended {
    /// It fits the layout, or is no recording.
    Fine,
    /// It should be this one, unless something else is there.
    Better {
        /// Its class.
        class: ClassName,
        /// `YYYYMMDD_HHMMSS`, from the name or from the time of the last change.
        time: String,
        /// Its name without time and random part.
        name: String,
    },
    /// It does not fit, and nobody can tell where it belongs.
    Unclear(&'static str),
}

/// What is to be done with `key`, whose object was changed last at `modified_ms`.
pub fn mended(key: &str, modified_ms: i64) -> Mended {
    if AudioKey::parse(key).is_some() {
        return Mended::Fine;
    }
    let parts: Vec<_> = key.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let Some((first, rest)) = parts.split_first() else { return Mended::Fine };
    if meant(first).is_none() {
        return Mended::Fine;
    }
    let Some((file, folders)) = rest.split_last() else { return Mended::Fine };
    let is_hidden = parts.iter().any(|part| part.starts_with('.'));
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    if is_hidden || ending.is_none_or(|ending| !AUDIO_EXTENSIONS.contains(&ending.as_str())) {
        return Mended::Fine;
    }
    let Some(class) = folders.first() else { return Mended::Unclear("it lies in no class") };
    let Some(class) = normalised(class) else { return Mended::Unclear("its class has no letter or digit") };
    let changed = || DateTime::from_timestamp_millis(modified_ms).unwrap_or_default();
    let (time, name) = timed(file).unwrap_or_else(|| (changed().format("%Y%m%d_%H%M%S").to_string(), *file));
    Mended::Better { class, time, name: without_random(name).to_owned() }
}

/// Whether a folder of this name was meant to be `extracted_audio`. A whole store may be called `audio` as well.
pub fn meant(folder: &str) -> Option<Meant> {
    match folder.to_lowercase().replace('-', "_").as_str() {
        "extracted_audio" | "extractedaudio" => Some(Meant::Surely),
        "audio" => Some(Meant::Maybe),
        _ => None,
    }
}

/// The class that a folder was meant to be.
fn normalised(folder: &str) -> Option<ClassName> {
    let plain: String = folder
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' })
        .take(64)
        .collect();
    ClassName::new(plain.trim_matches(['_', '-'])).ok()
}

/// The time that a name begins with, `YYYYMMDD`, `_`, `-` or `T`, `HHMMSS`, and what follows it.
fn timed(file: &str) -> Option<(String, &str)> {
    let (date, between, time) = (file.get(..8)?, file.get(8..9)?, file.get(9..15)?);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(between, "_" | "-" | "T") || !is_digits(date) || !is_digits(time) {
        return None;
    }
    let text = format!("{date}_{time}");
    NaiveDateTime::parse_from_str(&text, "%Y%m%d_%H%M%S").ok()?;
    let name = file[15..].trim_start_matches(['Z', '_', '-']);
    // What is left may be the ending alone.
    Some((text, if name.starts_with('.') || name.is_empty() { &file[15..] } else { name }))
}

/// A name without the UUID, or the 32 hexadecimal digits, that somebody has put before it.
fn without_random(name: &str) -> &str {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = |text: &str| {
        let parts: Vec<_> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part))
    };
    for length in [36, 32] {
        if let (Some(front), Some(rest)) = (name.get(..length), name.get(length..))
            && (is_uuid(front) || length == 32 && is_hex(front))
            && rest.starts_with(['_', '-'])
            && !rest[1..].is_empty()
            && !rest[1..].starts_with('.')
        {
            return &rest[1..];
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02 03:04:05 UTC.
    const CHANGED: i64 = 1_767_323_045_000;

    #[test]
    fn wrong_keys_are_put_right() {
        for (wrong, right) in [
            ("audio/dog/20250101_000000_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("extracted_audio//dog/20250101_000000_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("/extracted_audio/dog/20250101_000000_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("Extracted-Audio/Dog/20250101_000000_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("extracted_audio/Tree Frog/20250101_000000_a.wav", "extracted_audio/tree_frog/20250101_000000_a.wav"),
            ("extracted_audio/dog/a.wav", "extracted_audio/dog/20260102_030405_a.wav"),
            ("extracted_audio/dog/20250101T000000Z_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("audio/dog/20251399_000000_a.wav", "extracted_audio/dog/20260102_030405_20251399_000000_a.wav"),
            (
                "extracted_audio/dog/550e8400-e29b-41d4-a716-446655440000_a.wav",
                "extracted_audio/dog/20260102_030405_a.wav",
            ),
            (
                "extracted_audio/dog/20250101_000000-550e8400e29b41d4a716446655440000-a.wav",
                "extracted_audio/dog/20250101_000000_a.wav",
            ),
            ("extracted_audio/dog/../20250101_000000_a.wav", "extracted_audio/dog/20250101_000000_a.wav"),
            ("./extracted_audio/dog/20250101_000000_a\u{1b}b.wav", "extracted_audio/dog/20250101_000000_a_b.wav"),
            ("extracted_audio/dog/2025/a b?.WAV", "extracted_audio/dog/20260102_030405_a_b_.wav"),
        ] {
            let Mended::Better { class, time, name } = mended(wrong, CHANGED) else { panic!("{wrong}") };
            let key = AudioKey::new(&class, &time, &name, None).to_string();
            assert_eq!(key, right, "{wrong}");
            assert_eq!(mended(&key, CHANGED), Mended::Fine, "{key}");
        }
    }

    #[test]
    fn what_is_no_misplaced_recording_stays() {
        for key in [
            "extracted_audio/dog/20250101_000000_a.wav",
            "temp/a.wav",
            "backup/dog/a.wav",
            "extracted_audio/dog/labels.txt",
            "extracted_audio/dog/.a.wav",
            "extracted_audio",
            "",
        ] {
            assert_eq!(mended(key, CHANGED), Mended::Fine, "{key}");
        }
        for key in ["audio/a.wav", "extracted_audio/!/a.wav"] {
            assert!(matches!(mended(key, CHANGED), Mended::Unclear(_)), "{key}");
        }
    }
}

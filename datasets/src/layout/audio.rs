//! Where an original lies: `extracted_audio/<class>/<YYYYMMDD_HHMMSS>_<name>`.
//!
//! The key of an upload is made once, when it is accepted, and kept: a second try goes to the same place.

use std::fmt;

use super::Area;
use crate::key::ContentHash;

/// Bytes of a file name that are kept; with the time, a hash and an ending it stays below the 255 that file systems allow.
const NAME_BYTES: usize = 180;

/// Bytes of it without the ending, which has a dot and at most eight more.
const STEM_BYTES: usize = NAME_BYTES - 9;

/// What no class may be called, in any case: answers say so where no class passes its threshold.
pub const RESERVED_CLASS: &str = "none";

/// A class that clips can be filed under: lower-case ASCII letters, digits, `_` and `-`, at most 64 of them. It does not begin with `-`, as an option does,
/// and is not [`RESERVED_CLASS`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassName(String);

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameProblem(String);

impl ClassName {
    /// The class called `name`.
    pub fn new(name: &str) -> Result<Self, NameProblem> {
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_good) {
            let shown: String = name.chars().take(64).collect();
            let why = "a class is called with 1 to 64 of the characters a-z, 0-9, `_` and `-`";
            return Err(NameProblem(format!("{why}, which {shown:?} is not")));
        }
        if name.starts_with('-') {
            return Err(NameProblem(format!(
                "a class that begins with `-`, as `{name}` does, would be taken for an option"
            )));
        }
        if name == RESERVED_CLASS {
            return Err(NameProblem(format!("`{name}` is what answers say where no class fits, and no class")));
        }
        Ok(Self(name.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of an original.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudioKey {
    class: ClassName,
    file: String,
}

impl AudioKey {
    /// The key of a file called `name` that was accepted at `time` (`YYYYMMDD_HHMMSS`, UTC). `hash` tells two of one second and name apart.
    pub fn new(class: &ClassName, time: &str, name: &str, hash: Option<&ContentHash>) -> Self {
        let name = sanitised(name);
        let file = match hash {
            None => format!("{time}_{name}"),
            Some(hash) => {
                let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, "bin"));
                let stem = cut(stem, STEM_BYTES - "_12345678".len());
                format!("{time}_{stem}_{}.{extension}", &hash.to_string()[..8])
            }
        };
        Self { class: class.clone(), file }
    }

    /// The key that `text` is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        if parts.next()? != Area::ExtractedAudio.name() {
            return None;
        }
        let class = ClassName::new(parts.next()?).ok()?;
        let file = parts.next()?;
        if parts.next().is_some() {
            return None;
        }
        let digits = |text: Option<&str>| text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let is_timed = digits(file.get(..8)) && file.get(8..9) == Some("_") && digits(file.get(9..15));
        let name = file.get(16..).filter(|name| !name.is_empty() && sanitised(name) == *name)?;
        (is_timed && file.get(15..16) == Some("_") && !name.is_empty()).then(|| Self { class, file: file.to_owned() })
    }

    /// Its class.
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// The name of the file: the time, `_`, and the name that was given.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl fmt::Display for AudioKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", Area::ExtractedAudio.name(), self.class, self.file)
    }
}

/// What is left of the name of an uploaded file once nothing in it can mean anything to a file system, a shell or a URL: the last part of the
/// path, letters and digits of any script, `-`, `_` and `.`; anything else becomes `_`. Never empty, never hidden, at most 180 bytes.
pub fn sanitised(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String =
        last.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect();
    let plain = plain.trim_matches('.');
    let (stem, extension) = match plain.rsplit_once('.') {
        Some((stem, extension)) if (1..=8).contains(&extension.len()) => {
            (stem.trim_matches('.').to_owned(), Some(extension.to_ascii_lowercase()))
        }
        // A dot that no ending follows would be taken for one once the name is cut.
        _ => (plain.replace('.', "_"), None),
    };
    let stem = match cut(&stem, STEM_BYTES) {
        "" => "clip",
        stem => stem,
    };
    extension.map_or_else(|| stem.to_owned(), |extension| format!("{stem}.{extension}"))
}

/// The beginning of `stem`, at most so many bytes of it.
fn cut(stem: &str, bytes: usize) -> &str {
    let mut end = stem.len().min(bytes);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    stem[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_oneof, proptest};

    #[test]
    fn names_are_made_harmless() {
        for (name, plain) in [
            ("Shot 1.WAV", "Shot_1.wav"),
            ("../../etc/passwd", "passwd"),
            ("C:\\clips\\a.flac", "a.flac"),
            ("a\0b.wav", "a_b.wav"),
            (".hidden.wav", "hidden.wav"),
            ("日本 語.ogg", "日本_語.ogg"),
            ("", "clip"),
            ("...", "clip"),
            ("?.wav", "_.wav"),
            ("noext", "noext"),
        ] {
            assert_eq!(sanitised(name), plain, "{name:?}");
        }
        assert!(sanitised(&"ü".repeat(300)).len() <= NAME_BYTES);
    }

    #[test]
    fn only_plain_classes_pass() {
        for name in ["gunshot", "tree_frog-2", "0"] {
            assert_eq!(ClassName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "Gunshot", "../x", "a b", "a/b", "a\0b", "ü", &"x".repeat(65), ".", "-x", "--", "none"] {
            assert!(ClassName::new(name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_whatever_the_file_was_called(name in prop_oneof![any::<String>(), "[aA.ü ]{0,20}", "[aB.ü]{160,200}"]) {
            let class = ClassName::new("dog").unwrap();
            let hash = ContentHash::of_reader(name.as_bytes()).unwrap();
            for hash in [None, Some(&hash)] {
                let key = AudioKey::new(&class, "20260102_030405", &name, hash);
                assert_eq!(AudioKey::parse(&key.to_string()), Some(key.clone()), "{key}");
                assert!(key.file().len() < 255);
            }
        }
    }

    #[test]
    fn what_does_not_fit_the_layout_is_no_key() {
        for text in [
            "audio/dog/20260102_030405_a.wav",
            "extracted_audio/20260102_030405_a.wav",
            "extracted_audio/Dog/20260102_030405_a.wav",
            "extracted_audio/dog/a.wav",
            "extracted_audio/dog/20260102_030405_",
            "extracted_audio/dog/x/20260102_030405_a.wav",
            "extracted_audio/dog/20260102-030405_a.wav",
        ] {
            assert_eq!(AudioKey::parse(text), None, "{text}");
        }
    }
}

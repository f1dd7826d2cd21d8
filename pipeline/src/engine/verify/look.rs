//! What became of one thing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use ecosight_datasets::files::{Condition, FileStamp};
use ecosight_datasets::key::ContentHash;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Corrections;
use ecosight_datasets::snapshot::Part;
use ecosight_datasets::tables::{PredictionRow, Row, decode};
use ecosight_datasets::tracks::Track;
use ecosight_models::artefact::Artefact;
use ecosight_stages::publish::{Move, PointerProblem, pointer_problem};
use ecosight_stages::train::Pointer;
use serde::de::IgnoredAny;

use super::{Check, Checked, Depth, Health, Remedy, STAGING, in_words};
use crate::engine::describe;
use crate::engine::files::{name_of, relative};

/// Name of the marker that new recordings are held back; without it the next run decides anew.
const HELD_BACK: &str = "held_back.json";

/// What a check goes by beside the thing itself.
pub(super) struct Surroundings<'a> {
    pub(super) layout: &'a Layout,
    pub(super) depth: Depth,
    /// Stages that a run has begun and not ended.
    pub(super) unfinished: BTreeSet<String>,
}

/// Health, and what is wrong, in words.
type Found = (Health, String);

fn ok() -> Found {
    (Health::Ok, String::new())
}

fn damaged(why: impl Into<String>) -> Found {
    (Health::Damaged, why.into())
}

fn unfinished() -> Found {
    (Health::Unfinished, "a run that did not come to its end was writing it; the next run makes it again".to_owned())
}

impl Surroundings<'_> {
    /// Finds out.
    pub(super) fn look(&self, part_of: &str, check: &Check) -> Checked {
        let layout = self.layout;
        let (path, bytes, (health, why), remedy) = match check {
            Check::Stamp(stamp) => (stamp.path.clone(), stamp.bytes, self.stamp(part_of, stamp), Remedy::SetAside),
            Check::Recording(track) => {
                let path = track.path.clone().unwrap_or_else(|| track.key.clone());
                (path, track.size_bytes, self.recording(track), Remedy::ByHand)
            }
            Check::Production(path) => {
                let (found, remedy) = self.production();
                of_file(layout, path, found, remedy)
            }
            Check::Pointer(path) => of_file(layout, path, pointer(layout, path), Remedy::SetAside),
            Check::Model(path) => of_file(layout, path, self.model(path), Remedy::SetAside),
            Check::Readable(path, result) => {
                let found = result.clone().map_or_else(damaged, |()| ok());
                of_file(layout, path, found, Remedy::SetAside)
            }
            Check::Kept(part) => (part.path.clone(), part.size_bytes, kept(layout, part), Remedy::SetAside),
            Check::File(path) => {
                let found = match read(path) {
                    Ok(()) => ok(),
                    // Whatever the next run cannot use of it is computed.
                    Err(why) if part_of == STAGING => {
                        (Health::Unfinished, format!("the next run passes it over: {why}"))
                    }
                    Err(why) => damaged(why),
                };
                // A model is moved as a whole, which a file that nothing computes with is not worth. A pin is a person's.
                let is_marker = name_of(path) == HELD_BACK;
                let remedy = if part_of == "models" && !is_marker { Remedy::ByHand } else { Remedy::SetAside };
                of_file(layout, path, found, remedy)
            }
            Check::History(path) => of_file(layout, path, history(path), Remedy::Restore),
            Check::Corrections(path) => {
                let found = Corrections::read_old(path).map_or_else(|error| damaged(describe(&error)), |_| ok());
                of_file(layout, path, found, Remedy::ByHand)
            }
            Check::Tracks(path, why) => {
                let why = format!("{why}; `ecosight storage reindex` moves it aside and makes it again");
                of_file(layout, path, damaged(why), Remedy::ByHand)
            }
            Check::Unnamed(path) => {
                let why = "nothing names it, but whoever opens the table reads it".to_owned();
                let found = if self.is_under_way(part_of, path) { unfinished() } else { (Health::Unknown, why) };
                of_file(layout, path, found, Remedy::SetAside)
            }
        };
        Checked { part_of: part_of.to_owned(), path, health, bytes, why, remedy }
    }

    /// Whether `path` is whole, and of a stage that a run has begun and not ended: then it may be newer than what is known of the stage.
    fn is_under_way(&self, stage: &str, path: &Path) -> bool {
        // The one table that is not called as the stage that writes it.
        let stage = if stage == PredictionRow::TABLE.name { "evaluate" } else { stage };
        self.unfinished.contains(stage) && read(path).is_ok()
    }

    fn stamp(&self, stage: &str, stamp: &FileStamp) -> Found {
        let path = self.layout.root().join(&stamp.path);
        match stamp.verify(self.layout.root()) {
            Condition::Intact | Condition::Touched(_) => ok(),
            // The index of the table says which parts it has by now.
            Condition::Missing if stage == "embed" && self.unfinished.contains(stage) => unfinished(),
            Condition::Missing => (Health::Missing, "it is gone".to_owned()),
            Condition::Damaged if self.is_under_way(stage, &path) => unfinished(),
            Condition::Damaged => damaged("it is not what was written"),
        }
    }

    fn recording(&self, track: &Track) -> Found {
        let path = self.layout.root().join(track.path.as_deref().unwrap_or(&track.key));
        let bytes = match path.metadata() {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return (Health::Missing, format!("the recording is gone; {}", way_out(track)));
            }
            Err(error) => return damaged(format!("the recording cannot be read: {error}")),
        };
        let size = track.size_bytes;
        if bytes != size {
            return damaged(format!("the recording has {bytes} bytes instead of {size}; {}", way_out(track)));
        }
        if self.depth == Depth::Quick {
            return ok();
        }
        match File::open(&path).and_then(ContentHash::of_reader) {
            Ok(hash) if hash == track.hash => ok(),
            Ok(_) => damaged(format!("the recording has other bytes than were taken in; {}", way_out(track))),
            Err(error) => damaged(format!("the recording cannot be read: {error}")),
        }
    }

    /// Where the model that the history names is gone, too, the next run publishes one.
    fn production(&self) -> (Found, Remedy) {
        let PointerProblem { why, is_restorable } = match pointer_problem(self.layout) {
            Ok(None) => return (pointer(self.layout, &self.layout.production()), Remedy::SetAside),
            Ok(Some(problem)) => problem,
            Err(error) => return (damaged(in_words(&error)), Remedy::SetAside),
        };
        let remedy = if is_restorable { Remedy::Restore } else { Remedy::SetAside };
        // The history is written a moment before the pointer.
        let found = if self.unfinished.contains("publish") {
            unfinished()
        } else if self.layout.production().exists() {
            damaged(why)
        } else {
            (Health::Missing, why)
        };
        (found, remedy)
    }

    fn model(&self, path: &Path) -> Found {
        match Artefact::verify(path) {
            Ok(_) => ok(),
            // Figures are added to a model before their checksum is.
            Err(_) if self.unfinished.contains("evaluate") && Artefact::load(path).is_ok() => unfinished(),
            Err(error) => damaged(describe(&error)),
        }
    }
}

fn of_file(layout: &Layout, path: &Path, found: Found, remedy: Remedy) -> (String, u64, Found, Remedy) {
    let bytes = path.metadata().map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
    (relative(layout, path), bytes, found, remedy)
}

/// Where a lost recording may be had.
fn way_out(track: &Track) -> String {
    match &track.s3_object_key {
        Some(key) => format!("`ecosight storage get {key}` fetches the copy in the bucket"),
        None => "it can only come back from a backup; `ecosight storage reindex` forgets it".to_owned(),
    }
}

fn kept(layout: &Layout, part: &Part) -> Found {
    if !layout.root().join(&part.path).exists() {
        return (Health::Missing, "a snapshot of the tables names it".to_owned());
    }
    match part.is_whole(layout.root()) {
        Ok(true) => ok(),
        Ok(false) => damaged("it is not what was written"),
        Err(error) => damaged(describe(&error)),
    }
}

fn pointer(layout: &Layout, path: &Path) -> Found {
    match Pointer::read(path) {
        Err(error) => damaged(error.to_string()),
        Ok(Some(pointer)) if !layout.model(&pointer.version).is_dir() => {
            damaged(format!("it names the model `{}`, which is gone", pointer.version))
        }
        Ok(_) => ok(),
    }
}

fn history(path: &Path) -> Found {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return damaged(error.to_string()),
    };
    let text = String::from_utf8_lossy(&text);
    let bad = |line: &str| serde_json::from_str::<Move>(line).is_err();
    match text.lines().enumerate().find(|(_, line)| bad(line)) {
        None => ok(),
        Some((number, _)) if number + 1 == text.lines().count() && !text.ends_with('\n') => {
            (Health::Unfinished, format!("line {} was cut short by a crash, and is passed over", number + 1))
        }
        Some((number, line)) => damaged(format!("line {} cannot be read, and is passed over: {line:?}", number + 1)),
    }
}

/// Reads a file as what its name says it is; says why it cannot be read.
fn read(path: &Path) -> Result<(), String> {
    let bytes = || std::fs::read(path).map_err(|error| error.to_string());
    match path.extension().and_then(OsStr::to_str) {
        Some("parquet") => decode(path).map(drop).map_err(|error| describe(&error)),
        Some("json") => serde_json::from_slice::<IgnoredAny>(&bytes()?).map(drop).map_err(|error| error.to_string()),
        Some("jsonl") => read_lines(&bytes()?),
        _ => File::open(path).map(drop).map_err(|error| error.to_string()),
    }
}

/// Reads lines of JSON.
fn read_lines(bytes: &[u8]) -> Result<(), String> {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // What follows the last line end is nothing, or a line that a crash has cut short.
    for (number, line) in lines[..lines.len() - 1].iter().enumerate() {
        serde_json::from_slice::<IgnoredAny>(line).map_err(|error| format!("line {}: {error}", number + 1))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_what_their_names_say() {
        let dir = tempfile::tempdir().unwrap();
        let result = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        for (name, text) in [("a.json", "{}"), ("a.jsonl", "{}\n[]\n"), ("a.jsonl", "{}\n{\"cut"), ("a.html", "<")] {
            assert_eq!(result(name, text), Ok(()), "{name} {text}");
        }
        for (name, text) in [("a.json", "{"), ("a.jsonl", "{}\n{\n"), ("a.parquet", "PAR1 no PAR1")] {
            assert!(result(name, text).is_err(), "{name} {text}");
        }
        assert!(result("b.jsonl", "{}\nx\n{}\n").unwrap_err().starts_with("line 2: "));
    }
}

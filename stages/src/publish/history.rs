//! Which model was in production when: `models/production.json` says what is, the [`Journal`] what was, one entry for each move.
//!
//! The entry is written before the pointer is moved, so that there is no move without one. `models/history.jsonl`, a line for each move, is what
//! earlier versions wrote; its lines count as the oldest.

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::Layout;
use ecosight_models::artefact::Artefact;
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::test_uses::time_of;
use crate::train::Pointer;

/// Who moved the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum By {
    /// A run.
    Publish {
        /// Whether the gate had refused the model.
        forced: bool,
    },
    /// A person.
    Promote,
    /// A person who wanted the model before it back.
    Rollback,
    /// A person who keeps the model in production there; the pointer does not move.
    Pin,
    /// A person who lets models be published again; the pointer does not move.
    Unpin,
}

impl By {
    /// Whether the pointer moves.
    fn moves(self) -> bool {
        !matches!(self, Self::Pin | Self::Unpin)
    }
}

/// When, by whom and why the pointer is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// When, UTC, RFC 3339.
    pub at: &'a str,
    /// Who, where that is known.
    pub user: Option<&'a str>,
    /// Why, where that was said.
    pub reason: Option<&'a str>,
}

/// A move of the pointer; an entry of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// When, UTC, RFC 3339.
    pub at: String,
    /// The model that is in production from then on.
    pub version: String,
    /// The model that was until then.
    pub previous: Option<String>,
    /// Who did it.
    #[serde(flatten)]
    pub by: By,
    /// Name of the user, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The reason that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Move {
    /// By what, by whom and why, in words.
    pub fn words(&self) -> String {
        let by = match self.by {
            By::Publish { forced: false } => "published",
            By::Publish { forced: true } => "published although the gate refused it",
            By::Promote => "promoted",
            By::Rollback => "rolled back",
            By::Pin => "pinned",
            By::Unpin => "unpinned",
        };
        let user = self.user.as_ref().map_or(String::new(), |user| format!(" by {user}"));
        let reason = self.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        format!("{by}{user}{reason}")
    }
}

/// All moves, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Moves(pub Vec<Move>);

impl Moves {
    /// Reads them; none where there are none. Entries and lines that are damaged are left out.
    pub fn read(layout: &Layout) -> Result<Self, StageErrorKind> {
        let path = layout.history();
        let mut moves: Vec<Move> = match std::fs::read_to_string(&path) {
            Ok(text) => text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(DatasetError::at("read history", &path)(error).into()),
        };
        let entries = Journal::History.read(layout)?;
        moves.extend(entries.iter().filter_map(|entry| serde_json::from_slice::<Move>(&entry.bytes).ok()));
        Ok(Self(moves))
    }

    /// The last move to `version`.
    fn to(&self, version: &str) -> Option<&Move> {
        self.0.iter().rev().find(|step| step.version == version && step.by.moves())
    }

    /// The model in production after all moves, below it the one that a rollback goes to, and so on: who rolls back twice goes back by two.
    fn stack(&self) -> Vec<&str> {
        let mut stack: Vec<&str> = Vec::new();
        for step in &self.0 {
            if step.by == By::Rollback {
                stack.pop();
            }
            if stack.last() != Some(&step.version.as_str()) {
                stack.push(&step.version);
            }
        }
        stack
    }
}

/// The model in production; where the pointer cannot be read, the last that it was moved to.
pub fn current(layout: &Layout) -> Result<Option<String>, StageErrorKind> {
    let is_there = |version: &String| layout.model(version).is_dir();
    let pointer = Pointer::read(&layout.production()).ok().flatten().map(|pointer| pointer.version);
    if let Some(version) = pointer.filter(is_there) {
        return Ok(Some(version));
    }
    Ok(Moves::read(layout)?.0.pop().map(|step| step.version).filter(is_there))
}

/// The model that a rollback goes to.
pub fn before(layout: &Layout) -> Result<Option<String>, StageErrorKind> {
    let Some(pointer) = Pointer::read(&layout.production())? else { return Ok(None) };
    let moves = Moves::read(layout)?;
    let mut stack = moves.stack();
    // Roots of earlier versions have no history.
    if stack.pop() != Some(&pointer.version) {
        return Ok(pointer.previous);
    }
    Ok(stack.pop().map(str::to_owned))
}

/// Lets `predict` use the model `version`. Where it does so already, nothing is written.
pub fn move_to(layout: &Layout, version: &str, author: Author<'_>, by: By) -> Result<Pointer, StageErrorKind> {
    let path = layout.production();
    if let Ok(Some(pointer)) = Pointer::read(&path)
        && pointer.version == version
        && look(layout).is_ok()
    {
        return Ok(pointer);
    }
    let moves = Moves::read(layout)?;
    let previous = match current(layout)? {
        // The pointer was damaged.
        Some(before) if before == version => moves.to(version).and_then(|step| step.previous.clone()),
        before => before,
    };
    append(layout, &step(version, previous.clone(), author, by))?;
    let (version, since) = (version.to_owned(), author.at.to_owned());
    let pointer = Pointer { schema_version: 1, version, since, previous };
    write_atomic(&path, &serde_json::to_vec_pretty(&pointer).expect("a pointer is plain data"))?;
    Ok(pointer)
}

/// An entry of the history.
fn step(version: &str, previous: Option<String>, author: Author<'_>, by: By) -> Move {
    let [user, reason] = [author.user, author.reason].map(|text| text.map(str::to_owned));
    Move { at: author.at.to_owned(), version: version.to_owned(), previous, by, user, reason }
}

/// Notes that the model in production was pinned, or is not any more.
pub(super) fn note(layout: &Layout, version: &str, author: Author<'_>, by: By) -> Result<(), StageErrorKind> {
    append(layout, &step(version, Some(version.to_owned()), author, by))
}

/// Whether the pointer is whole; says what is wrong.
pub(super) fn look(layout: &Layout) -> Result<(), String> {
    let pointer = Pointer::read(&layout.production()).map_err(|error| error.to_string())?;
    let pointer = pointer.ok_or("`models/production.json` is gone")?;
    Artefact::load(&layout.model(&pointer.version))
        .map_err(|error| format!("`models/production.json` names `{}`: {error}", pointer.version))?;
    let moves = Moves::read(layout).map_err(|error| error.to_string())?;
    let is_other = |step: &Move| step.at != pointer.since || step.previous != pointer.previous;
    if moves.to(&pointer.version).is_some_and(is_other) {
        return Err("`models/production.json` is not what was written".to_owned());
    }
    Ok(())
}

fn append(layout: &Layout, step: &Move) -> Result<(), StageErrorKind> {
    let bytes = serde_json::to_vec(step).expect("a move is plain data");
    Journal::History.append(layout, time_of(&step.at), "json", &bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(steps: &[(&str, Option<&str>, By)]) -> Moves {
        let step = |(version, previous, by): &(&str, Option<&str>, By)| Move {
            at: String::new(),
            version: (*version).to_owned(),
            previous: previous.map(str::to_owned),
            by: *by,
            user: None,
            reason: None,
        };
        Moves(steps.iter().map(step).collect())
    }

    #[test]
    fn who_rolls_back_twice_goes_back_by_two() {
        let publish = By::Publish { forced: false };
        let mut all = vec![("a", None, publish), ("b", Some("a"), publish), ("a", Some("b"), By::Promote)];
        assert_eq!(moves(&all).stack(), ["a", "b", "a"]);
        all.push(("b", Some("a"), By::Rollback));
        assert_eq!(moves(&all).stack(), ["a", "b"]);
        all.push(("a", Some("b"), By::Rollback));
        assert_eq!(moves(&all).stack(), ["a"]);
        // A pin moves nothing.
        all.push(("a", Some("a"), By::Pin));
        assert_eq!(moves(&all).stack(), ["a"]);
        assert_eq!(moves(&all).to("a").map(|step| step.by), Some(By::Rollback));
        // A pointer that was damaged was written again.
        all.push(("a", None, publish));
        assert_eq!(moves(&all).stack(), ["a"]);
    }

    #[test]
    fn a_move_is_one_flat_line() {
        let Moves(steps) = moves(&[("b", Some("a"), By::Publish { forced: true })]);
        let line = serde_json::to_string(&steps[0]).unwrap();
        assert_eq!(line, r#"{"at":"","version":"b","previous":"a","by":"publish","forced":true}"#);
        assert_eq!(serde_json::from_str::<Move>(&line).unwrap(), steps[0]);
        let author = Author { at: "2026-03-01T00:00:00Z", user: Some("ann"), reason: Some("field test") };
        let line = serde_json::to_string(&step("b", None, author, By::Rollback)).unwrap();
        assert!(line.ends_with(r#""by":"rollback","user":"ann","reason":"field test"}"#), "{line}");
        assert_eq!(serde_json::from_str::<Move>(&line).unwrap().words(), "rolled back by ann: field test");
    }
}

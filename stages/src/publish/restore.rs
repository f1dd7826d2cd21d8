//! Whether `models/production.json` says what the history says, and how it is written again where it does not.

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;

use super::history::{By, Move, Moves};
use crate::StageErrorKind;
use crate::train::Pointer;

/// Something that is wrong with the pointer to the model in production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerProblem {
    /// What it is, in words.
    pub why: String,
    /// Whether [`restore_pointer`] writes it again: the model that the history names is there.
    pub is_restorable: bool,
}

/// What is wrong with the pointer to the model in production; none where the history knows of no model. It may be gone, be unreadable, name a
/// model that is gone, or say something else than the history. Whether the model itself is whole is another question.
pub fn pointer_problem(layout: &Layout) -> Result<Option<PointerProblem>, StageErrorKind> {
    let Some(last) = last_move(layout)? else { return Ok(None) };
    let is_restorable = layout.model(&last.version).is_dir();
    Ok(difference(layout, &last).map(|why| PointerProblem { why, is_restorable }))
}

/// What the pointer says otherwise than the last move, in words.
fn difference(layout: &Layout, last: &Move) -> Option<String> {
    let pointer = match Pointer::read(&layout.production()) {
        Err(error) => return Some(error.to_string()),
        Ok(None) => return Some(format!("it is gone; the history says that `{}` is in production", last.version)),
        Ok(Some(pointer)) => pointer,
    };
    let Pointer { version, since, previous, .. } = pointer;
    if !layout.model(&version).is_dir() {
        return Some(format!("it names the model `{version}`, which is gone"));
    }
    if version != last.version {
        return Some(format!("it names `{version}`, but the history says that `{}` is in production", last.version));
    }
    let is_other = since != last.at || previous != last.previous;
    is_other.then(|| "it is not what was written".to_owned())
}

/// Writes the pointer to the model in production again, as the history says it was; none where the history knows of no model, or where that
/// model is gone.
pub fn restore_pointer(layout: &Layout) -> Result<Option<Pointer>, StageErrorKind> {
    let Some(last) = last_move(layout)?.filter(|last| layout.model(&last.version).is_dir()) else { return Ok(None) };
    let Move { version, at: since, previous, .. } = last;
    let pointer = Pointer { schema_version: 1, version, since, previous };
    let json = serde_json::to_vec_pretty(&pointer).expect("a pointer is plain data");
    write_atomic(&layout.production(), &json)?;
    Ok(Some(pointer))
}

/// The last move of the pointer.
fn last_move(layout: &Layout) -> Result<Option<Move>, StageErrorKind> {
    let moves = Moves::read(layout)?.0;
    Ok(moves.into_iter().rev().find(|step| !matches!(step.by, By::Pin | By::Unpin)))
}

//! Pinning the model in production, and the history of what was in production.

use ecosight_stages::publish::{Moves, Pin};
use serde_json::json;

use crate::ExitStatus;
use crate::cli::args::Why;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::listing;
use crate::cli::root::lock;
use crate::cli::session::Globals;

/// Pins the model in production.
pub(super) fn pin(why: &Why, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let _lock = lock(globals)?;
    let at = globals.started_at();
    let pin = Pin::set(&globals.layout, globals.author(&at, why.reason.as_deref()))?;
    if printer.json {
        printer.document(&pin)?;
    } else {
        printer.line(&format!("{}; retrains publish nothing over it", pin.words()))?;
    }
    Ok(ExitStatus::Ok)
}

/// Lets retrains publish again.
pub(super) fn unpin(why: &Why, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let _lock = lock(globals)?;
    let at = globals.started_at();
    let was_pinned = Pin::remove(&globals.layout, globals.author(&at, why.reason.as_deref()))?;
    if printer.json {
        printer.document(&json!({ "was_pinned": was_pinned }))?;
    } else {
        let found = if was_pinned { "the pin is removed; retrains publish again" } else { "no model was pinned" };
        printer.line(found)?;
    }
    Ok(ExitStatus::Ok)
}

/// Prints all moves of the pointer and all pins, the last first.
pub(super) fn history(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let Moves(mut moves) = Moves::read(&globals.layout)?;
    moves.reverse();
    if printer.json {
        printer.document(&moves)?;
    } else if moves.is_empty() {
        printer.note("no model was in production yet; `ecosight retrain` publishes one");
    } else {
        let rows = moves.iter().map(|step| vec![step.at.clone(), step.version.clone(), step.words()]);
        printer.result(&listing(&["at (UTC)", "version", "what"], rows))?;
    }
    Ok(ExitStatus::Ok)
}

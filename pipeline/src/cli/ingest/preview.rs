//! `ecosight ingest --dry-run`: what would be stored, under which key.

use ecosight_stages::ingest::{NewClass, Preview, Restore, WouldBe};
use serde::Serialize;

use super::{Hurry, rules, store, unusable};
use crate::ExitStatus;
use crate::cli::audio_paths::Named;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// What is told of one file.
#[derive(Serialize)]
struct Line {
    file: String,
    status: &'static str,
    /// Where it would be, apart from the time in it, or is.
    key: Option<String>,
    code: Option<&'static str>,
    message: Option<String>,
    hint: Option<String>,
}

/// Looks at all files; nothing is written.
pub(super) fn preview(
    named: &Named,
    (class, new): (&str, NewClass),
    restore: Restore,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitStatus, CliError> {
    let access = globals.access()?;
    let (rules, store) = (rules(globals, access)?, store(access, Hurry::Yes)?);
    let mut preview = Preview::open(&globals.layout, &rules, store.as_ref(), restore, globals.started)?;
    let class = preview.class(class, new)?.map_err(|no| unusable(no, named))?;
    let mut lines = Vec::new();
    for file in &named.files {
        if globals.is_cancelled() {
            return Err(CliError::interrupted("nothing was stored"));
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let (status, key, why) = match preview.look(file, &name, &class)? {
            WouldBe::Stored(key) => ("would_be_stored", Some(key), None),
            WouldBe::AlreadyPresent(key) => ("already_present", Some(key), None),
            WouldBe::Removed(removal) => {
                let why =
                    ("removed", format!("it was {}", removal.words()), "`--restore` takes it in again".to_owned());
                ("removed", None, Some(why))
            }
            WouldBe::Rejected(no) => ("rejected", None, Some((no.code, no.message, no.hint))),
        };
        let file = file.display().to_string();
        if !printer.json {
            let what = match (&key, &why) {
                (Some(key), _) => key.clone(),
                (None, Some((code, message, hint))) => format!("{code}: {message} ({hint})"),
                (None, None) => String::new(),
            };
            printer.line(&format!("{status}  {file}  {what}"))?;
        }
        let (code, message, hint) =
            why.map_or((None, None, None), |(code, message, hint)| (Some(code), Some(message), Some(hint)));
        lines.push(Line { file, status, key, code, message, hint });
    }
    let count = |status: &str| lines.iter().filter(|line| line.status == status).count();
    let (stored, present) = (count("would_be_stored"), count("already_present"));
    let (rejected, removed) = (count("rejected") + named.unreadable.len(), count("removed"));
    if printer.json {
        printer.document(&serde_json::json!({
            "files": lines, "would_be_stored": stored, "already_present": present, "rejected": rejected, "removed": removed,
        }))?;
    } else {
        let of_removed = if removed > 0 { format!(", {removed} removed before") } else { String::new() };
        printer.note(&format!("{stored} would be stored, {present} already present, {rejected} rejected{of_removed}"));
    }
    Ok(if rejected > 0 { ExitStatus::Failed } else { ExitStatus::Ok })
}

//! Corrected labels on their way back in.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ecosight_datasets::files::read_regular;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::manifest::{CorrectionChange, Corrections};
use ecosight_datasets::tables::ClipRow;

use crate::ExitStatus;
use crate::cli::audit::rows;
use crate::cli::csv_file::Cells;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::root::lock;
use crate::cli::session::Globals;

/// In the column `corrected_label`: the correction is withdrawn, and the label of the source counts again.
const WITHDRAW: &str = "-";

/// Mistakes that are told at once.
const TOLD: usize = 5;

/// Takes the labels of a corrected file: all of them, or none where one makes no sense.
pub(super) fn import(file: &Path, cells: Cells, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let bytes = read_regular(file).map_err(|error| {
        CliError::usage(format!("cannot read `{}`: {error}", file.display()), "name the file that `--out` has written")
    })?;
    let clips: Vec<ClipRow> = rows(globals)?;
    let known = Known::new(&clips);
    let filled = filled(&bytes, file, cells)?;
    let mut problems = Vec::new();
    let mut corrected: Vec<(&ClipRow, Option<String>)> = Vec::new();
    for Filled { line, id, uri, start_s, label } in filled {
        // A class of this name is a class.
        let label = Some(label).filter(|label| label != WITHDRAW || known.classes.contains(WITHDRAW));
        let is_known = |label: &Option<String>| label.as_ref().map_or(Ok(()), |label| known.class(label));
        match known.find(&id, &uri, &start_s).and_then(|clip| is_known(&label).map(|()| clip)) {
            Ok(clip) => corrected.push((clip, label)),
            Err(why) => problems.push(format!("line {line}: {why}")),
        }
    }
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(TOLD);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        problems.truncate(TOLD);
        let message = format!("`{}` cannot be taken: {}{more}", file.display(), problems.join("; "));
        return Err(CliError::failed(message, "mend these lines and import the file again; nothing was taken"));
    }
    let _lock = lock(globals)?;
    let corrections = Corrections::read(&globals.layout)?;
    let n = corrected.len();
    // What is confirmed needs no correction.
    let changes =
        corrected.into_iter().filter(|(clip, label)| corrections.changes(clip.clip_id, label.as_deref(), &clip.label));
    let change = |(clip, label): (&ClipRow, Option<String>)| CorrectionChange {
        clip_id: clip.clip_id,
        label,
        uri: clip.uri.clone(),
    };
    let changes: Vec<CorrectionChange> = changes.map(change).collect();
    if !changes.is_empty() {
        Corrections::append(&globals.layout, &changes, globals.started, globals.user.as_deref())?;
    }
    let withdrawn = changes.iter().filter(|change| change.label.is_none()).count();
    let changed = changes.len() - withdrawn;
    if printer.json {
        let known = Corrections::read(&globals.layout)?.labels.len();
        let document =
            serde_json::json!({ "read": n, "corrected": changed, "withdrawn": withdrawn, "corrections": known });
        printer.document(&document)?;
    } else {
        let of_withdrawn = if withdrawn > 0 { format!(", {withdrawn} withdrawn") } else { String::new() };
        let confirmed = n - changes.len();
        printer.note(&format!("{n} label(s) read: {changed} corrected, {confirmed} confirmed{of_withdrawn}"));
        if !changes.is_empty() {
            printer.note("`ecosight retrain` uses them");
        }
    }
    Ok(ExitStatus::Ok)
}

/// A line of the file that a person has filled in.
struct Filled {
    line: u64,
    id: String,
    uri: String,
    start_s: String,
    label: String,
}

fn filled(bytes: &[u8], file: &Path, cells: Cells) -> Result<Vec<Filled>, CliError> {
    let wrong = |why: String| {
        let message = format!("`{}` cannot be read: {why}", file.display());
        CliError::failed(message, "it is to be the file that `--out` has written, saved as CSV with commas")
    };
    // Behind CRLF the reader counts a line too few.
    let ends_in_crlf = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    let lines: Vec<u8> = (0..bytes.len()).filter(|&at| !ends_in_crlf(at)).map(|at| bytes[at]).collect();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&lines[..]);
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    // Spreadsheets begin a file with a mark that tells its encoding.
    let column = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}').trim() == name);
    let label = column("corrected_label").ok_or_else(|| wrong("it has no column `corrected_label`".to_owned()))?;
    let (id, uri, start_s) = (column("clip_id"), column("uri"), column("start_s"));
    if id.is_none() && uri.is_none() {
        return Err(wrong("it has neither a column `uri` nor `clip_id`".to_owned()));
    }
    let mut filled = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let cell =
            |at: Option<usize>| cells.read(at.and_then(|at| record.get(at)).unwrap_or_default().trim()).to_owned();
        let line = record.position().map_or(0, csv::Position::line);
        let row = Filled { line, id: cell(id), uri: cell(uri), start_s: cell(start_s), label: cell(Some(label)) };
        if !row.label.is_empty() {
            filled.push(row);
        }
    }
    Ok(filled)
}

/// The clips and classes that a correction may name.
struct Known<'a> {
    by_id: HashMap<ClipId, &'a ClipRow>,
    by_uri: HashMap<&'a str, Vec<&'a ClipRow>>,
    classes: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn new(clips: &'a [ClipRow]) -> Self {
        let mut by_uri: HashMap<&str, Vec<&ClipRow>> = HashMap::new();
        for clip in clips {
            by_uri.entry(&clip.uri).or_default().push(clip);
        }
        Self {
            by_id: clips.iter().map(|clip| (clip.clip_id, clip)).collect(),
            by_uri,
            classes: clips.iter().map(|clip| clip.label.as_str()).collect(),
        }
    }

    /// The clip that a line is about: by its identity, else by its path and, where several lie in one file, its start.
    fn find(&self, id: &str, uri: &str, start_s: &str) -> Result<&'a ClipRow, String> {
        if !id.is_empty() {
            let id: ClipId = id.parse().map_err(|error| format!("{error}"))?;
            return self
                .by_id
                .get(&id)
                .copied()
                .ok_or_else(|| format!("there is no clip `{id}` (`{uri}`) in the tables"));
        }
        let there = self.by_uri.get(uri).ok_or_else(|| format!("there is no clip `{uri}` in the tables"))?;
        let at: Option<f64> = start_s.parse().ok();
        let begins =
            |clip: &&&ClipRow| at.is_none_or(|at| clip.span.is_some_and(|span| (span.start_s - at).abs() < 1e-6));
        let mut found = there.iter().filter(|clip| there.len() == 1 || begins(clip));
        match (found.next(), found.next()) {
            (Some(clip), None) => Ok(clip),
            (None, _) => Err(format!("no clip of `{uri}` begins at {start_s} s")),
            (Some(_), Some(_)) => Err(format!("`{uri}` holds several clips, and `start_s` does not tell which")),
        }
    }

    fn class(&self, label: &str) -> Result<(), String> {
        if self.classes.contains(label) {
            return Ok(());
        }
        let classes: Vec<String> = self.classes.iter().take(20).map(|class| format!("`{class}`")).collect();
        Err(format!("there is no class `{label}`, only {}", classes.join(", ")))
    }
}

//! `ecosight audit`: probable mistakes in labels, and copies across the split, as the last retrain has found them.

use std::collections::HashMap;
use std::path::Path;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, CopyRow, LeakRow, PredictionRow, Row, Side, SplitRow, read_file, read_rows};
use ecosight_models::head::UNKNOWN;
use serde::Serialize;

use super::args::{AuditArgs, AuditVerb};
use super::csv_file::{Cells, csv_bytes};
use super::error::CliError;
use super::printer::Printer;
use super::report::listing;
use super::root::must_exist;
use super::session::Globals;
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn audit(args: &AuditArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    match &args.verb {
        AuditVerb::Labels { top, out, csv } => {
            let out = out.as_deref().map(|file| (file, csv.cells()));
            labels(top.get(), out, globals, printer)
        }
        AuditVerb::Leaks => leaks(globals, printer),
    }
}

/// The rows of a table that a retrain makes.
pub(super) fn rows<R: Row>(globals: &Globals) -> Result<Vec<R>, CliError> {
    let table = globals.layout.table(R::TABLE.name);
    if !table.is_dir() {
        let message = format!("there is no table `{}` in `{}`", R::TABLE.name, globals.layout.place());
        return Err(CliError::failed(message, "`ecosight retrain --to evaluate` makes it"));
    }
    Ok(read_rows(&table)?)
}

/// A clip whose label is probably wrong.
#[derive(Serialize)]
struct Suspect {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_s: Option<f64>,
    split: Side,
    label: String,
    predicted: String,
    /// Of the class predicted.
    confidence: f64,
    /// Of the label.
    probability: f64,
    surprisal: f64,
    clip_id: String,
}

/// Columns of the file; those of the terminal are fewer.
const HEADER: [&str; 9] =
    ["uri", "start_s", "split", "label", "predicted", "confidence", "probability", "surprisal", "clip_id"];

fn labels(
    top: usize,
    out: Option<(&Path, Cells)>,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitStatus, CliError> {
    if let Some((file, _)) = out {
        must_be_csv(file)?;
    }
    let mut predictions: Vec<PredictionRow> = rows(globals)?;
    let clips: HashMap<ClipId, ClipRow> =
        rows(globals)?.into_iter().map(|clip: ClipRow| (clip.clip_id, clip)).collect();
    let examined = predictions.len();
    // `unknown`, unless that is a class, says that no class is likely enough, which contradicts no label.
    let is_class = predictions.iter().any(|row| row.label == UNKNOWN);
    let contradicts = |row: &PredictionRow| row.predicted != row.label && (is_class || row.predicted != UNKNOWN);
    predictions.retain(|row| contradicts(row) && clips.contains_key(&row.clip_id));
    predictions.sort_by(|a, b| b.surprisal.total_cmp(&a.surprisal).then(a.clip_id.cmp(&b.clip_id)));
    let found = predictions.len();
    let suspects: Vec<Suspect> = predictions.into_iter().take(top).map(|row| suspect(row, &clips)).collect();
    if let Some((file, written)) = out {
        write_atomic(file, &csv_bytes(&HEADER, suspects.iter().map(cells), written)?)?;
    }
    let out = out.map(|(file, _)| file);
    if printer.json {
        let document =
            serde_json::json!({ "examined": examined, "contradicted": found, "labels": suspects, "written": out });
        printer.document(&document)?;
        return Ok(ExitStatus::Ok);
    }
    if let Some(file) = out {
        printer.note(&format!("wrote {} clip(s) to {}", suspects.len(), file.display()));
    } else if !suspects.is_empty() {
        let told = suspects.iter().map(|suspect| {
            let percent = |share: f64| format!("{:.1} %", 100.0 * share);
            let surprisal = format!("{:.1}", suspect.surprisal);
            let words = [&suspect.uri, &suspect.label, &suspect.predicted].map(Clone::clone).to_vec();
            [words, vec![percent(suspect.confidence), percent(suspect.probability), surprisal]].concat()
        });
        printer.result(&listing(&["clip", "label", "rather", "at", "label at", "surprisal"], told))?;
    }
    let n = suspects.len();
    printer.note(&format!(
        "{found} of {examined} labels are contradicted by a head that has not heard the recording; told: {n}"
    ));
    Ok(ExitStatus::Ok)
}

fn suspect(row: PredictionRow, clips: &HashMap<ClipId, ClipRow>) -> Suspect {
    let clip = &clips[&row.clip_id];
    Suspect {
        uri: clip.uri.clone(),
        start_s: clip.span.map(|span| span.start_s),
        split: row.side,
        label: row.label,
        predicted: row.predicted,
        confidence: row.confidence,
        probability: row.probability,
        surprisal: row.surprisal,
        clip_id: row.clip_id.to_string(),
    }
}

fn cells(suspect: &Suspect) -> Vec<String> {
    let start_s = suspect.start_s.map(|s| s.to_string()).unwrap_or_default();
    let figures = [suspect.confidence, suspect.probability, suspect.surprisal].map(|x| format!("{x:.6}"));
    let words = [&suspect.uri, &start_s, suspect.split.word(), &suspect.label, &suspect.predicted].map(str::to_owned);
    [words.to_vec(), figures.to_vec(), vec![suspect.clip_id.clone()]].concat()
}

/// A leak with the names of the table's columns.
#[derive(Serialize)]
struct Leak<'a> {
    kind: &'a str,
    uri_a: &'a str,
    split_a: Side,
    uri_b: &'a str,
    split_b: Side,
    similarity: Option<f64>,
    offset_s: Option<f64>,
    overlap_s: Option<f64>,
}

fn leaks(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let found: Vec<LeakRow> = rows(globals)?;
    let leaks: Vec<Leak<'_>> = found.iter().map(leak).collect();
    let copies = copies(globals)?;
    if printer.json {
        printer.document(&serde_json::json!({ "leaks": leaks, "copies": copies }))?;
        return Ok(ExitStatus::Ok);
    }
    if !copies.is_empty() {
        let cells = |copy: &Copy| {
            let words = [&copy.kind, &copy.uri_a, &copy.uri_b].map(Clone::clone).to_vec();
            let joined = if copy.is_joined { "yes" } else { "no" }.to_owned();
            [words, [copy.similarity, copy.offset_s, copy.overlap_s].map(figure).to_vec(), vec![joined]].concat()
        };
        let header = ["kind", "clip", "copy", "similarity", "offset s", "overlap s", "joined"];
        printer.result(&listing(&header, copies.iter().map(cells)))?;
        let joined = copies.iter().filter(|copy| copy.is_joined).count();
        printer.note(&format!(
            "{} pair(s) of clips are known to be copies; the recordings of {joined} are joined into one group, which is always on one side",
            copies.len()
        ));
    }
    if leaks.is_empty() {
        printer.note("no clip of one side is a copy of one of another");
        return Ok(ExitStatus::Ok);
    }
    let told = leaks.iter().map(|leak| {
        let sides = [leak.split_a, leak.split_b].map(|side| side.word().to_owned());
        let [a, b] = sides;
        let figures = [leak.similarity, leak.offset_s, leak.overlap_s].map(figure);
        [vec![leak.kind.to_owned(), leak.uri_a.to_owned(), a, leak.uri_b.to_owned(), b], figures.to_vec()].concat()
    });
    printer.result(&listing(&["kind", "clip", "side", "copy", "side", "similarity", "offset s", "overlap s"], told))?;
    printer.note(&format!("{} pair(s) of clips on different sides", leaks.len()));
    Ok(ExitStatus::Ok)
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

/// Two clips of which one is known to be a copy of the other.
#[derive(Serialize)]
struct Copy {
    kind: String,
    uri_a: String,
    uri_b: String,
    similarity: Option<f64>,
    offset_s: Option<f64>,
    overlap_s: Option<f64>,
    /// Whether the split keeps them together.
    is_joined: bool,
}

/// The pairs in the index of copies whose clips are both there, in the order of their paths.
fn copies(globals: &Globals) -> Result<Vec<Copy>, CliError> {
    // It is there from the first copy on; one that cannot be read is made again.
    let known: Vec<CopyRow> = read_file(&globals.layout.copies_index()).unwrap_or_default();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let uris: HashMap<ClipId, String> =
        rows(globals)?.into_iter().map(|clip: ClipRow| (clip.clip_id, clip.uri)).collect();
    let groups: HashMap<ClipId, String> =
        rows(globals)?.into_iter().map(|row: SplitRow| (row.clip_id, row.group_id)).collect();
    let copy = |row: CopyRow| {
        let [a, b] = row.clips;
        Some(Copy {
            kind: row.kind,
            uri_a: uris.get(&a)?.clone(),
            uri_b: uris.get(&b)?.clone(),
            similarity: row.similarity,
            offset_s: row.offset_s,
            overlap_s: row.overlap_s,
            is_joined: groups.get(&a).is_some_and(|group| groups.get(&b) == Some(group)),
        })
    };
    let mut copies: Vec<Copy> = known.into_iter().filter_map(copy).collect();
    copies.sort_by(|a, b| (&a.uri_a, &a.uri_b).cmp(&(&b.uri_a, &b.uri_b)));
    Ok(copies)
}

fn leak(row: &LeakRow) -> Leak<'_> {
    Leak {
        kind: &row.kind,
        uri_a: &row.uris[0],
        split_a: row.sides[0],
        uri_b: &row.uris[1],
        split_b: row.sides[1],
        similarity: row.similarity,
        offset_s: row.offset_s,
        overlap_s: row.overlap_s,
    }
}

/// An error unless the name of a file ends so that its content is no surprise.
pub(super) fn must_be_csv(file: &Path) -> Result<(), CliError> {
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        return Ok(());
    }
    let message = format!("`--out {}` is to be a CSV file", file.display());
    Err(CliError::usage(message, "end the name with .csv"))
}

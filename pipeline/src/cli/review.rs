//! `ecosight review`: the clips whose labels would teach most, out to be labelled and back in.

mod candidates;
mod choose;
mod import;
mod marks;

use std::path::Path;

use ecosight_datasets::files::write_atomic;

use super::args::{ReviewArgs, ReviewFormat};
use super::audit::must_be_csv;
use super::csv_file::csv_bytes;
use super::error::CliError;
use super::printer::Printer;
use super::root::must_exist;
use super::session::Globals;
use crate::ExitStatus;
use candidates::Candidate;

/// Columns of the CSV file; `uri`, `start_s`, `clip_id` and `corrected_label` are read back.
const HEADER: [&str; 9] =
    ["uri", "start_s", "end_s", "label", "predicted", "confidence", "entropy", "corrected_label", "clip_id"];

/// Runs the verb.
pub(crate) fn review(args: &ReviewArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    if let Some(file) = &args.import {
        must_exist(globals)?;
        return import::import(file, args.csv.cells(), globals, printer);
    }
    let out = args.out.as_deref().expect("clap asks for it");
    if args.format == ReviewFormat::Csv {
        must_be_csv(out)?;
    }
    let mut candidates = if let Some(dir) = &args.dir {
        candidates::of_folder(dir, globals, printer)?
    } else {
        must_exist(globals)?;
        candidates::of_tables(args.n.get(), globals)?
    };
    let among = candidates.len();
    candidates::most_doubtful(&mut candidates, args.n.get());
    let rows: Vec<&[f32]> = candidates.iter().map(|candidate| candidate.row.as_slice()).collect();
    let doubts: Vec<f64> = candidates.iter().map(|candidate| candidate.entropy).collect();
    let chosen: Vec<&Candidate> =
        choose::choose(&rows, &doubts, args.n.get()).into_iter().map(|at| &candidates[at]).collect();
    match args.format {
        ReviewFormat::Csv => {
            write_atomic(out, &csv_bytes(&HEADER, chosen.iter().map(|clip| cells(clip)), args.csv.cells())?)?;
        }
        ReviewFormat::Raven | ReviewFormat::Audacity => marks::write(out, args.format, &chosen)?,
    }
    if printer.json {
        printer.document(&serde_json::json!({ "written": out, "clips": chosen }))?;
    } else {
        tell(chosen.len(), among, out, args, printer);
    }
    Ok(ExitStatus::Ok)
}

fn tell(n: usize, among: usize, out: &Path, args: &ReviewArgs, printer: &Printer) {
    printer.note(&format!("wrote {n} of {among} clip(s) to {}", out.display()));
    if args.format == ReviewFormat::Csv && args.dir.is_none() {
        let import = format!("ecosight review --import {}", out.display());
        printer.note(&format!("write the right class into `corrected_label` where it is known, then: {import}"));
    }
}

fn cells(clip: &Candidate) -> Vec<String> {
    let seconds = |value: Option<f64>| value.map(|s| s.to_string()).unwrap_or_default();
    let span = clip.span.map_or([None, None], |span| [Some(span.start_s), span.end_s]).map(seconds);
    let [start_s, end_s] = span;
    let label = clip.label.clone().unwrap_or_default();
    let id = clip.clip_id.map(|id| id.to_string()).unwrap_or_default();
    let figures = [clip.confidence, clip.entropy].map(|x| format!("{x:.6}"));
    let words = vec![clip.uri.clone(), start_s, end_s, label, clip.predicted.clone()];
    [words, figures.to_vec(), vec![String::new(), id]].concat()
}

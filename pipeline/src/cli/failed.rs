//! `ecosight failed`: the clips that could not be used, and why.

use std::collections::BTreeMap;
use std::path::Path;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::tables::{OutColumn, QuarantineRow, write_columns};
use serde_json::json;

use super::args::FailedArgs;
use super::csv_file::{Cells, csv_bytes};
use super::error::CliError;
use super::printer::Printer;
use super::report::listing;
use super::root::{lock, must_exist};
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{quarantined, retry};

/// Names of the exported columns.
const HEADER: [&str; 5] = ["uri", "stage", "code", "message", "clip_id"];

/// Runs the verb.
pub(crate) fn failed(args: &FailedArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    let format = args.export.as_deref().map(Format::of).transpose()?;
    let rows = quarantined(&globals.layout)?;
    if let (Some(file), Some(format)) = (&args.export, format) {
        format.write(file, &rows, args.csv.cells())?;
    }
    let mut again: Vec<String> = Vec::new();
    if args.retry && !rows.is_empty() {
        again = retry(&globals.layout, &lock(globals)?)?.into_iter().collect();
    }
    let codes = codes(&rows);
    if printer.json {
        let document = json!({ "failed": rows, "codes": codes, "exported": args.export, "tried_again_by": again });
        printer.document(&document)?;
        return Ok(ExitStatus::Ok);
    }
    if !rows.is_empty() {
        let cells = |row: &QuarantineRow| [&row.uri, &row.stage, &row.code, &row.message].map(Clone::clone).to_vec();
        let counts: Vec<_> = codes.iter().map(|(code, n)| format!("{n} {code}")).collect();
        let text = listing(&HEADER[..4], rows.iter().map(cells));
        printer.result(&format!("{text}\n{}\n", counts.join(" · ")))?;
    }
    let n = rows.len();
    match (n, args.retry) {
        (0, false) => printer.note("no clip has failed"),
        (0, true) => printer.note("no clip has failed; there is none to try again"),
        (_, true) => printer.note(&format!("`ecosight retrain` tries these {n} again")),
        (_, false) => {}
    }
    if let Some(file) = &args.export {
        printer.note(&format!("wrote {n} row(s) to {}", file.display()));
    }
    Ok(ExitStatus::Ok)
}

/// How many failed for each reason.
fn codes(rows: &[QuarantineRow]) -> BTreeMap<&str, u64> {
    let mut codes = BTreeMap::new();
    for row in rows {
        *codes.entry(row.code.as_str()).or_default() += 1;
    }
    codes
}

/// What an exported file is.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Json,
    Parquet,
}

impl Format {
    fn of(file: &Path) -> Result<Self, CliError> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some("parquet") => Ok(Self::Parquet),
            _ => {
                let message = format!("cannot tell what `{}` is to be", file.display());
                Err(CliError::usage(message, "end the name with .csv, .json or .parquet"))
            }
        }
    }

    fn write(self, file: &Path, rows: &[QuarantineRow], csv: Cells) -> Result<(), CliError> {
        match self {
            Self::Csv => write_atomic(file, &csv_bytes(&HEADER, rows.iter().map(cells), csv)?)?,
            Self::Json => {
                let mut bytes = serde_json::to_vec_pretty(rows)?;
                bytes.push(b'\n');
                write_atomic(file, &bytes)?;
            }
            Self::Parquet => {
                let column = |number: usize| rows.iter().map(|row| cells(row).swap_remove(number)).collect();
                let columns =
                    HEADER.iter().enumerate().map(|(n, name)| ((*name).to_owned(), OutColumn::Text(column(n))));
                write_columns(file, columns.collect())?;
            }
        }
        Ok(())
    }
}

/// The cells of a row, in the order of [`HEADER`]; the identity of a clip whose bytes could not be read is empty.
fn cells(row: &QuarantineRow) -> Vec<String> {
    let clip_id = row.clip_id.map(|id| id.to_string()).unwrap_or_default();
    [row.uri.clone(), row.stage.clone(), row.code.clone(), row.message.clone(), clip_id].to_vec()
}

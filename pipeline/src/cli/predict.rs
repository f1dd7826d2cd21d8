//! `ecosight predict`: classifies clips with a trained model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ecosight_datasets::audio::AudioSource;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{OpenError, Place, Store};
use ecosight_datasets::tables::{OutColumn, write_columns};
use ecosight_models::decision::Answer;
use ecosight_stages::Event;
use ecosight_stages::clip::{ClipError, Stop};
use ecosight_stages::predict::{Prediction, Predictor};
use ecosight_stages::timings::Meter;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use super::args::{Format, PredictArgs};
use super::audio_paths::{self, Buckets, Named, is_address};
use super::csv_file::{Cells, csv_bytes};
use super::error::CliError;
use super::printer::Printer;
use super::progress::Progress;
use super::report;
use super::session::Globals;
use crate::ExitStatus;

/// One row of the result: a clip, or a window of one.
#[derive(Serialize)]
struct Row {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_s: Option<f64>,
    /// What the model answers: a class, several classes, the background where no class reaches its threshold, or `unknown`.
    predicted: String,
    /// Probability of the most probable class.
    confidence: f32,
    probabilities: BTreeMap<String, f32>,
}

#[derive(Serialize)]
struct Failed {
    path: String,
    code: String,
    message: String,
}

/// Predictions and what they were made with.
#[derive(Serialize)]
pub(crate) struct Document {
    model: String,
    classes: Vec<String>,
    rows: Vec<Row>,
    failed: Vec<Failed>,
}

/// Runs the verb.
pub(crate) fn predict(args: &PredictArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let out = args.out.as_deref().map(|path| OutFormat::of(path).map(|format| (path, format))).transpose()?;
    let document = classify(args, globals, printer)?;
    if let Some((path, format)) = out {
        format.write(path, &document, args.csv.cells())?;
        printer.note(&format!("wrote {} row(s) to {}", document.rows.len(), path.display()));
    }
    if printer.json {
        printer.document(&document)?;
    } else if out.is_none() {
        match args.format {
            Format::Json => printer.data(&json(&document))?,
            Format::Csv => printer.data(&String::from_utf8_lossy(&csv(&document, args.csv.cells())?))?,
            Format::Table => printer.result(&text_table(&document))?,
        }
    }
    if document.failed.is_empty() {
        return Ok(ExitStatus::Ok);
    }
    printer.note(&format!("{} clip(s) could not be used", document.failed.len()));
    Ok(ExitStatus::Failed)
}

/// Classifies everything that `args` name.
pub(crate) fn classify(args: &PredictArgs, globals: &Globals, printer: &Printer) -> Result<Document, CliError> {
    let predictor = Predictor::open(&globals.layout, args.model.as_deref(), &globals.weights)?;
    let Named { files, unreadable, .. } = audio_paths::expand(&args.paths, Buckets::Read(globals), printer)?;
    let results = score(&files, &predictor, globals, printer)?;
    if globals.is_cancelled() {
        return Err(CliError::interrupted("nothing was written; run the same command again"));
    }
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for message in unreadable {
        printer.warning(&message);
        failed.push(Failed { path: String::new(), code: "bad_name".to_owned(), message });
    }
    for (file, result) in files.iter().zip(results) {
        let path = file.display().to_string();
        match result {
            Ok(prediction) => rows.extend(rows_of(&path, &prediction, args.windows, &predictor)),
            Err(ClipError { code, message }) => {
                printer.warning(&format!("`{path}` cannot be used ({code}): {message}"));
                failed.push(Failed { path, code, message });
            }
        }
    }
    Ok(Document { model: predictor.version().to_owned(), classes: predictor.classes().to_vec(), rows, failed })
}

/// Scores all files in parallel, in their order.
fn score(
    files: &[PathBuf],
    predictor: &Predictor,
    globals: &Globals,
    printer: &Printer,
) -> Result<Vec<Result<Prediction, ClipError>>, CliError> {
    let here = Place::Local(PathBuf::from("."));
    let buckets =
        files.iter().any(|file| is_address(file)).then(|| Store::connect(&here, globals.access()?)).transpose()?;
    let progress = Progress::new(printer);
    let done = AtomicU64::new(0);
    let (meter, stop) = (Meter::default(), Stop::new(&globals.cancelled));
    let one = |file: &PathBuf| {
        if globals.is_cancelled() {
            return Err(ClipError { code: "interrupted".to_owned(), message: "interrupted".to_owned() });
        }
        let result = open(file, buckets.as_ref()).and_then(|source| predictor.predict(source, &meter, &stop));
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.show(&Event::Progress { stage: "predict", done, total: files.len() as u64, unit: "clips" });
        result
    };
    let results = files.par_iter().map(one).collect();
    progress.clear();
    Ok(results)
}

/// Opens a file, or an object, which is fetched unless this machine has it.
fn open(file: &Path, buckets: Option<&Store>) -> Result<Box<dyn AudioSource>, ClipError> {
    let failed = |code: &str, message: String| ClipError { code: code.to_owned(), message };
    if let Some(store) = buckets.filter(|_| is_address(file)) {
        return block_on(store.open(&file.to_string_lossy(), None)).map_err(|error| match error {
            OpenError::File { code, message } => failed(code, message),
            OpenError::Store(error) => failed("io", CliError::from(error).chain().join(": ")),
        });
    }
    match audio_paths::open(file) {
        Ok(file) => Ok(file),
        Err(error) => Err(failed("io", error.kind.to_string())),
    }
}

fn rows_of(path: &str, prediction: &Prediction, windows: bool, predictor: &Predictor) -> Vec<Row> {
    let classes = predictor.classes();
    let row = |span: Option<(f64, f64)>, probabilities: &[f32], answer: &Answer| Row {
        path: path.to_owned(),
        start_s: span.map(|(start, _)| start),
        end_s: span.map(|(_, end)| end),
        predicted: predictor.name(answer),
        confidence: probabilities.iter().copied().fold(0.0, f32::max),
        probabilities: classes.iter().cloned().zip(probabilities.iter().copied()).collect(),
    };
    if windows {
        prediction.windows.iter().map(|w| row(Some((w.start_s, w.end_s)), &w.probabilities, &w.answer)).collect()
    } else {
        vec![row(None, &prediction.clip, &prediction.answer)]
    }
}

/// Format of `--out`, told by the file's ending.
#[derive(Clone, Copy)]
enum OutFormat {
    Csv,
    Json,
    Parquet,
}

impl OutFormat {
    fn of(path: &Path) -> Result<Self, CliError> {
        match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(CliError::usage(
                format!("`--out {}` does not tell the format", path.display()),
                "end the name with .csv, .json or .parquet",
            )),
        }
    }

    fn write(self, path: &Path, document: &Document, written: Cells) -> Result<(), CliError> {
        match self {
            Self::Csv => write_atomic(path, &csv(document, written)?)?,
            Self::Json => write_atomic(path, json(document).as_bytes())?,
            Self::Parquet => write_columns(path, columns(document))?,
        }
        Ok(())
    }
}

/// The rows as a list of objects with a key per column.
fn json(document: &Document) -> String {
    let object = |row: &Row| {
        let mut object = serde_json::Map::new();
        object.extend(row.probabilities.iter().map(|(class, p)| (class.clone(), (*p).into())));
        object.insert("path".to_owned(), row.path.clone().into());
        object.extend(row.start_s.map(|s| ("start_s".to_owned(), s.into())));
        object.extend(row.end_s.map(|s| ("end_s".to_owned(), s.into())));
        object.insert("predicted".to_owned(), row.predicted.clone().into());
        object.insert("confidence".to_owned(), row.confidence.into());
        serde_json::Value::Object(object)
    };
    let rows: Vec<_> = document.rows.iter().map(object).collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}

/// Whether the rows are windows.
fn has_spans(document: &Document) -> bool {
    document.rows.iter().any(|row| row.start_s.is_some())
}

/// Names of the columns: the clip, its verdict, a probability per class.
fn header(document: &Document) -> Vec<&str> {
    let span: &[&str] = if has_spans(document) { &["start_s", "end_s"] } else { &[] };
    let classes = document.classes.iter().map(String::as_str);
    ["path"].into_iter().chain(span.iter().copied()).chain(["predicted", "confidence"]).chain(classes).collect()
}

/// The cells of a row, `digits` behind the point.
fn cells(row: &Row, classes: &[String], digits: usize) -> Vec<String> {
    let span = [row.start_s, row.end_s].into_iter().flatten().map(|s| format!("{s:.2}"));
    let probabilities = classes.iter().map(|class| format!("{:.digits$}", row.probabilities[class]));
    [row.path.clone()]
        .into_iter()
        .chain(span)
        .chain([row.predicted.clone(), format!("{:.digits$}", row.confidence)])
        .chain(probabilities)
        .collect()
}

fn text_table(document: &Document) -> String {
    report::table(&header(document), document.rows.iter().map(|row| cells(row, &document.classes, 3)))
}

fn csv(document: &Document, written: Cells) -> Result<Vec<u8>, CliError> {
    csv_bytes(&header(document), document.rows.iter().map(|row| cells(row, &document.classes, 6)), written)
}

fn columns(document: &Document) -> Vec<(String, OutColumn)> {
    let rows = &document.rows;
    let text = |value: fn(&Row) -> &String| OutColumn::Text(rows.iter().map(|row| value(row).clone()).collect());
    let seconds = |value: fn(&Row) -> Option<f64>| OutColumn::Float64(rows.iter().filter_map(value).collect());
    let mut columns = vec![("path".to_owned(), text(|row| &row.path))];
    if has_spans(document) {
        columns.push(("start_s".to_owned(), seconds(|row| row.start_s)));
        columns.push(("end_s".to_owned(), seconds(|row| row.end_s)));
    }
    columns.push(("predicted".to_owned(), text(|row| &row.predicted)));
    columns.push(("confidence".to_owned(), OutColumn::Float32(rows.iter().map(|row| row.confidence).collect())));
    for class in &document.classes {
        let values = rows.iter().map(|row| row.probabilities[class]).collect();
        columns.push((class.clone(), OutColumn::Float32(values)));
    }
    columns
}

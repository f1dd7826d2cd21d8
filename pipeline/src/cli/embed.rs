//! `ecosight embed`: embeddings of any audio, without a pipeline.

use std::future::ready;
use std::path::{Path, PathBuf};

use ecosight_datasets::DatasetError;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::FileEmbeddings;
use ecosight_models::open::{EmbedderSpec, open_embedder};
use ecosight_stages::behind::write_behind;
use ecosight_stages::bridge::{self, Opened};
use ecosight_stages::clip::{Bench, ClipError, Recipe, Stop};
use ecosight_stages::embed::{EMBEDDER_KEY, Embed, vectors};
use ecosight_stages::stream::{self, Order, Outcome, Piece};
use ecosight_stages::timings::{Meter, StageTime, Step, process_cpu};
use ecosight_stages::{Event, StageErrorKind};

use super::args::{EmbedArgs, PipelineArgs};
use super::audio_paths::{self, Buckets, Named};
use super::error::CliError;
use super::printer::Printer;
use super::progress::Progress;
use super::report;
use super::session::{Globals, parameters};
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn embed(args: &EmbedArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    if args.out.extension().is_none_or(|e| e != "parquet") {
        let message = format!("`--out {}` is written as Parquet", args.out.display());
        return Err(CliError::usage(message, "end the name with .parquet"));
    }
    let embedder = open_embedder(spec(args, globals)?, &globals.weights)?;
    let Named { files, unreadable, .. } = audio_paths::expand(&args.paths, Buckets::Refused, printer)?;
    let mut failed = Vec::new();
    for message in unreadable {
        printer.warning(&message);
        failed.push(serde_json::json!({ "path": "", "code": "bad_name", "message": message }));
    }
    let id = serde_json::to_string(embedder.id())?;
    let mut table = FileEmbeddings::create(&args.out, vectors(&*embedder), &[(EMBEDDER_KEY, id)])?;
    let (meter, stop) = (Meter::default(), Stop::new(&globals.cancelled));
    let bench = Bench { embedder: &*embedder, meter: &meter, stop: &stop, is_measuring: false };
    let (mut read, mut patches) = (0, 0);
    let streamed = stream_files(bench, &files, &mut table, printer, &mut |path, outcome| match outcome {
        Ok(count) => (read, patches) = (read + 1, patches + count),
        Err(ClipError { code, message }) => {
            printer.warning(&format!("`{path}` cannot be used ({code}): {message}"));
            failed.push(serde_json::json!({ "path": path, "code": code, "message": message }));
        }
    });
    streamed.map_err(|error| match error {
        StageErrorKind::Cancelled => CliError::interrupted("nothing was written; run the same command again"),
        other => other.into(),
    })?;
    // A file that is there already is worth more than an empty one.
    let out = (read > 0).then_some(&args.out);
    if out.is_some() {
        meter.time(Step::Write, 0, || table.finish())?;
    }
    let timings = StageTime { stage: "embed".to_owned(), cpu_s: process_cpu().as_secs_f64(), steps: meter.report() };
    if printer.verbose {
        printer.block(&format!("{}\n", report::timings(std::slice::from_ref(&timings)).trim_end()));
    }
    if printer.json {
        printer.document(&serde_json::json!({
            "out": out,
            "embedder": embedder.id().slug(),
            "files": read,
            "patches": patches,
            "failed": failed,
            "timings": [timings],
        }))?;
    } else if let Some(out) = out {
        let slug = embedder.id().slug();
        printer.note(&format!("wrote {patches} patches of {read} file(s) by {slug} to {}", out.display()));
    } else {
        printer.note(&format!("no file could be used; `{}` was not written", args.out.display()));
    }
    Ok(if failed.is_empty() { ExitStatus::Ok } else { ExitStatus::Failed })
}

/// The embedder that the pipeline declares, with what the command line says over it.
fn spec(args: &EmbedArgs, globals: &Globals) -> Result<EmbedderSpec, CliError> {
    let options = [("embedder", &args.embedder), ("precision", &args.precision), ("dtype", &args.dtype)];
    let said = options.iter().filter_map(|(key, word)| Some(format!("embed.{key}={}", word.as_ref()?)));
    let pipeline = globals.pipeline(&PipelineArgs::default(), &said.collect::<Vec<_>>())?;
    Ok(parameters::<Embed>(&pipeline, "embed")?.spec())
}

/// Sends the rows of all files to `table`, file by file, and tells `each` the number of rows of a file or why it cannot be used.
fn stream_files(
    bench: Bench<'_>,
    files: &[PathBuf],
    table: &mut FileEmbeddings,
    printer: &Printer,
    each: &mut dyn FnMut(&str, Result<usize, &ClipError>),
) -> Result<(), StageErrorKind> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let recipes = [Recipe::ORIGINAL];
    let orders = vec![Order { span: None, recipes: &recipes }; files.len()];
    let progress = Progress::new(printer);
    let total = files.len() as u64;
    let show = |done| progress.show(&Event::Progress { stage: "embed", done, total, unit: "files" });
    let mut long_rows = vec![0; files.len()];
    let result = write_behind(
        |piece| write(table, bench.meter, &names, piece),
        |hand| {
            let mut listen = |piece: Piece| {
                match &piece {
                    Piece::Rows(number, _, patches) => long_rows[*number] += patches.len(),
                    Piece::Done(number, outcome) => each(
                        &names[*number],
                        match outcome {
                            Outcome::Whole(embeddings) => Ok(embeddings.patches()),
                            Outcome::Long(_) => Ok(long_rows[*number]),
                            Outcome::Failed(error) => Err(error),
                        },
                    ),
                }
                hand(piece)
            };
            let opened = files.iter().map(|file| ready(open(file)));
            bridge::ahead(opened, |opened| stream::run(bench, &orders, &opened, &mut listen, &show))
        },
    );
    progress.clear();
    result
}

fn write(table: &mut FileEmbeddings, meter: &Meter, names: &[String], piece: Piece) -> Result<(), DatasetError> {
    match piece {
        Piece::Rows(number, _, patches) => {
            meter.time(Step::Write, patches.len(), || table.write_long(number, &names[number], patches))
        }
        Piece::Done(number, Outcome::Whole(embeddings)) => embeddings
            .variants
            .into_iter()
            .try_for_each(|all| meter.time(Step::Write, all.len(), || table.write(&names[number], all))),
        Piece::Done(number, Outcome::Long(_)) => meter.time(Step::Write, 0, || table.keep_long(number)),
        Piece::Done(number, Outcome::Failed(_)) => {
            table.drop_long(number);
            Ok(())
        }
    }
}

fn open(file: &Path) -> Opened {
    match audio_paths::open(file) {
        Ok(file) => Ok(file),
        Err(error) => Err(OpenError::File { code: "io", message: error.kind.to_string() }),
    }
}

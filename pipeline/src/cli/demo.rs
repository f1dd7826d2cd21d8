//! `ecosight demo`: the whole way, offline, on synthetic clips.

use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::synth;

use super::args::{CsvArgs, DemoArgs, Format, PredictArgs};
use super::error::CliError;
use super::execute::{Sinks, execute, refused};
use super::listeners::Listeners;
use super::predict::{classify, predict};
use super::printer::Printer;
use super::report;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{BUILT_IN, Force, Layer, Scope, Selection, merge, parse, set};

/// Clips of each class that are trained on and tested.
const PER_CLASS: u32 = 24;

/// Runs the verb.
pub(crate) fn demo(args: &DemoArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    claim(&args.out)?;
    let mut globals = globals.clone();
    globals.layout = Layout::new(&args.out);
    let globals = &globals;
    let audio = globals.layout.extracted_audio();
    printer.note(&format!("making {} clips of {} classes in {}", PER_CLASS * 5, synth::CLASSES.len(), audio.display()));
    synth::write_clips(&audio, PER_CLASS, &mut |_| {})?;
    let new = write_new_clips(&args.out.join("new_clips"))?;

    // The demo is the same everywhere: neither `ecosight.toml` nor `--config` changes it.
    let mut table = Layer::parse("built-in pipeline", BUILT_IN)?.table;
    merge(&mut table, &set("embed.embedder=logmel")?.table);
    let pipeline = parse(table, Path::new("."))?;
    let source = Source::Folder(std::path::absolute(&audio).map_err(DatasetError::at("find", &audio))?.into());
    let selection = Selection::of(&pipeline, Scope::All, Force::None)?;
    let outcome = execute(&selection, &pipeline, &source, globals, &Sinks::plain(&Listeners::default()), printer)?;
    let csv = CsvArgs::default();
    let request = PredictArgs { paths: vec![new], windows: false, format: Format::Table, out: None, csv, model: None };
    if printer.json {
        let predictions = classify(&request, globals, printer)?;
        printer.document(&serde_json::json!({ "run": outcome, "predictions": predictions }))?;
        refused(&outcome)?;
        return Ok(ExitStatus::Ok);
    }
    printer.result(&report::summary(&outcome, &globals.layout))?;
    refused(&outcome)?;
    printer.result("\nPredictions for clips that were not there before:\n\n")?;
    let status = predict(&request, globals, printer)?;
    let root = args.out.display();
    printer.block(&format!(
        "\nNext:\n  ecosight predict --data-root {root} FILE…     classify a clip of yours\n  \
         ecosight weights fetch                       get YAMNet's weights for real work\n  \
         ecosight retrain --source DIR                train on your recordings: DIR/<class>/…"
    ));
    Ok(status)
}

/// Makes the folder, or takes that of an earlier demo; no other, for a demo replaces the model in production.
fn claim(out: &Path) -> Result<(), CliError> {
    let mark = out.join(".demo");
    let is_used = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_used && !mark.exists() {
        let message = format!("`{}` holds something else than a demo", out.display());
        return Err(CliError::usage(message, "name a new folder: `ecosight demo --out DIR`"));
    }
    Ok(write_atomic(&mark, b"made by `ecosight demo`\n")?)
}

/// One clip of each class with numbers that the training clips do not have.
fn write_new_clips(folder: &Path) -> Result<std::path::PathBuf, CliError> {
    std::fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
    for class in synth::CLASSES {
        synth::write_wav(&folder.join(format!("new-{class}.wav")), &synth::clip(class, 1000))?;
    }
    Ok(folder.to_owned())
}

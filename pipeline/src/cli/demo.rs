//! `ecosight demo`: the whole way, offline, on synthetic clips.

use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::synth;

use super::args::{DemoArgs, Format, PipelineArgs, PredictArgs};
use super::error::CliError;
use super::predict::predict;
use super::printer::Printer;
use super::report;
use super::retrain::execute;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::Selection;

/// Clips of each class that are trained on and tested.
const PER_CLASS: u32 = 24;

/// Runs the verb.
pub(crate) fn demo(args: &DemoArgs, mut globals: Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    globals.layout = Layout::new(&args.out);
    let audio = globals.layout.extracted_audio();
    printer.note(&format!("making {} clips of {} classes in {}", PER_CLASS * 5, synth::CLASSES.len(), audio.display()));
    synth::write_clips(&audio, PER_CLASS, &mut |_| {})?;
    let new = write_new_clips(&args.out.join("new_clips"))?;

    let settings = PipelineArgs { source: None, set: vec!["embed.embedder=logmel".to_owned()] };
    let pipeline = globals.pipeline(&settings, &[])?;
    let source = Source::Folder(std::path::absolute(&audio).map_err(DatasetError::at("find", &audio))?);
    let outcome = execute(&Selection::default(), &pipeline, &source, &globals, printer)?;
    if printer.json {
        printer.document(&outcome)?;
        return Ok(ExitStatus::Ok);
    }
    printer.result(&report::summary(&outcome, globals.layout.root()))?;
    printer.result("\nPredictions for clips that were not there before:\n\n")?;
    let request = PredictArgs { paths: vec![new], windows: false, format: Format::Table, out: None, model: None };
    let status = predict(&request, &globals, printer)?;
    let root = args.out.display();
    printer.note(&format!(
        "\nNext:\n  ecosight predict --data-root {root} FILE…     classify a clip of yours\n  \
         ecosight weights fetch                       get YAMNet's weights for real work\n  \
         ecosight retrain --source DIR                train on your recordings: DIR/<class>/…"
    ));
    Ok(status)
}

/// One clip of each class with numbers that the training clips do not have.
fn write_new_clips(folder: &Path) -> Result<std::path::PathBuf, CliError> {
    std::fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
    for class in synth::CLASSES {
        synth::write_wav(&folder.join(format!("new-{class}.wav")), &synth::clip(class, 1000))?;
    }
    Ok(folder.to_owned())
}

//! `ecosight embed`: embeddings of any audio, without a pipeline.

use ecosight_datasets::tables::FileEmbeddings;
use ecosight_models::open::{EmbedderName, open_embedder};
use ecosight_stages::Event;
use ecosight_stages::clip::{Recipe, embed_clip};
use ecosight_stages::embed::EMBEDDER_KEY;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::args::EmbedArgs;
use super::audio_paths::{self, Named};
use super::error::CliError;
use super::printer::Printer;
use super::progress::Progress;
use super::session::Globals;
use crate::ExitStatus;

/// Files that are embedded before their rows are written.
const GROUP: usize = 32;

/// Runs the verb.
pub(crate) fn embed(args: &EmbedArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let name = if args.embedder == EmbedderName::Logmel.word() { EmbedderName::Logmel } else { EmbedderName::Yamnet };
    let embedder = open_embedder(name, &globals.weights)?;
    if args.out.extension().is_none_or(|e| e != "parquet") {
        let message = format!("`--out {}` is written as Parquet", args.out.display());
        return Err(CliError::usage(message, "end the name with .parquet"));
    }
    let Named { files, unreadable } = audio_paths::expand(&args.paths)?;
    let id = serde_json::to_string(embedder.id())?;
    let mut table = FileEmbeddings::create(&args.out, embedder.dim(), &[(EMBEDDER_KEY, id)])?;
    let progress = Progress::new(printer);
    let (mut read, mut patches, mut failed, mut done) = (0, 0, Vec::new(), 0);
    for message in unreadable {
        printer.warning(&message);
        failed.push(serde_json::json!({ "path": "", "code": "bad_name", "message": message }));
    }
    for group in files.chunks(GROUP) {
        if globals.is_cancelled() {
            return Err(CliError::interrupted("nothing was written; run the same command again"));
        }
        let one = |file: &std::path::PathBuf| match audio_paths::open(file) {
            Ok(source) => embed_clip(&*embedder, source, None, &[Recipe::ORIGINAL]).map_err(|e| (e.code, e.message)),
            Err(error) => Err(("io".to_owned(), error.kind.to_string())),
        };
        let results: Vec<_> = group.par_iter().map(one).collect();
        for (file, result) in group.iter().zip(results) {
            let path = file.display().to_string();
            match result {
                Ok(mut embedded) => {
                    let variant = embedded.variants.pop().unwrap_or_default();
                    read += 1;
                    patches += variant.start_s.len();
                    table.write(&path, variant.start_s, variant.embeddings)?;
                }
                Err((code, message)) => {
                    printer.warning(&format!("`{path}` cannot be used ({code}): {message}"));
                    failed.push(serde_json::json!({ "path": path, "code": code, "message": message }));
                }
            }
        }
        done += group.len() as u64;
        progress.show(&Event::Progress { stage: "embed", done, total: files.len() as u64, unit: "files" });
    }
    progress.clear();
    table.finish()?;
    if printer.json {
        printer.document(&serde_json::json!({
            "out": args.out,
            "embedder": embedder.id().slug(),
            "files": read,
            "patches": patches,
            "failed": failed,
        }))?;
    } else {
        printer.note(&format!(
            "wrote {patches} patches of {} file(s) by {} to {}",
            read,
            embedder.id().slug(),
            args.out.display()
        ));
    }
    Ok(if failed.is_empty() { ExitStatus::Ok } else { ExitStatus::Failed })
}

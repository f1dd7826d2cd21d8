//! `ecosight models`: the models of this data root.

mod diff;
mod known;
mod pin;
mod show;

use ecosight_datasets::files::write_atomic;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_stages::predict::versions;
use ecosight_stages::publish::{By, Pin, before, move_to};
use serde_json::json;

use super::args::{ModelsArgs, ModelsVerb, Why};
use super::error::CliError;
use super::printer::Printer;
use super::report::{listing, percent};
use super::root::{lock, must_exist};
use super::session::Globals;
use crate::ExitStatus;
use known::{Known, find};

/// Runs the verb.
pub(crate) fn models(args: &ModelsArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    match &args.verb {
        ModelsVerb::List => list(globals, printer),
        ModelsVerb::Show { version } => show::show(globals, &find(&globals.layout, version)?, printer),
        ModelsVerb::Diff { before, after } => {
            let [before, after] = [before, after].map(|version| find(&globals.layout, version));
            diff::diff(globals, &before?, &after?, printer)
        }
        ModelsVerb::Promote { version, why } => {
            let _lock = lock(globals)?;
            let version = find(&globals.layout, version)?;
            promote(&version, By::Promote, why, globals, printer)
        }
        ModelsVerb::Pin { why } => pin::pin(why, globals, printer),
        ModelsVerb::Unpin { why } => pin::unpin(why, globals, printer),
        ModelsVerb::History => pin::history(globals, printer),
        ModelsVerb::Rollback { why } => {
            let _lock = lock(globals)?;
            let before = before(&globals.layout)?.ok_or_else(|| {
                let hint = "`ecosight models list` shows all models, `ecosight models promote VERSION` chooses one";
                CliError::failed("no model was in production before the one that is", hint)
            })?;
            promote(&find(&globals.layout, &before)?, By::Rollback, why, globals, printer)
        }
        ModelsVerb::Verify { version } => verify(version.as_deref(), globals, printer),
        ModelsVerb::Export { version, onnx, with_embedder } => {
            let version = find(&globals.layout, version)?;
            let artefact = Artefact::load(&globals.layout.model(&version)).map_err(ModelError::from)?;
            let bytes = if *with_embedder {
                artefact.yamnet_onnx(&version, &globals.weights)?
            } else {
                artefact.head_onnx(&version)?
            };
            write_atomic(onnx, &bytes)?;
            printer.note(&format!("wrote model {version} to {}", onnx.display()));
            if printer.json {
                printer.document(&json!({ "model": version, "onnx": onnx, "bytes": bytes.len() }))?;
            }
            Ok(ExitStatus::Ok)
        }
    }
}

fn list(globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let known = Known::all(&globals.layout)?;
    if printer.json {
        printer.document(&known)?;
        return Ok(ExitStatus::Ok);
    }
    if known.is_empty() {
        printer.note("there is no model yet; `ecosight retrain` makes one");
        return Ok(ExitStatus::Ok);
    }
    let rows = known.iter().map(|model| {
        let subset = if model.test_subset_accuracy.is_some() { ", subset accuracy" } else { "" };
        let accuracy = model.test_accuracy.or(model.test_subset_accuracy).map_or("–".to_owned(), |accuracy| {
            let ci95 = model.test_accuracy_ci95.or(model.test_subset_accuracy_ci95);
            let by = model.test_ci95_by.as_ref().map_or(String::new(), |by| format!(", {by}"));
            let ci95 = ci95.map_or(String::new(), |[low, high]| format!(" ({} – {}{by})", percent(low), percent(high)));
            let leaky = if model.is_leaky { ", leaky" } else { "" };
            format!("{}{ci95}{subset}{leaky}", percent(accuracy))
        });
        let created = model.created.clone().unwrap_or("–".to_owned());
        let classes = model.classes.map_or("–".to_owned(), |n| n.to_string());
        vec![model.version.clone(), created, classes, accuracy, model.state.word().to_owned()]
    });
    printer.result(&listing(&["version", "created (UTC)", "classes", "test accuracy (95 %)", "state"], rows))?;
    Ok(ExitStatus::Ok)
}

/// Moves the pointer to `version`, unless that is damaged.
fn promote(version: &str, by: By, why: &Why, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    if let Some(pin) = Pin::read(&globals.layout)?.filter(|pin| pin.version != version) {
        return Err(CliError::failed(pin.words(), "`ecosight models unpin` first, then the same command again"));
    }
    Artefact::verify(&globals.layout.model(version)).map_err(|error| {
        let hint = "`ecosight models verify` checks all models; train anew with `ecosight retrain --force=train`";
        CliError::from(ModelError::from(error)).with_hint(hint)
    })?;
    let at = globals.started_at();
    let pointer = move_to(&globals.layout, version, globals.author(&at, why.reason.as_deref()), by)?;
    if printer.json {
        printer.document(&pointer)?;
    } else {
        let before = pointer.previous.map_or(String::new(), |before| format!("; before it: {before}"));
        printer.line(&format!("model {version} is in production{before}"))?;
        if by == By::Rollback {
            printer
                .note("the next retrain that passes the gate publishes over it; `ecosight models pin` prevents that");
        }
    }
    Ok(ExitStatus::Ok)
}

fn verify(version: Option<&str>, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let versions = match version {
        Some(version) => vec![find(&globals.layout, version)?],
        None => versions(&globals.layout),
    };
    let mut document = Vec::new();
    let mut rows = Vec::new();
    let mut status = ExitStatus::Ok;
    for version in versions {
        let (state, told, digest) = match Artefact::verify(&globals.layout.model(&version)) {
            Ok((_, Some(checksums))) => ("whole", checksums.digest.clone(), Some(checksums.digest)),
            Ok((_, None)) => ("unlisted", "it can be read; it is of a version without checksums".to_owned(), None),
            Err(error) => {
                status = ExitStatus::Failed;
                ("damaged", CliError::from(ModelError::from(error)).chain().join(": "), None)
            }
        };
        document.push(json!({ "version": version, "state": state, "digest": digest, "message": told }));
        rows.push(vec![version, state.to_owned(), told]);
    }
    if printer.json {
        printer.document(&document)?;
    } else {
        printer.result(&listing(&["version", "state", "digest"], rows))?;
    }
    Ok(status)
}

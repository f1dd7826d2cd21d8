//! Clips that may be worth labelling: those of the tables, or of a folder that nobody has labelled.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ecosight_datasets::audio::Span;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, PredictionRow};
use ecosight_models::ModelError;
use ecosight_models::head::{Normaliser, Pooling};
use ecosight_models::metrics::doubts;
use ecosight_stages::Event;
use ecosight_stages::clip::{ClipError, Stop};
use ecosight_stages::predict::Predictor;
use ecosight_stages::timings::Meter;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use crate::cli::audio_paths::{self, Buckets, Named};
use crate::cli::audit::rows;
use crate::cli::embedded::embedded;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::cli::session::Globals;

/// So many times as many clips as are wanted are compared: enough to differ, all of them doubtful.
const POOL: usize = 5;

/// A clip that may be worth labelling.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Candidate {
    pub(super) uri: String,
    #[serde(skip)]
    pub(super) clip_id: Option<ClipId>,
    #[serde(skip)]
    pub(super) span: Option<Span>,
    /// The label that it has.
    pub(super) label: Option<String>,
    pub(super) predicted: String,
    pub(super) confidence: f64,
    /// Of the probabilities, nats.
    pub(super) entropy: f64,
    /// Length of the clip, seconds; rounded up to a patch of the embedder where the clip was never decoded for its length.
    #[serde(skip)]
    pub(super) length_s: f64,
    /// Pooled embedding.
    #[serde(skip)]
    pub(super) row: Vec<f32>,
}

/// Leaves the most doubtful, the first of them first, so many that `n` can be chosen of them, and standardises their rows.
pub(super) fn most_doubtful(candidates: &mut Vec<Candidate>, n: usize) {
    candidates.retain(|candidate| !candidate.row.is_empty());
    candidates.sort_by(|a, b| b.entropy.total_cmp(&a.entropy).then(a.clip_id.cmp(&b.clip_id)).then(a.uri.cmp(&b.uri)));
    candidates.truncate(POOL * n);
    let Some(dim) = candidates.first().map(|candidate| candidate.row.len()).filter(|dim| *dim > 0) else { return };
    let all: Vec<f32> = candidates.iter().flat_map(|candidate| candidate.row.iter().copied()).collect();
    let normaliser = Normaliser::fit(&all, dim);
    for candidate in candidates.iter_mut() {
        normaliser.apply_in_place(&mut candidate.row);
    }
}

/// The clips of the tables of which the most doubtful are worth comparing.
pub(super) fn of_tables(n: usize, globals: &Globals) -> Result<Vec<Candidate>, CliError> {
    let mut predictions: Vec<PredictionRow> = rows(globals)?;
    let mut clips: HashMap<ClipId, ClipRow> =
        rows(globals)?.into_iter().map(|clip: ClipRow| (clip.clip_id, clip)).collect();
    predictions.sort_by(|a, b| b.entropy.total_cmp(&a.entropy).then(a.clip_id.cmp(&b.clip_id)));
    let wanted: HashSet<ClipId> = predictions.iter().take(POOL * n).map(|row| row.clip_id).collect();
    let mut embedded = embedded(&globals.layout, Pooling::MeanStd.into(), |id| wanted.contains(&id))?;
    let candidate = |row: PredictionRow| {
        let (clip, found) = (clips.remove(&row.clip_id)?, embedded.remove(&row.clip_id)?);
        Some(Candidate {
            uri: clip.uri,
            clip_id: Some(row.clip_id),
            span: clip.span,
            label: Some(row.label),
            predicted: row.predicted,
            confidence: row.confidence,
            entropy: row.entropy,
            length_s: found.length_s,
            row: found.rows.unwrap_or_default(),
        })
    };
    // All are counted; of those that are not doubtful enough no row was read, and none is looked at.
    Ok(predictions.into_iter().filter_map(candidate).collect())
}

/// The clips of a folder, scored by the model in production.
pub(super) fn of_folder(dir: &Path, globals: &Globals, printer: &Printer) -> Result<Vec<Candidate>, CliError> {
    if !dir.is_dir() {
        let message = format!("there is no folder `{}`", dir.display());
        return Err(CliError::usage(message, "name a folder of recordings, or none for the clips of the last retrain"));
    }
    let predictor = Predictor::open(&globals.layout, None, &globals.weights)?;
    let Named { files, unreadable, .. } = audio_paths::expand(&[dir.to_owned()], Buckets::Refused, printer)?;
    for message in &unreadable {
        printer.warning(message);
    }
    let progress = Progress::new(printer);
    let done = AtomicU64::new(0);
    let (meter, stop) = (Meter::default(), Stop::new(&globals.cancelled));
    let one = |file: &PathBuf| {
        let scored = score(file, dir, &predictor, &meter, &stop);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.show(&Event::Progress { stage: "review", done, total: files.len() as u64, unit: "clips" });
        scored.map_err(|error| format!("`{}` cannot be used ({}): {}", file.display(), error.code, error.message))
    };
    let scored: Vec<Result<Candidate, String>> = files.par_iter().map(one).collect();
    progress.clear();
    if globals.is_cancelled() {
        return Err(CliError::interrupted("nothing was written; run the same command again"));
    }
    let mut candidates = Vec::new();
    for scored in scored {
        match scored {
            Ok(candidate) => candidates.push(candidate),
            Err(message) => printer.warning(&message),
        }
    }
    Ok(candidates)
}

fn score(
    file: &Path,
    dir: &Path,
    predictor: &Predictor,
    meter: &Meter,
    stop: &Stop<'_>,
) -> Result<Candidate, ClipError> {
    let failed = |code: &str, message: String| ClipError { code: code.to_owned(), message };
    let source = audio_paths::open(file).map_err(|error| failed("io", error.kind.to_string()))?;
    let (prediction, row) = predictor.predict_with_row(source, meter, stop)?;
    let doubt = doubts(&prediction.clip, prediction.clip.len()).map_err(ModelError::from);
    let doubt = doubt.map_err(|error| failed("scores", error.to_string()))?[0];
    Ok(Candidate {
        uri: file.strip_prefix(dir).unwrap_or(file).to_string_lossy().into_owned(),
        clip_id: None,
        span: None,
        label: None,
        predicted: predictor.name(&prediction.answer),
        confidence: f64::from(prediction.clip.iter().copied().fold(0.0, f32::max)),
        entropy: doubt.entropy,
        length_s: prediction.duration_s,
        row,
    })
}

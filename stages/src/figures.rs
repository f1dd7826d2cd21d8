//! From probabilities to what is told of them: figures with intervals, and a row per clip.

use ecosight_datasets::tables::{PredictionRow, Side, Unit};
use ecosight_models::ModelError;
use ecosight_models::head::softmax;
use ecosight_models::metrics::{Bootstrap, Metrics, doubts, intervals, label_fits};

use crate::StageErrorKind;

/// Figures of `probabilities` (`[n, classes]`), with intervals by recording (`groups`, `[n]`).
pub(crate) fn measure(
    probabilities: &[f32],
    truth: &[usize],
    groups: &[u32],
    classes: &[String],
) -> Result<Metrics, StageErrorKind> {
    let figures = || {
        let metrics = Metrics::compute(probabilities, truth, classes)?;
        let ci95 = intervals(probabilities, truth, classes.len(), groups, Bootstrap::default())?;
        Ok::<_, ecosight_models::metrics::MetricsError>(Metrics { ci95, ..metrics })
    };
    Ok(figures().map_err(ModelError::from)?)
}

/// Probabilities of logits (`[n, classes]`) at a temperature.
pub(crate) fn probabilities(logits: &[f32], classes: usize, temperature: f64) -> Vec<f32> {
    let mut probabilities = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let mut row: Vec<f64> = row.iter().map(|&logit| f64::from(logit) / temperature).collect();
        softmax(&mut row);
        probabilities.extend(row.iter().map(|&p| p as f32));
    }
    probabilities
}

/// The rows of `predictions` for clips of one side.
pub(crate) fn predictions<'a>(
    side: Side,
    units: impl Iterator<Item = &'a Unit>,
    probabilities: &[f32],
    truth: &[usize],
    classes: &[String],
) -> Result<Vec<PredictionRow>, StageErrorKind> {
    if truth.is_empty() {
        return Ok(Vec::new());
    }
    let fits = label_fits(probabilities, truth, classes.len()).map_err(ModelError::from)?;
    let doubts = doubts(probabilities, classes.len()).map_err(ModelError::from)?;
    let scored = probabilities.chunks_exact(classes.len()).zip(truth).zip(fits.iter().zip(&doubts));
    let row = |(unit, ((row, &label), (fit, doubt))): (&Unit, ((&[f32], &usize), (&_, &_)))| {
        let (fit, doubt): (&ecosight_models::metrics::LabelFit, &ecosight_models::metrics::Doubt) = (fit, doubt);
        let top = row.iter().enumerate().fold(0, |best, (class, &p)| if p > row[best] { class } else { best });
        PredictionRow {
            clip_id: unit.clip_id,
            side,
            label: classes[label].clone(),
            predicted: classes[top].clone(),
            confidence: f64::from(row[top]),
            probability: f64::from(row[label]),
            surprisal: fit.surprisal,
            margin: doubt.margin,
            entropy: doubt.entropy,
        }
    };
    Ok(units.zip(scored).map(row).collect())
}

//! What is done to the scores of a head before they are told: one temperature, and a threshold for each class.

use ecosight_models::ModelError;
use ecosight_models::head::{LabelSets, Scores, TrainConfig};
use ecosight_models::metrics::{Labelled, MultiLabel, Ranking, Threshold, temperature};

use crate::StageErrorKind;
use crate::labels::Labels;
use crate::pooled::Clips;

/// Fitted on clips that were scored by a head that had not seen their recordings.
pub(crate) struct Calibration {
    /// What logits are divided by.
    pub(crate) temperature: f64,
    /// Probabilities of the rows, `[n, classes]`.
    pub(crate) scores: Vec<f32>,
}

impl Calibration {
    /// Of logits, `[n, classes]`, and the labels of their rows, `[n]`.
    pub(crate) fn of(
        config: &TrainConfig,
        labels: &Labels,
        logits: &[f32],
        y: &[usize],
    ) -> Result<Self, StageErrorKind> {
        let classes = labels.classes.len();
        let temperature = match labels.sets() {
            None => temperature(logits, y, classes),
            Some(sets) => temperature_of_several(sets, logits, y),
        };
        let temperature = temperature.map_err(ModelError::from)?;
        Ok(Self { temperature, scores: probabilities(logits, classes, config.scores(), temperature) })
    }
}

/// For each class, from which probability on it is to be believed; none where the wish cannot be fulfilled.
pub(crate) fn thresholds(
    config: &TrainConfig,
    labels: &Labels,
    clips: &Clips,
) -> Result<Vec<Option<Threshold>>, StageErrorKind> {
    let (classes, y) = (labels.classes.len(), &clips.y);
    let rankings = match labels.sets() {
        None => Ranking::of_classes(&clips.scores, y, classes).map_err(ModelError::from)?,
        Some(sets) => {
            let judge = MultiLabel { sets, thresholds: &[] };
            let rows = Labelled { probabilities: &clips.scores, labels: y };
            (0..classes).map(|class| Ranking::new(judge.known(rows, class))).collect()
        }
    };
    Ok(rankings.iter().map(|ranking| ranking.threshold(config.thresholds.into())).collect())
}

/// Each class that is known to be there or not is a choice between two, with the logits z and 0.
fn temperature_of_several(
    sets: &LabelSets,
    logits: &[f32],
    y: &[usize],
) -> Result<f64, ecosight_models::metrics::MetricsError> {
    let answers = y.iter().flat_map(|&label| sets.of(label));
    let known = logits.iter().zip(answers).filter_map(|(&z, answer)| Some((z, (*answer)?)));
    let (pairs, truth): (Vec<[f32; 2]>, Vec<usize>) = known.map(|(z, yes)| ([z, 0.0], usize::from(!yes))).unzip();
    temperature(&pairs.concat(), &truth, 2)
}

/// Probabilities of logits (`[n, classes]`) at a temperature.
fn probabilities(logits: &[f32], classes: usize, scores: Scores, temperature: f64) -> Vec<f32> {
    let mut probabilities = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let mut row: Vec<f64> = row.iter().map(|&logit| f64::from(logit) / temperature).collect();
        scores.apply(&mut row);
        probabilities.extend(row.iter().map(|&p| p as f32));
    }
    probabilities
}

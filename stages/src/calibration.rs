//! What is done to the scores of a head before they are told: one temperature, a threshold for each class, and the limit from where on a clip is of no
//! known class.

use ecosight_datasets::tables::Unit;
use ecosight_models::ModelError;
use ecosight_models::head::{LabelSets, OutOfFold, Scores, TrainConfig, UnknownLimit, Unseen};
use ecosight_models::metrics::{Labelled, MultiLabel, Ranking, Threshold, temperature};

use crate::StageErrorKind;
use crate::labels::Labels;
use crate::pooled::{Clips, Rows};

/// Fitted on clips that were scored by a head that had not seen their recordings.
pub(crate) struct Calibration {
    /// What logits are divided by.
    pub(crate) temperature: f64,
    /// For each class, from which probability on it is to be believed; none where the wish cannot be fulfilled.
    pub(crate) thresholds: Vec<Option<Threshold>>,
    /// From where on a clip is of no known class; none where that is not asked.
    pub(crate) unknown: Option<UnknownLimit>,
    /// The clips that all of it was fitted on, with calibrated probabilities: those of the train side, then those of the val side.
    pub(crate) clips: Clips,
    /// How many of these are on the train side.
    pub(crate) on_train: usize,
}

/// Rows that were scored out of fold, those of the train side first.
#[derive(Default)]
struct Scored {
    units: Vec<Unit>,
    y: Vec<usize>,
    groups: Vec<u32>,
    /// `[rows, classes]`.
    logits: Vec<f32>,
}

impl Scored {
    fn add(&mut self, side: &Rows, found: &OutOfFold) {
        self.units.extend(found.rows.iter().map(|&row| side.units[row]));
        self.y.extend(found.rows.iter().map(|&row| side.y[row]));
        self.groups.extend(found.rows.iter().map(|&row| side.groups[row]));
        self.logits.extend_from_slice(&found.logits);
    }
}

impl Calibration {
    /// Of the out-of-fold logits `unseen` of rows of the two sides. Without any row nothing is changed: temperature 1, and no thresholds.
    pub(crate) fn of(
        config: &TrainConfig,
        labels: &Labels,
        [train, val]: [&Rows; 2],
        unseen: &Unseen,
    ) -> Result<Self, StageErrorKind> {
        let classes = labels.classes.len();
        let mut rows = Scored::default();
        rows.add(train, &unseen.train);
        let on_train = rows.units.chunk_by(|a, b| a == b).count();
        rows.add(val, &unseen.val);
        if rows.y.is_empty() {
            let (thresholds, clips) = (vec![None; classes], Clips::default());
            return Ok(Self { temperature: 1.0, thresholds, unknown: None, clips, on_train });
        }
        let temperature = match labels.sets() {
            None => temperature(&rows.logits, &rows.y, classes),
            Some(sets) => temperature_of_several(sets, &rows.logits, &rows.y),
        };
        let temperature = temperature.map_err(ModelError::from)?;
        let scores = probabilities(&rows.logits, classes, config.scores(), temperature);
        let clips = Clips::of(&rows.units, &rows.y, &rows.groups, &scores, classes);
        let thresholds = thresholds(config, labels, &clips)?;
        let calibrated: Vec<f32> = rows.logits.iter().map(|&logit| (f64::from(logit) / temperature) as f32).collect();
        let logits = Clips::of(&rows.units, &rows.y, &rows.groups, &calibrated, classes).scores;
        let unknown = UnknownLimit::choose(config.unknown, config.known_recall, &logits, classes);
        Ok(Self { temperature, thresholds, unknown, clips, on_train })
    }
}

/// For each class, from which probability on it is to be believed; none where the wish cannot be fulfilled.
fn thresholds(config: &TrainConfig, labels: &Labels, clips: &Clips) -> Result<Vec<Option<Threshold>>, StageErrorKind> {
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

//! From the scores of a head to answers: one temperature, a threshold for each class, and the limit of unknown clips.

use std::collections::BTreeSet;

use ecosight_datasets::tables::Unit;
use ecosight_models::ModelError;
use ecosight_models::artefact::Positives;
use ecosight_models::decision::Decision;
use ecosight_models::head::{LabelSets, OutOfFold, Scored, Scores, TrainConfig, UnknownLimit, Unseen};
use ecosight_models::metrics::{Candidate, Threshold, temperature};

use crate::StageErrorKind;
use crate::labels::Labels;
use crate::pooled::{Clips, OfRows, Rows};

/// Fitted on clips that were scored by a head that had not seen their recordings.
pub(crate) struct Calibration {
    /// What logits are divided by.
    pub(crate) temperature: f64,
    /// The rule from probabilities to an answer.
    pub(crate) decided: Decided,
    /// The clips that all of it was fitted on, with calibrated probabilities: those of the train side, then those of the val side.
    pub(crate) clips: Clips,
    /// How many of these are on the train side.
    pub(crate) on_train: usize,
}

/// Rows that were scored out of fold, those of the train side first.
#[derive(Default)]
struct HeldOut {
    units: Vec<Unit>,
    y: Vec<usize>,
    groups: Vec<u32>,
    kept: Vec<u32>,
    /// `[rows, classes]`.
    logits: Vec<f32>,
}

impl HeldOut {
    fn add(&mut self, side: &Rows, found: &OutOfFold) {
        self.units.extend(found.rows.iter().map(|&row| side.units[row]));
        self.y.extend(found.rows.iter().map(|&row| side.y[row]));
        self.groups.extend(found.rows.iter().map(|&row| side.groups[row]));
        self.kept.extend(found.rows.iter().map(|&row| side.kept[row]));
        self.logits.extend_from_slice(&found.logits);
    }
}

impl Calibration {
    /// Of the out-of-fold logits `unseen` of rows of the two sides, whose groups are called `unit`. Without any row nothing is changed: temperature 1, and
    /// no thresholds.
    pub(crate) fn of(
        config: &TrainConfig,
        labels: &Labels,
        [train, val]: [&Rows; 2],
        unseen: &Unseen,
        unit: &str,
    ) -> Result<Self, StageErrorKind> {
        let classes = labels.classes.len();
        let mut rows = HeldOut::default();
        rows.add(train, &unseen.train);
        let on_train = rows.units.chunk_by(|a, b| a == b).count();
        rows.add(val, &unseen.val);
        if rows.y.is_empty() {
            let decided = Decided {
                decision: Decision::plain(config.labelling(), &labels.classes, &config.background),
                thresholds: vec![None; classes],
                positives: positives(labels, &Clips::default(), unit),
            };
            return Ok(Self { temperature: 1.0, decided, clips: Clips::default(), on_train });
        }
        let temperature = match labels.sets() {
            None => temperature(&rows.logits, &rows.y, classes),
            Some(sets) => temperature_of_several(sets, &rows.logits, &rows.y),
        };
        let temperature = temperature.map_err(ModelError::from)?;
        let probabilities = probabilities(&rows.logits, classes, config.scores(), temperature);
        let logits = rows.logits.iter().map(|&logit| (f64::from(logit) / temperature) as f32).collect();
        let of_rows = OfRows { units: &rows.units, y: &rows.y, groups: &rows.groups, kept: &rows.kept };
        let clips = Clips::of(of_rows, &Scored { logits, probabilities }, classes);
        let decided = decide(config, labels, &clips, unit);
        Ok(Self { temperature, decided, clips, on_train })
    }
}

/// The rule from probabilities to an answer, and how its thresholds were chosen.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// `[classes]`; none where no threshold was chosen, or the wish cannot be fulfilled.
    pub(crate) thresholds: Vec<Option<Threshold>>,
    /// Clips of each class among those that thresholds were chosen on.
    pub(crate) positives: Vec<Positives>,
}

/// Chooses the rule on clips that were scored by a head that had not seen their recordings.
///
/// Thresholds are chosen under the rule that applies them: where a clip is of one class, among the clips that are answered with the class while it has
/// no threshold. Background needs none, since it raises no alarm.
fn decide(config: &TrainConfig, labels: &Labels, clips: &Clips, unit: &str) -> Decided {
    let classes = labels.classes.len();
    let plain = Decision {
        unknown: UnknownLimit::choose(config.unknown, config.known_recall, &clips.logits, classes),
        ..Decision::plain(config.labelling(), &labels.classes, &config.background)
    };
    let positives = positives(labels, clips, unit);
    let Some(wish) = config.thresholds.wish(config.labelling()) else {
        return Decided { decision: plain, thresholds: vec![None; classes], positives };
    };
    let candidates = candidates(labels, clips, &plain);
    let chosen = candidates.into_iter().zip(&positives).enumerate().map(|(class, (candidates, positives))| {
        let needs_none = plain.is_background(class);
        if needs_none { None } else { Threshold::choose(wish, candidates, positives.clips as usize) }
    });
    let thresholds: Vec<Option<Threshold>> = chosen.collect();
    let in_force = |(class, found): (usize, &Option<Threshold>)| {
        if plain.is_background(class) { Some(0.0) } else { found.map(|found| found.threshold) }
    };
    let in_force = thresholds.iter().enumerate().map(in_force).collect();
    Decided { decision: Decision { thresholds: in_force, ..plain }, thresholds, positives }
}

/// For each class, the clips that could be answered with it, depending on its threshold.
fn candidates(labels: &Labels, clips: &Clips, plain: &Decision) -> Vec<Vec<Candidate>> {
    let classes = labels.classes.len();
    let mut candidates = vec![Vec::new(); classes];
    let of_clips = clips.scores.chunks_exact(classes).zip(clips.answers(plain)).zip(clips.y.iter().zip(&clips.kept));
    for ((scores, answer), (&label, &cluster)) in of_clips {
        let candidate = |class: usize, is_positive| Candidate { score: scores[class], is_positive, cluster };
        match labels.sets() {
            None => {
                if let Some(class) = answer.class() {
                    candidates[class].push(candidate(class, class == label));
                }
            }
            Some(sets) => {
                let known = sets.of(label).iter().enumerate();
                for (class, is_there) in known.filter_map(|(class, answer)| Some((class, (*answer)?))) {
                    candidates[class].push(candidate(class, is_there));
                }
            }
        }
    }
    candidates
}

/// Number of clips of each class, and of the split groups (each a `unit`) that they come from.
fn positives(labels: &Labels, clips: &Clips, unit: &str) -> Vec<Positives> {
    let mut found = vec![(0, BTreeSet::new()); labels.classes.len()];
    for (&label, &kept) in clips.y.iter().zip(&clips.kept) {
        for class in labels.classes_of(label) {
            let (clips, groups) = &mut found[class];
            *clips += 1;
            groups.insert(kept);
        }
    }
    let positives =
        |(clips, groups): (u64, BTreeSet<u32>)| Positives { clips, groups: groups.len() as u64, unit: unit.to_owned() };
    found.into_iter().map(positives).collect()
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

#[cfg(test)]
mod tests {
    use ecosight_datasets::key::{ClipId, ContentHash};
    use ecosight_datasets::tables::{ClipRow, Side, SplitRow, Unit};
    use ecosight_models::head::ThresholdWish;

    use super::*;

    const CLASSES: [&str; 3] = ["dog", "gun", "rain"];

    fn clip_id(number: usize) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(&number.to_le_bytes()[..]).unwrap())
    }

    /// Clips of the classes, each a recording, with these probabilities.
    fn clips(rows: &[(usize, [f32; 3])]) -> (Labels, Clips) {
        let of_class = |number: usize, class: &str| ClipRow {
            clip_id: clip_id(number),
            file_id: clip_id(number),
            uri: format!("{number}.wav"),
            label: class.to_owned(),
            recording_id: None,
            fold: None,
            site: None,
            device: None,
            recorded_at: None,
            span: None,
            container: "wav".to_owned(),
            size_bytes: 1,
            etag: None,
        };
        let listed: Vec<ClipRow> = CLASSES.iter().enumerate().map(|(number, class)| of_class(number, class)).collect();
        let split = listed.iter().map(|clip| SplitRow::new(clip.clip_id, clip.uri.clone(), Side::Train)).collect();
        let labels = Labels::join(&listed, split, &TrainConfig::default());
        let scores: Vec<f32> = rows.iter().flat_map(|(_, scores)| *scores).collect();
        let clips = Clips {
            units: (0..rows.len()).map(|number| Unit { clip_id: clip_id(number), variant: 0 }).collect(),
            y: rows.iter().map(|(class, _)| *class).collect(),
            groups: (0..rows.len() as u32).collect(),
            kept: (0..rows.len() as u32).collect(),
            logits: scores.iter().map(|p| p.ln()).collect(),
            scores,
        };
        (labels, clips)
    }

    fn decided(thresholds: ThresholdWish, background: &[&str], rows: &[(usize, [f32; 3])]) -> Decided {
        let (labels, clips) = clips(rows);
        let background = background.iter().map(|&name| name.to_owned()).collect();
        let config = TrainConfig { thresholds, background, ..TrainConfig::default() };
        decide(&config, &labels, &clips, "recording")
    }

    #[test]
    fn a_threshold_is_chosen_among_the_clips_of_which_the_class_is_the_most_probable() {
        // A gun at 0.45 beside a dog at 0.5 is answered `dog` whatever the threshold of `gun`: it must not lower it to 0.45.
        let rows = [
            (1, [0.1, 0.8, 0.1]),
            (1, [0.1, 0.7, 0.2]),
            (1, [0.5, 0.45, 0.05]),
            (0, [0.4, 0.6, 0.0]),
            (0, [0.9, 0.1, 0.0]),
            (2, [0.1, 0.0, 0.9]),
        ];
        let found = decided(ThresholdWish::BEST_F1, &[], &rows);
        assert_eq!(found.decision.thresholds, [Some(0.9), Some(0.7), Some(0.9)]);
        let gun = found.thresholds[1].unwrap();
        assert!((gun.precision - 1.0).abs() < 1e-12 && (gun.recall - 2.0 / 3.0).abs() < 1e-12, "{gun:?}");
    }

    #[test]
    fn by_default_no_threshold_changes_an_answer() {
        let found = decided(ThresholdWish::AUTO, &["rain"], &[(1, [0.1, 0.8, 0.1]), (0, [0.4, 0.6, 0.0])]);
        assert_eq!(found.decision.thresholds, [Some(0.0); 3]);
        assert!(!found.decision.can_be_unknown());
    }

    #[test]
    fn a_precision_that_cannot_be_shown_leaves_a_class_without_a_threshold_and_background_needs_none() {
        let rows = [(1, [0.1, 0.8, 0.1]), (1, [0.1, 0.7, 0.2]), (0, [0.9, 0.1, 0.0]), (2, [0.1, 0.0, 0.9])];
        let found = decided(ThresholdWish::Precision(0.95), &["rain"], &rows);
        assert_eq!(found.decision.thresholds, [None, None, Some(0.0)]);
        assert_eq!(found.positives[1].to_string(), "2 clips of 2 recordings");
        assert_eq!(found.positives[0].to_string(), "1 clip of 1 recording");
    }
}

//! What the tables tell of a model beyond its description: curves, map, mistakes and counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, PredictionRow, Side, SplitRow, read_rows};
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::head::{UNKNOWN, mean_of_rows};
use ecosight_models::metrics::{
    BINS, Labelled, MetricsError, MultiLabel, Ranking, expected_calibration_error, reliability, reliability_of,
};
use ecosight_stages::labels::Labels;
use ecosight_stages::{Context, StageErrorKind};

use super::excerpt::{Excerpt, excerpts};
use super::groups;
use crate::cli::embedded::{Embedded, embedded};
use crate::cli::error::CliError;
use crate::report::Side as Shown;
use crate::report::{
    Calibration, ClassCount, EmbeddingMap, MapPoint, Mistake, PrCurve, Reliability, ReliabilityBin, ReportData,
    project, stratified,
};

/// Clips on the map at most.
const POINTS: usize = 3000;
/// Deviations from the mean beyond which a value counts no further on the map.
const FAR: f32 = 3.0;
/// Mistakes that are shown.
const MISTAKES: usize = 10;

/// Everything that is known of the clips, by their identity.
struct Tables {
    labels: Labels,
    clips: HashMap<ClipId, ClipRow>,
    predictions: HashMap<ClipId, PredictionRow>,
    embedded: BTreeMap<ClipId, Embedded>,
    /// The clips that are on the map.
    sampled: HashSet<ClipId>,
}

/// The test side in the order of its clips.
struct TestSide {
    ids: Vec<ClipId>,
    /// The rows of each clip, one after the other.
    x: Vec<Vec<f32>>,
    /// Label of each clip.
    truth: Vec<usize>,
    /// `[n, classes]`.
    scores: Vec<f32>,
}

/// Adds what the tables tell; nothing, and `false`, where they are not those that the model was evaluated on.
pub(super) fn add(data: &mut ReportData, artefact: &Artefact, context: &Context<'_>) -> Result<bool, CliError> {
    let Some(tables) = Tables::read(data, artefact, context)? else { return Ok(false) };
    let test = TestSide::new(&tables, artefact);
    if !test.is_as_evaluated(&tables) {
        return Ok(false);
    }
    data.counts = tables.counts();
    let splits: Vec<_> = tables.embedded.keys().map(|id| &tables.labels.clips[id].split).collect();
    data.groups = groups::counts(&splits);
    (data.pr_curves, data.calibration) = curves(&test, &tables.labels, artefact).map_err(ModelError::from)?;
    data.map = tables.map(artefact)?;
    data.mistakes = tables.mistakes(context);
    Ok(true)
}

impl Tables {
    /// Reads them; none where they are about other classes, or gone.
    fn read(data: &ReportData, artefact: &Artefact, context: &Context<'_>) -> Result<Option<Self>, StageErrorKind> {
        let table = |name: &str| context.layout.table(name);
        let there = ["manifest", "split", "embed", "predictions"].iter().all(|name| table(name).is_dir());
        if !there {
            return Ok(None);
        }
        let clips: Vec<ClipRow> = read_rows(&table("manifest"))?;
        let split: Vec<SplitRow> = read_rows(&table("split"))?;
        let labels = Labels::join(&clips, split, &artefact.meta.train);
        if labels.classes != data.classes {
            return Ok(None);
        }
        let predictions: Vec<PredictionRow> = read_rows(&table("predictions"))?;
        let mut all: Vec<ClipId> = labels.clips.keys().copied().collect();
        all.sort_unstable();
        let groups: Vec<(usize, Side)> =
            all.iter().map(|id| (labels.clips[id].label, labels.clips[id].split.side)).collect();
        let sampled: HashSet<ClipId> = stratified(&groups, POINTS).into_iter().map(|at| all[at]).collect();
        let is_test = |id: &ClipId| labels.clips.get(id).is_some_and(|clip| clip.split.side == Side::Test);
        let wanted = |id: ClipId| sampled.contains(&id) || is_test(&id);
        let mut embedded = embedded(context.layout, artefact.meta.train.summary(), wanted)?;
        embedded.retain(|id, _| labels.clips.contains_key(id));
        Ok(Some(Self {
            labels,
            clips: clips.into_iter().map(|clip| (clip.clip_id, clip)).collect(),
            predictions: predictions.into_iter().map(|row| (row.clip_id, row)).collect(),
            embedded,
            sampled,
        }))
    }

    /// Usable clips of each class by side, and recordings that are fitted on and tested on.
    fn counts(&self) -> Vec<ClassCount> {
        let mut counts = vec![ClassCount::default(); self.labels.classes.len()];
        let mut recordings: Vec<[HashSet<u32>; 2]> = vec![Default::default(); counts.len()];
        for (id, found) in &self.embedded {
            let clip = &self.labels.clips[id];
            for class in self.labels.classes_of(clip.label) {
                let count = &mut counts[class];
                match clip.split.side {
                    Side::Train => count.train += 1,
                    Side::Val => count.val += 1,
                    Side::Test => count.test += 1,
                }
                count.augmented += found.variants;
                recordings[class][usize::from(clip.split.side == Side::Test)].insert(clip.group);
            }
        }
        for (count, [fitted, tested]) in counts.iter_mut().zip(&recordings) {
            count.recordings = Some(fitted.len() as u64);
            count.test_recordings = Some(tested.len() as u64);
        }
        counts
    }

    /// The originals in two dimensions, as the head sees them.
    fn map(&self, artefact: &Artefact) -> Result<Option<EmbeddingMap>, CliError> {
        let sampled = self.embedded.iter().filter(|(id, _)| self.sampled.contains(id));
        let dim = artefact.head.input_dim();
        let row = |rows: &Vec<f32>| rows.len().is_multiple_of(dim).then(|| mean_of_rows(rows, dim));
        let rows: Vec<(&ClipId, Vec<f32>)> =
            sampled.filter_map(|(id, found)| Some((id, row(found.rows.as_ref()?)?))).collect();
        let mut x: Vec<f32> = rows.iter().flat_map(|(_, row)| row.iter().copied()).collect();
        if x.is_empty() {
            return Ok(None);
        }
        artefact.head.normaliser().apply_in_place(&mut x);
        // A value that is 0 for nearly all clips is dozens of deviations off in the others, which would be all that the map shows.
        for value in &mut x {
            *value = value.clamp(-FAR, FAR);
        }
        let projection = project(&x, dim)?;
        // Of several classes of a clip the first gives it its colour; one of none is not shown.
        let point = |((id, _), (x, y)): (&(&ClipId, Vec<f32>), (f32, f32))| {
            let clip = &self.labels.clips[id];
            let class = *self.labels.classes_of(clip.label).first()?;
            Some(MapPoint {
                x,
                y,
                class,
                is_error: self.predictions.get(id).is_some_and(|row| row.predicted != row.label),
                side: shown(clip.split.side),
                uri: self.clips[id].uri.clone(),
            })
        };
        let points = rows.iter().zip(projection.points).filter_map(point).collect();
        Ok(Some(EmbeddingMap { explained: projection.explained, clips: self.embedded.len() as u64, points }))
    }

    /// The mistakes on the test side that the model was surest of.
    fn mistakes(&self, context: &Context<'_>) -> Vec<Mistake> {
        // What is answered `unknown` is taken for nothing.
        let is_class = self.labels.names.iter().any(|name| name == UNKNOWN);
        let is_wrong = |row: &PredictionRow| row.predicted != row.label && (is_class || row.predicted != UNKNOWN);
        let wrong = |row: &&PredictionRow| row.side == Side::Test && is_wrong(row);
        let mut rows: Vec<&PredictionRow> = self.predictions.values().filter(wrong).collect();
        rows.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.clip_id.cmp(&b.clip_id)));
        rows.truncate(MISTAKES);
        let clips: Vec<&ClipRow> = rows.iter().map(|row| &self.clips[&row.clip_id]).collect();
        let mistake = |(row, excerpt): (&PredictionRow, Option<Excerpt>)| {
            let (spectrogram, audio) =
                excerpt.map_or((None, Vec::new()), |excerpt| (Some(excerpt.spectrogram), excerpt.audio));
            Mistake {
                uri: self.clips[&row.clip_id].uri.clone(),
                label: row.label.clone(),
                predicted: row.predicted.clone(),
                probability: row.confidence,
                spectrogram,
                audio,
            }
        };
        rows.iter().copied().zip(excerpts(&clips, context)).map(mistake).collect()
    }
}

impl TestSide {
    fn new(tables: &Tables, artefact: &Artefact) -> Self {
        let mut side = Self { ids: Vec::new(), x: Vec::new(), truth: Vec::new(), scores: Vec::new() };
        for (id, found) in &tables.embedded {
            let clip = &tables.labels.clips[id];
            if let (Side::Test, Some(rows)) = (clip.split.side, &found.rows) {
                // Rows of another embedder, or pooled otherwise, are not this head's.
                if !rows.len().is_multiple_of(artefact.head.input_dim()) {
                    continue;
                }
                side.ids.push(*id);
                side.x.push(rows.clone());
                side.scores.extend(artefact.head.of_clip(rows));
                side.truth.push(clip.label);
            }
        }
        side
    }

    /// Whether the table of predictions holds these very scores, and no others, of the test side.
    fn is_as_evaluated(&self, tables: &Tables) -> bool {
        let classes = tables.labels.classes.len();
        let is_same = |((id, row), &truth): ((&ClipId, &[f32]), &usize)| {
            let known = tables.predictions.get(id);
            known.is_some_and(|known| {
                let highest = row.iter().copied().fold(0.0, f32::max);
                let is_equal = known.confidence.to_bits() == f64::from(highest).to_bits();
                known.side == Side::Test && known.label == tables.labels.names[truth] && is_equal
            })
        };
        let expected = tables.predictions.values().filter(|row| row.side == Side::Test).count();
        expected == self.ids.len()
            && expected > 0
            && self.ids.iter().zip(self.scores.chunks_exact(classes)).zip(&self.truth).all(is_same)
    }
}

/// Precision over recall of each class, and probabilities against frequencies without and with the temperature.
fn curves(
    test: &TestSide,
    labels: &Labels,
    artefact: &Artefact,
) -> Result<(Vec<PrCurve>, Option<Calibration>), MetricsError> {
    let classes = artefact.meta.classes.len();
    let curve = |ranking: &Ranking| {
        let points = ranking.precision_recall_curve();
        PrCurve {
            recall: points.iter().map(|point| point.recall).collect(),
            precision: points.iter().map(|point| point.precision).collect(),
        }
    };
    let several = labels.sets().map(|sets| MultiLabel { sets });
    let rankings = match several {
        None => Ranking::of_classes(&test.scores, &test.truth, classes)?,
        Some(several) => {
            let rows = Labelled { probabilities: &test.scores, labels: &test.truth };
            (0..classes).map(|class| Ranking::new(several.known(rows, class))).collect()
        }
    };
    let curves = rankings.iter().map(curve).collect();
    let Some(selection) = &artefact.meta.selection else { return Ok((curves, None)) };
    let reliability = |scores: &[f32]| -> Result<Reliability, MetricsError> {
        let bins = match several {
            None => reliability(scores, &test.truth, classes, BINS)?,
            Some(several) => {
                let rows = Labelled { probabilities: scores, labels: &test.truth };
                let known: Vec<(f32, bool)> = (0..classes).flat_map(|class| several.known(rows, class)).collect();
                let (scores, truth): (Vec<f32>, Vec<bool>) = known.into_iter().unzip();
                reliability_of(&scores, &truth, BINS)?
            }
        };
        let ece = expected_calibration_error(&bins);
        let bin = |bin: &ecosight_models::metrics::ReliabilityBin| ReliabilityBin {
            confidence: bin.confidence,
            accuracy: bin.accuracy,
            clips: bin.count,
        };
        Ok(Reliability { ece, bins: bins.iter().map(bin).collect() })
    };
    let uncooled = artefact.head.clone().cooled(1.0 / selection.fitted_temperature);
    let before: Vec<f32> = test.x.iter().flat_map(|rows| uncooled.of_clip(rows)).collect();
    let calibration = Calibration {
        method: format!(
            "a temperature of {:.2}, fitted on {} train and val clips that were scored without their recordings and folded into the weights",
            selection.fitted_temperature, selection.calibrated_on
        ),
        ece_bins: BINS,
        before: reliability(&before)?,
        after: reliability(&test.scores)?,
    };
    Ok((curves, Some(calibration)))
}

const fn shown(side: Side) -> Shown {
    match side {
        Side::Train => Shown::Train,
        Side::Val => Shown::Val,
        Side::Test => Shown::Test,
    }
}

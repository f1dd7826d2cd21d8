//! From probabilities to what is told of them: figures with intervals, and a row per clip.

use ecosight_datasets::tables::{PredictionRow, Side};
use ecosight_models::ModelError;
use ecosight_models::decision::{Answer, Decision, classes_of, patterns_of};
use ecosight_models::metrics::{
    Bootstrap, Clusters, Doubt, LabelFit, Labelled, Metrics, MetricsError, MultiLabel, doubts, intervals, label_fits,
};

use crate::StageErrorKind;
use crate::labels::Labels;
use crate::pooled::Clips;

/// Compares what models answer of clips with their labels.
pub struct Judge<'a> {
    labels: &'a Labels,
    /// What the split keeps together, which intervals resample: `recording`, `site`.
    unit: &'a str,
}

impl<'a> Judge<'a> {
    /// By these labels, with intervals by what the split keeps together, which is called `unit`.
    pub fn new(labels: &'a Labels, unit: &'a str) -> Self {
        Self { labels, unit }
    }

    /// Where clips can be of several classes.
    fn several(&self) -> Option<MultiLabel<'_>> {
        self.labels.sets().map(|sets| MultiLabel { sets })
    }

    /// Figures of clips and of what was answered of each, with intervals.
    pub fn measure(&self, clips: &Clips, answers: &[Answer]) -> Result<Metrics, StageErrorKind> {
        let (classes, draws) = (self.labels.classes.len(), Bootstrap::default());
        let clusters = Clusters { of_rows: &clips.kept, unit: self.unit };
        let intervals = match self.several() {
            Some(several) => several.intervals(&patterns_of(answers, classes), &clips.y, clusters, draws),
            None => intervals(&classes_of(answers), &clips.y, classes, clusters, draws),
        };
        let metrics = self.figures(clips, answers).map_err(ModelError::from)?;
        Ok(Metrics { ci95: intervals.map_err(ModelError::from)?, ..metrics })
    }

    /// [`measure`](Self::measure) without intervals.
    pub fn figures(&self, clips: &Clips, answers: &[Answer]) -> Result<Metrics, MetricsError> {
        let classes = &self.labels.classes;
        match self.several() {
            Some(several) => {
                let rows = Labelled { probabilities: &clips.scores, labels: &clips.y };
                several.metrics(rows, &patterns_of(answers, classes.len()), classes)
            }
            None => Metrics::compute(&clips.scores, &clips.y, &classes_of(answers), classes),
        }
    }

    /// The rows of `predictions` for clips of one side, as this rule answers them.
    pub fn predictions(
        &self,
        side: Side,
        clips: &Clips,
        decision: &Decision,
    ) -> Result<Vec<PredictionRow>, StageErrorKind> {
        let (scores, y, width) = (&clips.scores, &clips.y, self.labels.classes.len());
        if y.is_empty() {
            return Ok(Vec::new());
        }
        let (fits, doubts): (Vec<LabelFit>, Vec<Doubt>) = match self.labels.sets() {
            None => (
                label_fits(scores, y, width).map_err(ModelError::from)?,
                doubts(scores, width).map_err(ModelError::from)?,
            ),
            Some(sets) => {
                let rows = scores.chunks_exact(width).zip(y);
                rows.map(|(row, &label)| (fit_of_several(row, sets.of(label)), doubt_of_several(row))).unzip()
            }
        };
        let answers = clips.answers(decision);
        let row = |clip: usize| {
            let (row, label) = (&scores[clip * width..(clip + 1) * width], y[clip]);
            let (fit, doubt) = (fits[clip], doubts[clip]);
            let probability = self.labels.sets().map_or_else(|| f64::from(row[label]), |_| (-fit.surprisal).exp());
            PredictionRow {
                clip_id: clips.units[clip].clip_id,
                side,
                label: self.labels.names[label].clone(),
                predicted: self.labels.said(label, &answers[clip], decision),
                confidence: f64::from(row.iter().copied().fold(0.0, f32::max)),
                probability,
                surprisal: fit.surprisal,
                margin: doubt.margin,
                entropy: doubt.entropy,
            }
        };
        Ok((0..y.len()).map(row).collect())
    }
}

/// How well a row fits a label of several classes: that all it says is so, and by how much the class that fits worst is on its side of a half.
fn fit_of_several(row: &[f32], answers: &[Option<bool>]) -> LabelFit {
    let known = row.iter().zip(answers).filter_map(|(&p, answer)| answer.map(|yes| if yes { p } else { 1.0 - p }));
    let known: Vec<f64> = known.map(|p| f64::from(p.max(f32::MIN_POSITIVE))).collect();
    let margin = known.iter().fold(1.0, |least: f64, p| least.min(2.0 * p - 1.0));
    LabelFit { surprisal: known.iter().map(|p| -p.ln()).sum(), margin }
}

/// How unsure a model is of several classes together: by the one that it is least sure of, and by the entropies of all.
fn doubt_of_several(row: &[f32]) -> Doubt {
    let p = row.iter().map(|&p| f64::from(p));
    let margin = p.clone().fold(1.0, |least: f64, p| least.min((2.0 * p - 1.0).abs()));
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    Doubt { margin, entropy: p.map(|p| term(p) + term(1.0 - p)).sum() }
}

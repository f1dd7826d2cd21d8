//! From probabilities to what is told of them: figures with intervals, and a row per clip.

use ecosight_datasets::tables::{PredictionRow, Side, Unit};
use ecosight_models::ModelError;
use ecosight_models::artefact::ModelMeta;
use ecosight_models::metrics::{
    Bootstrap, Doubt, LabelFit, Labelled, Metrics, MetricsError, MultiLabel, doubts, intervals, label_fits,
};

use crate::StageErrorKind;
use crate::labels::Labels;

/// Judges probabilities by labels.
pub struct Judge<'a> {
    labels: &'a Labels,
    /// From which probability on each class is predicted, `[classes]`; where a clip is of one class, that is the most probable one.
    thresholds: Vec<f32>,
    background: &'a [String],
}

impl<'a> Judge<'a> {
    /// With the thresholds that are given, `[classes]`.
    pub fn new(labels: &'a Labels, thresholds: Vec<f32>, background: &'a [String]) -> Self {
        Self { labels, thresholds, background }
    }

    /// With those of a model.
    pub fn of(labels: &'a Labels, meta: &'a ModelMeta) -> Self {
        Self::new(labels, meta.thresholds(), &meta.train.background)
    }

    /// For models whose clips can be of several classes.
    pub fn several(&self) -> Option<MultiLabel<'_>> {
        self.labels.sets().map(|sets| MultiLabel { sets, thresholds: &self.thresholds })
    }

    /// Figures of `probabilities` (`[n, classes]`) of clips with the labels `y`, with intervals by recording (`groups`, `[n]`).
    pub fn measure(&self, probabilities: &[f32], y: &[usize], groups: &[u32]) -> Result<Metrics, StageErrorKind> {
        let intervals = match self.several() {
            Some(several) => several.intervals(Labelled { probabilities, labels: y }, groups, Bootstrap::default()),
            None => intervals(probabilities, y, self.labels.classes.len(), groups, Bootstrap::default()),
        };
        let metrics = self.figures(probabilities, y).map_err(ModelError::from)?;
        Ok(Metrics { ci95: intervals.map_err(ModelError::from)?, ..metrics })
    }

    /// [`measure`](Self::measure) without intervals.
    pub fn figures(&self, probabilities: &[f32], y: &[usize]) -> Result<Metrics, MetricsError> {
        let classes = &self.labels.classes;
        match self.several() {
            Some(several) => several.metrics(Labelled { probabilities, labels: y }, classes),
            None => Metrics::compute(probabilities, y, classes),
        }
    }

    /// The rows of `predictions` for clips of one side.
    pub fn predictions<'b>(
        &self,
        side: Side,
        units: impl Iterator<Item = &'b Unit>,
        probabilities: &[f32],
        y: &[usize],
    ) -> Result<Vec<PredictionRow>, StageErrorKind> {
        if y.is_empty() {
            return Ok(Vec::new());
        }
        let width = self.labels.classes.len();
        let (fits, doubts): (Vec<LabelFit>, Vec<Doubt>) = match self.labels.sets() {
            None => (
                label_fits(probabilities, y, width).map_err(ModelError::from)?,
                doubts(probabilities, width).map_err(ModelError::from)?,
            ),
            Some(sets) => {
                let rows = probabilities.chunks_exact(width).zip(y);
                rows.map(|(row, &label)| (fit_of_several(row, sets.of(label)), doubt_of_several(row))).unzip()
            }
        };
        let scored = units.zip(probabilities.chunks_exact(width)).zip(y).zip(fits.iter().zip(&doubts));
        let row = |(((unit, row), &label), (fit, doubt)): (((&Unit, &[f32]), &usize), _)| {
            let (fit, doubt): (&LabelFit, &Doubt) = (fit, doubt);
            let top = row.iter().enumerate().fold(0, |best, (class, &p)| if p > row[best] { class } else { best });
            let predicted = match self.several() {
                None => self.labels.classes[top].clone(),
                Some(several) => self.labels.said(label, &several.predicted(row), self.background),
            };
            let probability = self.labels.sets().map_or_else(|| f64::from(row[label]), |_| (-fit.surprisal).exp());
            PredictionRow {
                clip_id: unit.clip_id,
                side,
                label: self.labels.names[label].clone(),
                predicted,
                confidence: f64::from(row[top]),
                probability,
                surprisal: fit.surprisal,
                margin: doubt.margin,
                entropy: doubt.entropy,
            }
        };
        Ok(scored.map(row).collect())
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

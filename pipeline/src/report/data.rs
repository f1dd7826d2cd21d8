//! What a report tells, as plain data.
//!
//! Shares and probabilities are in 0…1. Lists "in class order" have one entry for each of [`ReportData::classes`]. What could not be
//! computed is `None` and shown as n/a; sections without data are left out.

use serde::{Deserialize, Serialize};

/// Everything that the page and the model card say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportData {
    /// Heading of the page.
    pub title: String,
    /// Identity of the run.
    pub run_id: String,
    /// The model.
    pub model: Model,
    /// The model against the one in production.
    pub summary: Summary,
    /// What a reader must know before any figure, such as `leaky`.
    pub flags: Vec<Flag>,
    /// Class names, in the order of all indices below.
    pub classes: Vec<String>,
    /// How the figures came about.
    pub protocol: Protocol,
    /// What the accuracy of this model is called; empty for `accuracy`.
    #[serde(default)]
    pub accuracy: String,
    /// Figures over all test clips.
    pub overall: Vec<Figure>,
    /// Test clips by true class (row) and predicted class (column), `[classes, classes]`.
    pub confusion: Vec<Vec<u64>>,
    /// Test clips of each class that were answered `unknown`, in class order: they are in no column of the matrix. Empty where there are none.
    #[serde(default)]
    pub unknown: Vec<u64>,
    /// Figures of each class, in class order.
    pub per_class: Vec<ClassFigures>,
    /// Precision over recall, in class order; empty where there are none.
    pub pr_curves: Vec<PrCurve>,
    /// Probabilities against frequencies.
    pub calibration: Option<Calibration>,
    /// Training as it went on.
    pub learning: Vec<Epoch>,
    /// The embeddings in two dimensions.
    pub map: Option<EmbeddingMap>,
    /// The mistakes that the model was surest of, worst first.
    pub mistakes: Vec<Mistake>,
    /// Figures of parts of the test side.
    pub slices: Vec<Slice>,
    /// How many clips each class has on each side, in class order.
    pub counts: Vec<ClassCount>,
    /// How many clips each site, device and other group has on each side; empty where none are told.
    #[serde(default)]
    pub groups: Vec<GroupCount>,
    /// What background sounds cost.
    pub false_alarms: Option<FalseAlarms>,
    /// Where the time went, in the order of the dataflow.
    pub timings: Vec<StageTiming>,
    /// What the model was made from.
    pub lineage: Lineage,
}

impl ReportData {
    /// What the accuracy of this model is called: `accuracy`, or `subset accuracy` where clips can be of several classes.
    pub(super) fn accuracy_name(&self) -> &str {
        if self.accuracy.is_empty() { "accuracy" } else { &self.accuracy }
    }
}

/// A model's identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Version, the name of its folder.
    pub version: String,
    /// Digest of weights and settings.
    pub digest: String,
    /// Time of the training, UTC.
    pub created_utc: String,
    /// What kind of head it is and what it sits on, in words.
    pub about: String,
}

/// The model (challenger) against the one in production (champion), on rows that are test rows for both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The figure that is compared, such as `balanced accuracy`.
    pub metric: String,
    /// The challenger's.
    pub challenger: Interval,
    /// The champion; none for the first model.
    pub champion: Option<Champion>,
    /// What became of the model.
    pub verdict: Verdict,
    /// What the gate asked.
    pub criteria: Vec<Criterion>,
}

/// The model in production.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Champion {
    /// Its version.
    pub version: String,
    /// Its figure on the common rows.
    pub value: Interval,
    /// Challenger less champion, by paired bootstrap.
    pub difference: Interval,
    /// Number of common test clips.
    pub clips: u64,
    /// By how many groups the intervals are: `by 36 recordings`. Empty where that is not known.
    #[serde(default)]
    pub by: String,
    /// All figures that were compared, the overall ones first.
    #[serde(default)]
    pub figures: Vec<Compared>,
}

/// A figure of both models on the same test clips.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// That of the model in production.
    pub champion: Interval,
    /// That of this model.
    pub challenger: Interval,
    /// Challenger less champion, by paired bootstrap.
    pub difference: Interval,
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// Lower and upper end; none where it was not computed.
    pub ci95: Option<[f64; 2]>,
}

/// What the gate decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model is in production.
    Published,
    /// It was published although criteria failed.
    Forced,
    /// The gate refused it; the champion stays.
    Refused,
    /// The gate has not been asked.
    #[default]
    Undecided,
}

/// One criterion of the gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// What is asked.
    pub name: String,
    /// The limit, with its unit.
    pub wanted: String,
    /// What was found, with its unit.
    pub found: String,
    /// Whether that is enough.
    pub outcome: Outcome,
}

/// Outcome of a criterion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Met.
    Pass,
    /// Not met.
    Fail,
    /// Cannot be computed on these data.
    #[default]
    NotAvailable,
}

/// A reservation that goes with all figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// One word: `leaky`.
    pub word: String,
    /// What that means here.
    pub note: String,
}

/// How the figures came about, in words for the model card.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// What the model is for; none for the general words.
    pub intended_use: Option<String>,
    /// How clips were dealt to train, val and test.
    pub split: String,
    /// What was fitted and selected on which side, and on what the artefact was refitted.
    pub fitting: String,
    /// How the thresholds of the classes were chosen.
    pub thresholds: String,
    /// How intervals were computed.
    pub intervals: String,
    /// Limits that are known, beyond those that the figures show.
    pub limits: Vec<String>,
}

/// An overall figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// The figure.
    pub value: Interval,
}

/// Figures of one class on the test side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Share of its alarms that are right.
    pub precision: Option<f64>,
    /// Share of its clips that are found.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Average precision.
    pub ap: Option<f64>,
    /// Area under the receiver operating characteristic.
    pub auroc: Option<f64>,
    /// Probability from which on the class is reported.
    pub threshold: Option<f64>,
    /// Number of its test clips.
    pub support: u64,
}

/// Precision over recall, for falling thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PrCurve {
    /// Recall of each point.
    pub recall: Vec<f64>,
    /// Precision of each point.
    pub precision: Vec<f64>,
}

/// How probabilities were calibrated and what that changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The method with its parameter and the side that it was fitted on.
    pub method: String,
    /// Number of bins, of equal width, of the expected calibration error; 0 where that is not known.
    #[serde(default)]
    pub ece_bins: usize,
    /// Without it.
    pub before: Reliability,
    /// With it.
    pub after: Reliability,
}

/// How often the model is right when it says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Expected calibration error.
    pub ece: f64,
    /// Bins of confidence, rising.
    pub bins: Vec<ReliabilityBin>,
}

/// Clips of similar confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Mean probability of the predicted class.
    pub confidence: f64,
    /// Share of the clips that were predicted rightly.
    pub accuracy: f64,
    /// Number of clips.
    pub clips: u64,
}

/// One step of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch or iteration, from 1.
    pub epoch: u64,
    /// Loss on the rows that are fitted.
    pub loss: f64,
    /// Accuracy on the rows that are fitted.
    pub accuracy: Option<f64>,
    /// Loss on val.
    pub val_loss: Option<f64>,
    /// Accuracy on val.
    pub val_accuracy: Option<f64>,
}

/// Clips as points in a plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Shares of the variance that the two axes hold.
    pub explained: [f64; 2],
    /// Number of clips that the points were sampled from.
    pub clips: u64,
    /// The points.
    pub points: Vec<MapPoint>,
}

/// A clip on the map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// Position, in any unit.
    pub x: f32,
    /// Position, in the same unit.
    pub y: f32,
    /// Index of its label.
    pub class: usize,
    /// Whether the model answers anything else than its label.
    pub is_error: bool,
    /// Side of the split.
    pub side: Side,
    /// Where it comes from.
    pub uri: String,
}

/// Side of the split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Fitted on.
    #[default]
    Train,
    /// Selected on.
    Val,
    /// Held out.
    Test,
}

/// A clip that the model is wrong about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Where it comes from.
    pub uri: String,
    /// Its label.
    pub label: String,
    /// What the model says that it is.
    pub predicted: String,
    /// Probability of the class predicted.
    pub probability: f64,
    /// What it looks like.
    pub spectrogram: Option<Spectrogram>,
    /// What it sounds like: mono, 16 kHz, a few seconds; empty where it cannot be read.
    pub audio: Vec<i16>,
}

/// A log-mel spectrogram of bytes, 0 quiet, 255 loud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spectrogram {
    /// Number of bands.
    pub bands: usize,
    /// Number of frames.
    pub frames: usize,
    /// `[bands, frames]` row-major, lowest band first.
    pub levels: Vec<u8>,
}

/// Test clips that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What clips are sliced by: `source`, `site`, `device`, `duration`, `signal to noise`.
    pub by: String,
    /// What these have in common.
    pub name: String,
    /// Their number.
    pub clips: u64,
    /// Share of them that is predicted rightly.
    pub accuracy: Interval,
}

/// Clips of one class by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Originals fitted on.
    pub train: u64,
    /// Originals selected on.
    pub val: u64,
    /// Originals held out.
    pub test: u64,
    /// Augmented variants, all of them of train clips.
    pub augmented: u64,
    /// Recordings that clips of the train and val sides are of; none where that was not counted.
    #[serde(default)]
    pub recordings: Option<u64>,
    /// Recordings that clips of the test side are of; none where that was not counted.
    #[serde(default)]
    pub test_recordings: Option<u64>,
}

/// Clips of one group by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupCount {
    /// What kind of group: `site`, `device`, `group`.
    pub by: String,
    /// Its name.
    pub name: String,
    /// Originals fitted on.
    pub train: u64,
    /// Originals selected on.
    pub val: u64,
    /// Originals held out.
    pub test: u64,
}

/// Alarms on background clips.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// Length of the background, hours.
    pub hours: f64,
    /// Alarms per hour, all classes.
    pub per_hour: Interval,
    /// Alarms of each class, in class order.
    pub per_class: Vec<u64>,
}

/// Time of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTiming {
    /// Its word.
    pub stage: String,
    /// What became of it: `ok`, `fresh`.
    pub status: String,
    /// Wall time, seconds.
    pub wall_s: f64,
    /// Processor time, seconds.
    pub cpu_s: Option<f64>,
}

/// What the model was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Place of the recordings.
    pub source: String,
    /// Identity of the embedder.
    pub embedder: String,
    /// Version of EcoSight.
    pub ecosight_version: String,
    /// Digests of the tables, by name.
    pub tables: Vec<(String, String)>,
    /// Settings of the pipeline, by key.
    pub settings: Vec<(String, String)>,
}

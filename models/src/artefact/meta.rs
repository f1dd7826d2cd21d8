//! `model.json`: what a model is and how it came about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ArtefactErrorKind;
use crate::embedder::EmbedderId;
use crate::head::{TrainConfig, Tried, UNKNOWN, UnknownLimit};
use crate::metrics::{Metrics, Threshold};

/// Version of the folder format that this program writes and reads.
pub const SCHEMA_VERSION: u32 = 2;

/// The oldest version that this program reads.
const OLDEST: u32 = 1;

/// Everything about a model but its weights. It holds no dates, so that equal models are equal files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelMeta {
    /// Version of the format that it was written in, at most [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Hash of everything that decides the model: rows, classes, settings, embedder. Equal for equal models.
    pub digest: String,
    /// Class names in index order, distinct.
    pub classes: Vec<String>,
    /// What the rows were embedded with.
    pub embedder: EmbedderId,
    /// The settings of the training, with the kind of head and the pooling of its rows.
    pub train: TrainConfig,
    /// Every other seed that shaped the model, by the stage that used it.
    pub seeds: BTreeMap<String, u64>,
    /// How it was chosen; models of the first version do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// Whether clips of the test side, or copies of them, were among those that it was trained on: its figures mean nothing then.
    #[serde(default)]
    pub is_leaky: bool,
    /// Hash of the rows it was trained on.
    pub data_fingerprint: String,
    /// Number of rows by split.
    pub counts: BTreeMap<String, u64>,
    /// Metrics by split.
    pub metrics: BTreeMap<String, Metrics>,
}

/// How the settings of a model were chosen. No test clip had a part in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Penalty of the linear head.
    pub l2: Option<f64>,
    /// The penalties that were tried, by cross-validation over recordings of the train side.
    pub tried: Vec<Tried>,
    /// The sides that the head was fitted on, with these settings.
    pub fitted_on: Vec<String>,
    /// What the logits were divided by, so that the probabilities mean what they say. It is in the weights already.
    pub temperature: f64,
    /// For each class, from which probability on it is to be believed; none where the wish cannot be fulfilled.
    pub thresholds: Vec<Option<Threshold>>,
    /// Clips that temperature and thresholds were chosen on, each scored by a head that had not seen its recording.
    pub calibrated_on: u64,
    /// From where on a clip is of no known class; none where that is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownLimit>,
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u64,
}

impl ModelMeta {
    /// From which probability on each class is believed, `[classes]`; infinite for one that never is.
    pub fn thresholds(&self) -> Vec<f32> {
        let never = |found: &Option<Threshold>| found.map_or(f32::INFINITY, |found| found.threshold);
        match &self.selection {
            Some(selection) => selection.thresholds.iter().map(never).collect(),
            None => vec![0.0; self.classes.len()],
        }
    }

    /// From where on a clip is of no known class; none where that is not asked.
    pub fn unknown(&self) -> Option<UnknownLimit> {
        self.selection.as_ref().and_then(|selection| selection.unknown)
    }

    /// The bytes of `model.json`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ArtefactErrorKind> {
        let mut json = serde_json::to_vec_pretty(self).map_err(ArtefactErrorKind::Json)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads and checks `model.json`.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, ArtefactErrorKind> {
        let Versioned { schema_version } = serde_json::from_slice(bytes).map_err(ArtefactErrorKind::Json)?;
        if !(u64::from(OLDEST)..=u64::from(SCHEMA_VERSION)).contains(&schema_version) {
            return Err(ArtefactErrorKind::SchemaVersion { found: schema_version, known: SCHEMA_VERSION });
        }
        let meta: Self = serde_json::from_slice(bytes).map_err(ArtefactErrorKind::Json)?;
        meta.check()?;
        Ok(meta)
    }

    /// Checks what can be checked without the weights.
    pub(super) fn check(&self) -> Result<(), ArtefactErrorKind> {
        let problem = |text: String| Err(ArtefactErrorKind::Inconsistent(text));
        if !(OLDEST..=SCHEMA_VERSION).contains(&self.schema_version) {
            return Err(ArtefactErrorKind::SchemaVersion { found: self.schema_version.into(), known: SCHEMA_VERSION });
        }
        let distinct: BTreeSet<&String> = self.classes.iter().collect();
        if self.classes.len() < 2 || distinct.len() != self.classes.len() {
            return problem("`classes` needs at least two distinct names".to_owned());
        }
        let problems = self.train.problems();
        if !problems.is_empty() {
            return problem(format!("`train`: {}", problems.join("; ")));
        }
        if self.selection.as_ref().is_some_and(|selection| selection.thresholds.len() != self.classes.len()) {
            return problem("`selection.thresholds` are not one for each of `classes`".to_owned());
        }
        if self.unknown().is_some() && self.classes.iter().any(|class| class == UNKNOWN) {
            return problem(format!("`selection.unknown` and a class that is called `{UNKNOWN}`"));
        }
        for (split, metrics) in &self.metrics {
            let named = metrics.per_class.iter().map(|class| &class.class).eq(&self.classes);
            // Of clips that can be of several classes there is none.
            let width = if self.train.multi_label { 0 } else { self.classes.len() };
            let square = metrics.confusion_matrix.len() == width
                && metrics.confusion_matrix.iter().all(|row| row.len() == width);
            if !named || !square {
                return problem(format!("`metrics.{split}` is about other classes than `classes`"));
            }
        }
        Ok(())
    }
}

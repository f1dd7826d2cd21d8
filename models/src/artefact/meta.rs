//! `model.json`: what a model is and how it came about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ArtefactErrorKind;
use crate::decision::{Decision, Labelling};
use crate::embedder::EmbedderId;
use crate::head::{TrainConfig, Tried, UnknownLimit};
use crate::metrics::{Metrics, Threshold, Wish};

/// Version of the folder format that this program writes and reads.
pub const SCHEMA_VERSION: u32 = 3;

/// The oldest version that this program reads.
const OLDEST: u32 = 1;

/// The first version that says how probabilities become an answer.
const WITH_DECISION: u32 = 3;

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
    /// The rule from probabilities to an answer. None before schema 3: [`ModelMeta::decision`] is the rule of every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
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
    /// Temperature that calibrates the fitted head. It is already folded into the weights of the last layer, so the logits must not be divided by it
    /// again. Schema 2 called it `temperature`.
    #[serde(alias = "temperature")]
    pub fitted_temperature: f64,
    /// The threshold that was chosen for each class, and what it reaches; none where none was chosen, or the wish cannot be fulfilled.
    pub thresholds: Vec<Option<Threshold>>,
    /// Clips that temperature and thresholds were chosen on, each scored by a head that had not seen its recording.
    pub calibrated_on: u64,
    /// Those of them that are of each class, in index order; empty before schema 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positives: Vec<Positives>,
    /// Limit of clips of no known class in schema 2; since then it is in the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownLimit>,
}

/// Clips of a class that a threshold was chosen on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Positives {
    /// Number of clips.
    pub clips: u64,
    /// Number of split groups (`split.group_by`) that they come from.
    pub groups: u64,
    /// Unit of the split groups: `recording`, `site`, `device` or `day`.
    pub unit: String,
}

impl std::fmt::Display for Positives {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |n: u64, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
        write!(f, "{} of {}", plural(self.clips, "clip"), plural(self.groups, &self.unit))
    }
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u64,
}

impl ModelMeta {
    /// The rule from probabilities to an answer.
    ///
    /// Before schema 3, single-label models answered the most probable class whatever the thresholds, and that is what they still answer.
    pub fn decision(&self) -> Decision {
        if let Some(decision) = &self.decision {
            return decision.clone();
        }
        let labelling = self.train.labelling();
        let plain = Decision::plain(labelling, &self.classes, &self.train.background);
        let Some(selection) = &self.selection else { return plain };
        match labelling {
            Labelling::Single => Decision { unknown: selection.unknown, ..plain },
            Labelling::Multi => {
                let thresholds = selection.thresholds.iter().map(|found| Some((*found)?.threshold)).collect();
                Decision { thresholds, ..plain }
            }
        }
    }

    /// What was wanted of thresholds and cannot be had, a sentence for each class that is never answered for that reason.
    pub fn unmet_thresholds(&self) -> Vec<String> {
        let (decision, Some(selection)) = (self.decision(), &self.selection) else { return Vec::new() };
        let Some(wish) = self.train.thresholds.wish(self.train.labelling()) else { return Vec::new() };
        let classes = self.classes.iter().zip(&decision.thresholds).zip(&selection.positives);
        let never = classes.filter(|((_, threshold), _)| threshold.is_none());
        let sentence = |((class, _), positives): ((&String, &Option<f32>), &Positives)| match wish {
            Wish::Precision(precision) => {
                format!("precision {precision} of `{class}` cannot be shown with {positives}: it is never answered")
            }
            Wish::BestF1 => {
                format!("no threshold finds `{class}`, of which there are {positives}: it is never answered")
            }
        };
        never.map(sentence).collect()
    }

    /// The same model as this version of the program would describe it.
    pub(super) fn in_current_schema(&self) -> Self {
        Self { schema_version: SCHEMA_VERSION, decision: Some(self.decision()), ..self.clone() }
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

    /// Checks what can be checked without the weights. The settings of its training are history: a model whose settings no training would accept today
    /// still predicts.
    pub(super) fn check(&self) -> Result<(), ArtefactErrorKind> {
        let problem = |text: String| Err(ArtefactErrorKind::Inconsistent(text));
        if !(OLDEST..=SCHEMA_VERSION).contains(&self.schema_version) {
            return Err(ArtefactErrorKind::SchemaVersion { found: self.schema_version.into(), known: SCHEMA_VERSION });
        }
        let distinct: BTreeSet<&String> = self.classes.iter().collect();
        if self.classes.len() < 2 || distinct.len() != self.classes.len() {
            return problem("`classes` needs at least two distinct names".to_owned());
        }
        if self.selection.as_ref().is_some_and(|selection| selection.thresholds.len() != self.classes.len()) {
            return problem("`selection.thresholds` are not one for each of `classes`".to_owned());
        }
        let decision = self.decision();
        if (self.schema_version >= WITH_DECISION) != self.decision.is_some() {
            return problem(format!("`decision` belongs to models from schema {WITH_DECISION} on"));
        }
        if let Some(why) = decision.problem() {
            return problem(format!("`decision`: {why}"));
        }
        if decision.classes != self.classes || decision.labelling != self.train.labelling() {
            return problem("`decision` is about other classes than `classes`".to_owned());
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

//! `model.json`: what a model is and how it came about.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ArtefactErrorKind;
use crate::embedder::EmbedderId;
use crate::head::TrainConfig;
use crate::metrics::Metrics;

/// Version of the folder format that this program writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything about a model but its weights. It holds no dates, so that equal models are equal files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelMeta {
    /// Always [`SCHEMA_VERSION`].
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
    /// Hash of the rows it was trained on.
    pub data_fingerprint: String,
    /// Number of rows by split.
    pub counts: BTreeMap<String, u64>,
    /// Metrics by split.
    pub metrics: BTreeMap<String, Metrics>,
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u64,
}

impl ModelMeta {
    /// The bytes of `model.json`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ArtefactErrorKind> {
        let mut json = serde_json::to_vec_pretty(self).map_err(ArtefactErrorKind::Json)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads and checks `model.json`.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, ArtefactErrorKind> {
        let Versioned { schema_version } = serde_json::from_slice(bytes).map_err(ArtefactErrorKind::Json)?;
        if schema_version != u64::from(SCHEMA_VERSION) {
            return Err(ArtefactErrorKind::SchemaVersion { found: schema_version, known: SCHEMA_VERSION });
        }
        let meta: Self = serde_json::from_slice(bytes).map_err(ArtefactErrorKind::Json)?;
        meta.check()?;
        Ok(meta)
    }

    /// Checks what can be checked without the weights.
    pub(super) fn check(&self) -> Result<(), ArtefactErrorKind> {
        let problem = |text: String| Err(ArtefactErrorKind::Inconsistent(text));
        if self.schema_version != SCHEMA_VERSION {
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
        for (split, metrics) in &self.metrics {
            let named = metrics.per_class.iter().map(|class| &class.class).eq(&self.classes);
            let square = metrics.confusion_matrix.len() == self.classes.len()
                && metrics.confusion_matrix.iter().all(|row| row.len() == self.classes.len());
            if !named || !square {
                return problem(format!("`metrics.{split}` is about other classes than `classes`"));
            }
        }
        Ok(())
    }
}

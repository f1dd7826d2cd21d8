//! `model_metadata.json` and `performance_metrics.json`, for programs written against the system that this one replaces.
//!
//! They have its fields and its meanings, but for `input_shape`: a row here may hold means and deviations.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Artefact, ArtefactError, ArtefactErrorKind};
use crate::frontend::SAMPLE_RATE_HZ;
use crate::head::{HIDDEN, HeadKind};
use crate::metrics::ClassMetrics;

/// Name of the file about the model.
pub const METADATA_FILE: &str = "model_metadata.json";

/// Name of the file of its figures.
pub const PERFORMANCE_FILE: &str = "performance_metrics.json";

/// What the artefact itself does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Version of the model; begins with when it was made.
    pub version: String,
    /// Epochs, or steps of the linear head.
    pub epochs: u64,
    /// Number of labelled clips of each class.
    pub clips: BTreeMap<String, u64>,
}

/// When the model `version` was made, UTC, as `YYYY-MM-DD HH:MM:SS`; none where its name does not tell.
pub fn made_at(version: &str) -> Option<String> {
    let digits = |at: usize, n: usize| version.get(at..at + n).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let [year, month, day] = [digits(0, 4)?, digits(4, 2)?, digits(6, 2)?];
    let [hour, minute, second] = [digits(9, 2)?, digits(11, 2)?, digits(13, 2)?];
    (version.get(8..9) == Some("-")).then(|| format!("{year}-{month}-{day} {hour}:{minute}:{second}"))
}

impl Artefact {
    /// Writes both files into the model's folder `dir`.
    ///
    /// # Errors
    ///
    /// [`ArtefactErrorKind::Io`] when a file cannot be written.
    pub fn save_compatible(&self, dir: &Path, facts: &Facts) -> Result<(), ArtefactError> {
        for (name, value) in [(METADATA_FILE, self.metadata(facts)), (PERFORMANCE_FILE, self.performance())] {
            let path = dir.join(name);
            let json = format!("{value:#}\n");
            crate::files::replace(&path, json.as_bytes()).map_err(|error| ArtefactErrorKind::Io(error).at(&path))?;
        }
        Ok(())
    }

    fn metadata(&self, facts: &Facts) -> Value {
        let meta = &self.meta;
        let test = meta.metrics.get("test");
        let rows = |side: &str| meta.counts.get(side).copied().unwrap_or(0);
        let is_mlp = meta.train.head == HeadKind::Mlp;
        let hidden: &[(usize, f32)] = if is_mlp { &HIDDEN } else { &[] };
        let layers: Vec<usize> = hidden.iter().map(|(width, _)| *width).chain([meta.classes.len()]).collect();
        json!({
            "model_name": format!("ecosight {}", facts.version),
            "model_type": if is_mlp { "mlp" } else { "linear softmax" },
            "training_date": made_at(&facts.version),
            "num_classes": meta.classes.len(),
            "classes": meta.classes,
            "input_shape": [self.head.input_dim()],
            "test_accuracy": test.map(|test| test.accuracy),
            "test_loss": test.and_then(|test| test.log_loss),
            "sample_rate": SAMPLE_RATE_HZ,
            "architecture": {
                "layers": layers,
                "activation": if is_mlp { "relu" } else { "linear" },
                // As text of a few digits, and back: 0.4 as `f32` is 0.4000000059… as `f64`.
                "dropout_rates": hidden.iter().filter_map(|(_, rate)| rate.to_string().parse().ok()).collect::<Vec<f64>>(),
                "optimizer": if is_mlp { "adam" } else { "lbfgs" },
                "learning_rate": is_mlp.then_some(meta.train.learning_rate),
            },
            "training_config": {
                "epochs": facts.epochs,
                "batch_size": if is_mlp { meta.train.batch_size as u64 } else { rows("train") },
                "train_samples": rows("train"),
                "val_samples": rows("val"),
                "test_samples": rows("test"),
            },
            "sample_counts": facts.clips,
            "is_leaky": meta.is_leaky,
        })
    }

    fn performance(&self) -> Value {
        let test = self.meta.metrics.get("test");
        let classes = test.map_or(&[][..], |test| &test.per_class);
        // The replaced system writes 0 where nothing was measured.
        let column = |of: fn(&ClassMetrics) -> Option<f64>| -> Vec<f64> {
            classes.iter().map(|class| of(class).unwrap_or(0.0)).collect()
        };
        let per_class: BTreeMap<&String, Value> = classes
            .iter()
            .map(|class| {
                let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(|x| x.unwrap_or(0.0));
                let support = class.support;
                let value = json!({ "precision": precision, "recall": recall, "f1_score": f1, "support": support });
                (&class.class, value)
            })
            .collect();
        json!({
            "precision": column(|class| class.precision),
            "recall": column(|class| class.recall),
            "f1_score": column(|class| class.f1),
            "confusion_matrix": test.map(|test| &test.confusion_matrix),
            "per_class_metrics": per_class,
            "test_accuracy": test.map(|test| test.accuracy),
            "test_loss": test.and_then(|test| test.log_loss),
            // Not among the fields of the replaced system: whether copies of test clips were trained on.
            "is_leaky": self.meta.is_leaky,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_model_tells_when_it_was_made() {
        assert_eq!(made_at("20260301-070509-ab12-00ff00ff").as_deref(), Some("2026-03-01 07:05:09"));
        for odd in ["", "mine", "20260301", "20260301x070509", "2026030x-070509", "20260301-0705ü9"] {
            assert_eq!(made_at(odd), None, "{odd}");
        }
    }
}

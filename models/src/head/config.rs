//! The settings of a training.

use serde::{Deserialize, Serialize};

use super::Pooling;

/// Which network stands on the embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Multinomial logistic regression: convex, one optimum, seconds to train. The default.
    Linear,
    /// Four hidden layers (512, 256, 128, 64) with batch normalisation and dropout; for large, varied sets.
    Mlp,
}

/// Settings of a training; the defaults work for a hundred clips and for a hundred thousand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The network.
    pub head: HeadKind,
    /// How patches become a row.
    pub pooling: Pooling,
    /// Strength of the penalty on the weights of the linear head, at least 0.
    ///
    /// The objective is `(1/n) · Σ cross-entropy + l2 / (2n) · ‖W‖²` with the bias free and the columns of `x`
    /// standardised, which has the optimum of scikit-learn's `LogisticRegression(C = 1 / l2)`.
    pub l2: f64,
    /// Seed of the MLP's weights, shuffles and dropout. The linear head has one optimum and draws nothing.
    pub seed: u64,
    /// Epochs of the MLP, at least 1.
    pub max_epochs: u32,
    /// Rows in a step of the MLP, at least 2.
    pub batch_size: usize,
    /// First learning rate of the MLP (Adam); it halves after 7 epochs without a lower validation loss.
    pub learning_rate: f64,
    /// Epochs without a lower validation loss after which the MLP stops, at least 1. Without validation rows it runs
    /// all its epochs.
    pub patience: u32,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            head: HeadKind::Linear,
            pooling: Pooling::MeanStd,
            l2: 1.0,
            seed: 0,
            max_epochs: 100,
            batch_size: 64,
            learning_rate: 1e-3,
            patience: 15,
        }
    }
}

impl TrainConfig {
    /// Everything that is out of range, one sentence each; empty when the settings can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(0.0..=1e9).contains(&self.l2) {
            problems.push(format!("`l2` is {}; it lies between 0 and 1e9", self.l2));
        }
        if self.max_epochs == 0 {
            problems.push("`max_epochs` is 0; it is at least 1".to_owned());
        }
        if self.batch_size < 2 {
            problems.push(format!("`batch_size` is {}; batch normalisation needs at least 2", self.batch_size));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            problems.push(format!("`learning_rate` is {}; it lies above 0 and is at most 1", self.learning_rate));
        }
        if self.patience == 0 {
            problems.push("`patience` is 0; it is at least 1".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problems_and_survive_json() {
        let config = TrainConfig::default();
        assert!(config.problems().is_empty());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&json).unwrap(), config);
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let config = TrainConfig {
            l2: f64::NAN,
            max_epochs: 0,
            batch_size: 1,
            learning_rate: 0.0,
            patience: 0,
            ..TrainConfig::default()
        };
        let problems = config.problems().join("\n");
        for name in ["l2", "max_epochs", "batch_size", "learning_rate", "patience"] {
            assert!(problems.contains(&format!("`{name}`")), "{name} is missing in {problems}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(serde_json::from_str::<TrainConfig>(r#"{"learning_rat": 0.1}"#).is_err());
    }
}

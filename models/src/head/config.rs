//! The settings of a training.

use serde::{Deserialize, Serialize};

use super::{Features, Pooling, Sampling, Scores, Search, Summary, Unknown};
use crate::decision::Labelling;
use crate::metrics::Wish;

/// Which network stands on the embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Multinomial logistic regression: convex, one optimum, seconds to train. The default.
    Linear,
    /// Four hidden layers (512, 256, 128, 64) with batch normalisation and dropout; for large, varied sets.
    Mlp,
}

/// Strength of the penalty on the weights of the linear head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or \"auto\"")]
pub enum L2 {
    /// This one.
    Given(f64),
    /// The one that a cross-validation over recordings of the train side finds best.
    Chosen(Auto),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// The program chooses.
    Auto,
}

impl L2 {
    /// To be chosen by the program.
    pub const AUTO: Self = Self::Chosen(Auto::Auto);

    /// The value, where it is given.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Given(value) => Some(value),
            Self::Chosen(_) => None,
        }
    }
}

/// What the threshold of each class is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"auto\", \"best_f1\" or a precision")]
pub enum ThresholdWish {
    /// The highest recall at which the precision is at least this with one-sided 95 % confidence.
    Precision(f64),
    /// The best F1.
    Best(BestF1),
    /// No thresholds where a clip is of exactly one class: the most probable one is the answer. The best F1 where it can be of several.
    Auto(Auto),
}

/// The word `best_f1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BestF1 {
    /// The best harmonic mean of precision and recall.
    #[serde(rename = "best_f1")]
    BestF1,
}

impl ThresholdWish {
    /// Chosen by the program.
    pub const AUTO: Self = Self::Auto(Auto::Auto);

    /// The best F1.
    pub const BEST_F1: Self = Self::Best(BestF1::BestF1);

    /// What thresholds are chosen for; none where there are to be none.
    pub fn wish(self, labelling: Labelling) -> Option<Wish> {
        match (self, labelling) {
            (Self::Precision(precision), _) => Some(Wish::Precision(precision)),
            (Self::Auto(_), Labelling::Single) => None,
            (Self::Best(_), _) | (Self::Auto(_), Labelling::Multi) => Some(Wish::BestF1),
        }
    }
}

/// How much the rows of each class weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Each row the same.
    None,
    /// Each class the same, as scikit-learn's `class_weight="balanced"`: pays where a rare class must not be missed.
    Balanced,
}

impl ClassWeights {
    /// The weight of a row of each class, `[classes]`, given the classes `y` of all rows: together they weigh as much as there are rows.
    pub(super) fn of(self, y: &[usize], classes: usize) -> Vec<f32> {
        let mut counts = vec![0_usize; classes];
        for &class in y {
            counts[class] += 1;
        }
        let present = counts.iter().filter(|count| **count > 0).count();
        let weight = |count: usize| match self {
            Self::None => 1.0,
            Self::Balanced => y.len() as f32 / (present * count.max(1)) as f32,
        };
        counts.into_iter().map(weight).collect()
    }
}

/// Patches of a window at most: about five minutes.
const LONGEST_WINDOW: usize = 600;

/// Settings of a training; the defaults work for a hundred clips and for a hundred thousand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The network.
    pub head: HeadKind,
    /// How patches become a row.
    pub pooling: Pooling,
    /// What each patch is described by.
    #[serde(skip_serializing_if = "is_default")]
    pub features: Features,
    /// Patches of a row: the head is trained and used on windows of so many, and a clip has the mean of their probabilities; 0 for whole clips.
    #[serde(skip_serializing_if = "is_default")]
    pub window: usize,
    /// Strength of the penalty on the weights of the linear head, at least 0.
    ///
    /// The objective is `(1/n) · Σ cross-entropy + l2 / (2n) · ‖W‖²` with the bias free and the columns of `x`
    /// standardised, which has the optimum of scikit-learn's `LogisticRegression(C = 1 / l2)`.
    pub l2: L2,
    /// Whether a clip can be of several classes, or of none: `dog;rain`.
    #[serde(skip_serializing_if = "is_default")]
    pub multi_label: bool,
    /// Labels of sounds that are no alarm, such as rain. Where a clip can be of several classes they stand for none of them.
    #[serde(skip_serializing_if = "is_default")]
    pub background: Vec<String>,
    /// How much the rows of each class weigh.
    pub class_weights: ClassWeights,
    /// Which rows an epoch of the MLP goes through.
    #[serde(skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// How much the MLP is trained on mixtures of two rows: the α of the Beta(α, α) that their shares are drawn from, at most 2; 0 is not at all.
    #[serde(skip_serializing_if = "is_default")]
    pub mixup: f64,
    /// What the threshold of each class is chosen for.
    pub thresholds: ThresholdWish,
    /// By what a clip counts as of no known class.
    #[serde(skip_serializing_if = "is_default")]
    pub unknown: Unknown,
    /// Share of the clips of known classes that is to stay known, above 0 and at most 1.
    #[serde(skip_serializing_if = "is_usual")]
    pub known_recall: f64,
    /// Seed of the folds that choose `l2`, and of the MLP's weights, shuffles and dropout.
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
    /// How far better settings are searched before the training. It is about how settings are found, so it is not kept with a model.
    #[serde(skip_serializing)]
    pub search: Search,
    /// New recordings without which there is no training, where there is a model already. It is about when to train, not how, so it
    /// is not kept with a model.
    #[serde(skip_serializing)]
    pub min_samples: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            head: HeadKind::Linear,
            pooling: Pooling::MeanStd,
            features: Features::Embedding,
            window: 0,
            l2: L2::AUTO,
            multi_label: false,
            background: Vec::new(),
            class_weights: ClassWeights::None,
            sampling: Sampling::All,
            mixup: 0.0,
            thresholds: ThresholdWish::AUTO,
            unknown: Unknown::Off,
            known_recall: KNOWN_RECALL,
            seed: 0,
            max_epochs: 100,
            batch_size: 64,
            learning_rate: 1e-3,
            patience: 15,
            search: Search::default(),
            min_samples: 100,
        }
    }
}

/// One known clip in twenty is the price of telling strangers.
const KNOWN_RECALL: f64 = 0.95;

/// Whether it is the share that is kept where nobody says another one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_usual(known_recall: &f64) -> bool {
    known_recall.to_bits() == KNOWN_RECALL.to_bits()
}

/// What came later is not written where it changes nothing, so that a model keeps its digest.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TrainConfig {
    /// What the head makes of its logits.
    pub fn scores(&self) -> Scores {
        if self.multi_label { Scores::Sigmoid } else { Scores::Softmax }
    }

    /// How many classes a clip can be of.
    pub fn labelling(&self) -> Labelling {
        if self.multi_label { Labelling::Multi } else { Labelling::Single }
    }

    /// How the patches of a clip become a row.
    pub fn summary(&self) -> Summary {
        Summary { features: self.features, pooling: self.pooling, window: self.window }
    }

    /// Everything that is out of range, one sentence each; empty when the settings can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(l2) = self.l2.value()
            && !(0.0..=1e9).contains(&l2)
        {
            problems.push(format!("`l2` is {l2}; it is \"auto\", or lies between 0 and 1e9"));
        }
        if let ThresholdWish::Precision(precision) = self.thresholds
            && !(precision > 0.0 && precision <= 1.0)
        {
            let allowed = "it is \"auto\", \"best_f1\", or a precision above 0 and at most 1";
            problems.push(format!("`thresholds` is {precision}; {allowed}"));
        }
        if self.window > LONGEST_WINDOW {
            problems.push(format!(
                "`window` is {}; it is 0 (whole clips), or at most {LONGEST_WINDOW} patches",
                self.window
            ));
        }
        problems.extend(self.problems_of_sampling());
        if !(self.known_recall > 0.0 && self.known_recall <= 1.0) {
            problems.push(format!("`known_recall` is {}; it lies above 0 and is at most 1", self.known_recall));
        }
        if self.multi_label && self.unknown != Unknown::Off {
            let message = "`unknown` is for clips of one class; with `multi_label` a clip of no known class is of none";
            problems.push(message.to_owned());
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

    /// What is wrong with the rows that the MLP is to be trained on.
    fn problems_of_sampling(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let is_balanced = self.sampling == Sampling::Balanced;
        if !(0.0..=2.0).contains(&self.mixup) {
            problems.push(format!("`mixup` is {}; it lies between 0 (off) and 2", self.mixup));
        }
        if is_balanced && self.class_weights == ClassWeights::Balanced {
            let message = "`sampling` and `class_weights` are both \"balanced\", which would count rare classes twice; choose one";
            problems.push(message.to_owned());
        }
        if self.head == HeadKind::Linear {
            if is_balanced {
                let message = "`sampling` is \"balanced\", which is for `head = \"mlp\"`; `class_weights = \"balanced\"` does the same for the linear head";
                problems.push(message.to_owned());
            }
            if self.mixup > 0.0 {
                let message = "which is for `head = \"mlp\"`; the linear head is kept from learning by heart by `l2`";
                problems.push(format!("`mixup` is {}, {message}", self.mixup));
            }
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
            l2: L2::Given(f64::NAN),
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
    fn what_is_for_the_mlp_is_refused_for_the_linear_head() {
        let wish = TrainConfig { sampling: Sampling::Balanced, mixup: 0.2, ..TrainConfig::default() };
        let [sampling, mixup] = wish.problems().try_into().unwrap();
        assert!(
            sampling.starts_with("`sampling`") && sampling.contains("`class_weights = \"balanced\"`"),
            "{sampling}"
        );
        assert!(mixup.starts_with("`mixup`") && mixup.contains("`head = \"mlp\"`"), "{mixup}");
        let mlp = TrainConfig { head: HeadKind::Mlp, ..wish };
        assert!(mlp.problems().is_empty());
        let twice = TrainConfig { class_weights: ClassWeights::Balanced, mixup: f64::NAN, ..mlp };
        assert_eq!(twice.problems().len(), 2);
    }

    #[test]
    fn what_came_later_is_not_written_where_it_changes_nothing() {
        let json = serde_json::to_string(&TrainConfig::default()).unwrap();
        let expected = concat!(
            r#"{"head":"linear","pooling":"mean_std","l2":"auto","class_weights":"none","thresholds":"auto","seed":0,"#,
            r#""max_epochs":100,"batch_size":64,"learning_rate":0.001,"patience":15}"#
        );
        assert_eq!(json, expected, "models keep their digest");
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(serde_json::from_str::<TrainConfig>(r#"{"learning_rat": 0.1}"#).is_err());
    }
}

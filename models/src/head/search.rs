//! The small space of settings that `train.search` looks around in.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{ClassWeights, Features, HeadKind, Pooling, Sampling, TrainConfig};

/// How far settings are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Settings that are tried at most, the user's own among them; 0: there is no search.
    pub trials: u32,
    /// Seconds after which no further ones are tried.
    pub budget_s: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self { trials: 0, budget_s: 600 }
    }
}

impl Search {
    /// Whether there is one.
    pub fn is_on(self) -> bool {
        self.trials > 0
    }
}

/// Mixup that is tried beside none.
const MIXUP: f64 = 0.2;

impl TrainConfig {
    /// The settings that a search tries: these, then the others of the space in an order that the seed decides, without repeats. What is not part of the
    /// space is as it is here. Contrasts with mean pooling are not in it: of their mean nearly nothing is left.
    pub fn candidates(&self) -> Vec<Self> {
        let mut others: Vec<Self> = Vec::new();
        let rows = [
            (Pooling::MeanStd, Features::Embedding),
            (Pooling::MeanStd, Features::Contrast),
            (Pooling::Mean, Features::Embedding),
        ];
        for (pooling, features) in rows {
            let plain = Self { pooling, features, sampling: Sampling::All, mixup: 0.0, ..self.clone() };
            for class_weights in [ClassWeights::None, ClassWeights::Balanced] {
                others.push(Self { head: HeadKind::Linear, class_weights, ..plain.clone() });
            }
            let balances = [
                (ClassWeights::None, Sampling::All),
                (ClassWeights::Balanced, Sampling::All),
                (ClassWeights::None, Sampling::Balanced),
            ];
            for (class_weights, sampling) in balances {
                for mixup in [0.0, MIXUP] {
                    others.push(Self { head: HeadKind::Mlp, class_weights, sampling, mixup, ..plain.clone() });
                }
            }
        }
        others.retain(|other| other != self);
        others.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        std::iter::once(self.clone()).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_settings_come_first_and_nothing_twice() {
        let mine = TrainConfig { head: HeadKind::Mlp, mixup: 0.7, ..TrainConfig::default() };
        for (own, expected) in [(TrainConfig::default(), 24), (mine, 25)] {
            let candidates = own.candidates();
            assert_eq!((&candidates[0], candidates.len()), (&own, expected));
            for (number, candidate) in candidates.iter().enumerate() {
                assert!(candidate.problems().is_empty(), "{:?}", candidate.problems());
                assert!(!candidates[..number].contains(candidate), "{candidate:?}");
            }
            assert_eq!(candidates, own.candidates());
            let other = TrainConfig { seed: 1, ..own }.candidates();
            assert!(candidates.iter().zip(&other).any(|(a, b)| a.head != b.head), "the seed decides the order");
        }
    }
}

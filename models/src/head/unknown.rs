//! Clips that are of no class that the head knows: told from how sure it is.

use serde::{Deserialize, Serialize};

use super::score::softmax;

/// What a clip is called that is of no known class.
pub const UNKNOWN: &str = "unknown";

/// By what a clip counts as unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// By nothing: every clip is of some class.
    #[default]
    Off,
    /// Its most probable class is not probable enough (Hendrycks and Gimpel 2017).
    Threshold,
    /// Its energy, `−log Σ exp` of its logits, is too high (Liu et al. 2020, "Energy-based Out-of-distribution Detection", at temperature 1 of the
    /// calibrated logits): no class speaks for it, whereas a clip between two known ones stays known.
    Energy,
}

/// From where on a clip is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownLimit {
    /// Below this probability of the most probable class.
    Probability(f64),
    /// Above this energy.
    Energy(f64),
}

impl UnknownLimit {
    /// The strictest limit at which at least the share `known_recall` of clips of known classes stays known, given their calibrated `logits`, `[n, classes]` row-major.
    /// None where it is not wanted, or there is no clip.
    pub fn choose(wish: Unknown, known_recall: f64, logits: &[f32], classes: usize) -> Option<Self> {
        let limit = match wish {
            Unknown::Off => return None,
            Unknown::Threshold => Self::Probability,
            Unknown::Energy => Self::Energy,
        };
        // How unlike the known classes each clip is, the likest first.
        let sign = if wish == Unknown::Threshold { -1.0 } else { 1.0 };
        let mut found: Vec<f64> = logits.chunks_exact(classes).map(|row| sign * limit(0.0).measure(row)).collect();
        found.sort_unstable_by(f64::total_cmp);
        let kept = (known_recall * found.len() as f64).ceil() as usize;
        found.get(kept.max(1) - 1).map(|last| limit(sign * last))
    }

    /// Whether a clip with these calibrated logits is unknown.
    pub fn excludes(self, logits: &[f32]) -> bool {
        let found = self.measure(logits);
        match self {
            Self::Probability(limit) => found < limit,
            Self::Energy(limit) => found > limit,
        }
    }

    /// What of a row of logits is compared with the limit.
    fn measure(self, logits: &[f32]) -> f64 {
        let mut row: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let log_sum = softmax(&mut row);
        match self {
            Self::Probability(_) => row.into_iter().fold(0.0, f64::max),
            Self::Energy(_) => -log_sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clips of two known classes, from sure to unsure; 0 is as likely either.
    fn known() -> Vec<f32> {
        (0..40).flat_map(|clip| [clip as f32 * 0.25 - 2.0, -2.0]).collect()
    }

    #[test]
    fn the_share_of_known_clips_that_was_asked_for_stays_known_and_no_more() {
        for wish in [Unknown::Threshold, Unknown::Energy] {
            for (recall, expected) in [(1.0, 40), (0.95, 38), (0.94, 38), (0.5, 20), (0.001, 1)] {
                let limit = UnknownLimit::choose(wish, recall, &known(), 2).unwrap();
                let kept = known().chunks(2).filter(|row| !limit.excludes(row)).count();
                assert_eq!(kept, expected, "{wish:?}, {recall}");
            }
        }
        assert_eq!(UnknownLimit::choose(Unknown::Off, 0.95, &known(), 2), None);
        assert_eq!(UnknownLimit::choose(Unknown::Energy, 0.95, &[], 2), None);
    }

    #[test]
    fn energy_tells_a_clip_between_classes_from_one_of_none() {
        let limit = |wish| UnknownLimit::choose(wish, 0.75, &known(), 2).unwrap();
        let (between, none) = ([9.0, 9.0], [-9.0, -9.0]);
        assert!(!limit(Unknown::Energy).excludes(&between) && limit(Unknown::Energy).excludes(&none));
        // Of both, each class is as probable as the other.
        assert!(limit(Unknown::Threshold).excludes(&between) && limit(Unknown::Threshold).excludes(&none));
    }

    #[test]
    fn energy_is_that_of_the_paper() {
        let Some(UnknownLimit::Energy(limit)) = UnknownLimit::choose(Unknown::Energy, 1.0, &[1.0, 2.0, 3.0], 3) else {
            panic!("an energy was asked for");
        };
        // −log(e + e² + e³)
        assert!((limit + 3.407_605_964_444_38).abs() < 1e-12, "{limit}");
        assert_eq!(serde_json::to_string(&UnknownLimit::Probability(0.5)).unwrap(), r#"{"probability":0.5}"#);
    }
}

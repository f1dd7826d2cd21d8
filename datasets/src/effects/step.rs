//! One step of an effect: its word and parameters in the configuration, and what it does.

use serde::{Deserialize, Serialize};

use super::source::Source;
use super::{noise, pitch, stretch, time_shift};
use crate::key::KeyHasher;

/// A step of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Plays faster (rate > 1) or slower at the same pitch: n samples become `round(n / rate)`. 0.25 to 4.
    TimeStretch {
        /// How many times faster.
        rate: f64,
    },
    /// Raises or lowers the pitch at the same length. −24 to 24, within one cent.
    PitchShift {
        /// Semitones upwards.
        semitones: f64,
    },
    /// Adds white Gaussian noise. 0 to 1.
    Noise {
        /// Standard deviation of the noise, in units of full scale.
        amplitude: f64,
    },
    /// Rolls the clip in a circle by a random number of samples, uniform up to a fraction of its length. 0 to 1.
    ///
    /// A clip of more than 30 s is rolled to the left only, so that what comes first is followed by the rest and then by the
    /// start of the clip, and the fraction is one of 30 s. So it can be streamed: only its start is held in memory.
    TimeShift {
        /// The largest shift in either direction, as a fraction of the clip, or of 30 s where the clip is longer.
        max_fraction: f64,
    },
    /// Multiplies every sample. 0 to 16; never clips.
    Gain {
        /// The factor.
        factor: f64,
    },
}

impl Step {
    /// What is wrong with the parameter, for example ``rate 9 is outside 0.25..=4``.
    pub fn problem(&self) -> Option<String> {
        let (name, value, low, high) = match *self {
            Self::TimeStretch { rate } => ("rate", rate, 0.25, 4.0),
            Self::PitchShift { semitones } => ("semitones", semitones, -24.0, 24.0),
            Self::Noise { amplitude } => ("amplitude", amplitude, 0.0, 1.0),
            Self::TimeShift { max_fraction } => ("max_fraction", max_fraction, 0.0, 1.0),
            Self::Gain { factor } => ("factor", factor, 0.0, 16.0),
        };
        (!(low..=high).contains(&value)).then(|| format!("{name} {value} is outside {low}..={high}"))
    }

    /// Adds everything that decides what the step does: its word, the version of how it is computed, its parameter.
    pub(super) fn add_to(self, key: KeyHasher) -> KeyHasher {
        // The version is raised when the samples change that a step makes of equal ones.
        let (word, version, parameter) = match self {
            Self::TimeStretch { rate } => ("time_stretch", 1, rate),
            Self::PitchShift { semitones } => ("pitch_shift", 1, semitones),
            Self::Noise { amplitude } => ("noise", 1, amplitude),
            Self::TimeShift { max_fraction } => ("time_shift", 1, max_fraction),
            Self::Gain { factor } => ("gain", 1, factor),
        };
        key.str(word).u64(version).f64(parameter)
    }

    /// The waveform of `source` after this step, the `index`th of its effect. A step with a problem changes nothing.
    pub(super) fn render(self, source: &Source<'_>, seed: u64, index: u64) -> Vec<f32> {
        match self {
            _ if self.problem().is_some() => source.wave().to_vec(),
            Self::TimeStretch { rate } => stretch::stretch(source, rate),
            Self::PitchShift { semitones } => pitch::shift(source, semitones),
            _ => self.apply(source.wave().to_vec(), seed, index),
        }
    }

    /// `wave` after this step, the `index`th of its effect. A step with a problem changes nothing.
    pub(super) fn apply(self, mut wave: Vec<f32>, seed: u64, index: u64) -> Vec<f32> {
        match self {
            _ if self.problem().is_some() => {}
            Self::TimeStretch { .. } | Self::PitchShift { .. } => return self.render(&Source::new(&wave), seed, index),
            Self::Noise { amplitude } => noise::add_noise(&mut wave, amplitude, &mut noise::random(seed, index)),
            Self::TimeShift { max_fraction } => {
                time_shift::roll(&mut wave, max_fraction, &mut noise::random(seed, index));
            }
            Self::Gain { factor } => wave.iter_mut().for_each(|x| *x *= factor as f32),
        }
        wave
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_out_of_range_is_named() {
        assert_eq!(Step::TimeStretch { rate: 9.0 }.problem().unwrap(), "rate 9 is outside 0.25..=4");
        assert!(Step::Gain { factor: f64::NAN }.problem().is_some());
        assert_eq!(Step::Gain { factor: f64::NAN }.apply(vec![1.0], 0, 0), [1.0]);
        assert!(Step::PitchShift { semitones: -24.0 }.problem().is_none());
    }

    #[test]
    fn gain_is_exact_and_does_not_clip() {
        assert_eq!(Step::Gain { factor: 2.0 }.apply(vec![0.9, -1.5], 0, 0), [1.8, -3.0]);
    }

    pub(in crate::effects) fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0.25..4.0).prop_map(|rate| Step::TimeStretch { rate }),
            (-24.0..24.0).prop_map(|semitones| Step::PitchShift { semitones }),
            (0.0..1.0).prop_map(|amplitude| Step::Noise { amplitude }),
            (0.0..1.0).prop_map(|max_fraction| Step::TimeShift { max_fraction }),
            (0.0..16.0).prop_map(|factor| Step::Gain { factor }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn every_step_keeps_its_length_its_seed_and_its_finiteness(
            step in any_step(), wave in proptest::collection::vec(-2.0_f32..2.0, 0..6000), seed: u64,
        ) {
            let out = step.apply(wave.clone(), seed, 0);
            let len = if let Step::TimeStretch { rate } = step { (wave.len() as f64 / rate).round() as usize } else { wave.len() };
            prop_assert_eq!(out.len(), len);
            prop_assert!(out.iter().all(|x| x.is_finite()));
            prop_assert_eq!(&step.apply(wave.clone(), seed, 0), &out);
            if matches!(step, Step::Noise { amplitude } if amplitude > 0.01) && wave.len() > 4 {
                prop_assert_ne!(&step.apply(wave, seed ^ 1, 0), &out);
            }
        }
    }
}

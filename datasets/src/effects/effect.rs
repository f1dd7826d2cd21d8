//! A sequence of steps applied to a waveform.

use serde::{Deserialize, Serialize};

use super::source::Source;
use super::step::Step;
use crate::key::KeyHasher;

/// An effect: steps, applied in order. In TOML an array of tables:
/// `combined = [{ step = "time_stretch", rate = 1.05 }, { step = "noise", amplitude = 0.003 }]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Effect(
    /// The steps, first to last.
    pub Vec<Step>,
);

impl Effect {
    /// The waveform `[n]` at 16 kHz after all steps, `[m]` at 16 kHz; m differs from n where a step stretches.
    ///
    /// The same seed gives the same bits. Step `i` draws from a random stream of its own, derived from (seed, i).
    pub fn apply(&self, wave: &[f32], seed: u64) -> Vec<f32> {
        self.apply_to(&Source::new(wave), seed)
    }

    /// What [`apply`](Self::apply) makes of the waveform of `source`, to the bit, but sooner where an effect before has
    /// already computed what this one needs.
    pub fn apply_to(&self, source: &Source<'_>, seed: u64) -> Vec<f32> {
        let mut steps = self.0.iter().zip(0..);
        let Some((first, index)) = steps.next() else { return source.wave().to_vec() };
        let wave = first.render(source, seed, index);
        steps.fold(wave, |wave, (step, index)| step.apply(wave, seed, index))
    }

    /// Adds everything that decides what the effect does, beside the seed, to a key.
    #[must_use]
    pub fn add_to(&self, key: KeyHasher) -> KeyHasher {
        self.0.iter().fold(key.u64(self.0.len() as u64), |key, step| step.add_to(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::MAX_ABS;
    use crate::effects::catalogue;

    #[test]
    fn the_loudest_samples_that_are_let_in_stay_finite() {
        let wave: Vec<f32> = (0..8000).map(|i| if i / 7 % 2 == 0 { MAX_ABS } else { -MAX_ABS }).collect();
        for (name, effect) in catalogue() {
            assert!(effect.apply(&wave, 1).iter().all(|x| x.is_finite()), "{name}");
        }
    }

    #[derive(Deserialize, Serialize)]
    struct Table {
        combined: Effect,
    }

    #[test]
    fn an_effect_is_an_array_of_tables_in_toml() {
        let text = r#"combined = [{ step = "time_stretch", rate = 1.05 }, { step = "noise", amplitude = 0.003 }]"#;
        let table: Table = toml::from_str(text).unwrap();
        assert_eq!(table.combined.0, [Step::TimeStretch { rate: 1.05 }, Step::Noise { amplitude: 0.003 }]);
        let again: Table = toml::from_str(&toml::to_string(&table).unwrap()).unwrap();
        assert_eq!(again.combined, table.combined);
    }

    #[test]
    fn unknown_words_are_refused() {
        for text in [
            r#"combined = [{ step = "reverb" }]"#,
            r#"combined = [{ step = "gain", factor = 1.0, amplitude = 2.0 }]"#,
            r#"combined = [{ step = "gain" }]"#,
        ] {
            assert!(toml::from_str::<Table>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn two_steps_of_one_effect_draw_differently() {
        let once = Effect(vec![Step::Noise { amplitude: 1.0 }]).apply(&[0.0; 100], 7);
        let twice = Effect(vec![Step::Noise { amplitude: 1.0 }; 2]).apply(&[0.0; 100], 7);
        assert!(once.iter().zip(&twice).any(|(a, b)| (2.0 * a - b).abs() > 0.1));
    }
}

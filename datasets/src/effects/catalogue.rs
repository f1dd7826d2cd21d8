//! The effects that a pipeline has unless it declares its own.

use super::effect::Effect;
use super::step::Step;

/// The eleven named effects of the default pipeline, in their fixed order.
pub fn catalogue() -> Vec<(&'static str, Effect)> {
    let stretch = |rate| Step::TimeStretch { rate };
    let pitch = |semitones| Step::PitchShift { semitones };
    let noise = |amplitude| Step::Noise { amplitude };
    let gain = |factor| Step::Gain { factor };
    [
        ("time_stretch_fast", vec![stretch(1.1)]),
        ("time_stretch_slow", vec![stretch(0.9)]),
        ("pitch_up", vec![pitch(2.0)]),
        ("pitch_down", vec![pitch(-2.0)]),
        ("noise_light", vec![noise(0.002)]),
        ("noise_medium", vec![noise(0.005)]),
        ("time_shift", vec![Step::TimeShift { max_fraction: 0.15 }]),
        ("volume_up", vec![gain(1.2)]),
        ("volume_down", vec![gain(0.8)]),
        ("combined_1", vec![stretch(1.05), noise(0.003)]),
        ("combined_2", vec![pitch(1.0), gain(0.9)]),
    ]
    .map(|(name, steps)| (name, Effect(steps)))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_eleven_sound_effects() {
        let effects = catalogue();
        assert_eq!(effects.len(), 11);
        assert!(effects.iter().all(|(_, effect)| effect.0.iter().all(|step| step.problem().is_none())));
    }

    #[test]
    fn every_effect_gives_the_same_bits_on_every_thread_and_in_every_order() {
        let wave: Vec<f32> = (0..30_000).map(|i| ((i * i / 700) as f32 * 0.01).sin()).collect();
        let effects = catalogue();
        let forward: Vec<_> = effects.iter().map(|(_, effect)| effect.apply(&wave, 3)).collect();
        let backward = std::thread::scope(|scope| {
            let run = || effects.iter().rev().map(|(_, effect)| effect.apply(&wave, 3)).collect::<Vec<_>>();
            scope.spawn(run).join().unwrap()
        });
        assert!(forward.iter().eq(backward.iter().rev()));
        assert!(forward.iter().all(|out| out != &wave && out.iter().all(|x| x.is_finite())));
    }
}

//! An effect on a waveform that comes in blocks.

use super::effect::Effect;
use super::noise::{self, NoiseStream};
use super::pitch::PitchStream;
use super::step::Step;
use super::stretch::{self, StretchStream};
use super::time_shift::ShiftStream;

/// Samples that go through all steps at a time, so that what is between two steps stays small.
const BLOCK: usize = 8192;

/// An effect on a waveform that comes in blocks.
///
/// What is appended by all calls together is what [`Effect::apply`] makes of the whole waveform, to the bit, whatever the
/// sizes of the blocks. The output lags behind the input. Memory is bounded: less than 1 MB for a step, and 30 s of the waveform
/// for each time shift.
pub struct EffectStream {
    steps: Vec<StepStream>,
}

impl EffectStream {
    /// A stream of `effect` whose random numbers are drawn from `seed`.
    pub fn new(effect: &Effect, seed: u64) -> Self {
        let steps = effect.0.iter().zip(0..).filter_map(|(step, index)| StepStream::new(*step, seed, index));
        Self { steps: steps.collect() }
    }

    /// Takes the next samples `[n]` at 16 kHz, and appends the output that they suffice for to `out`.
    pub fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        for block in wave.chunks(BLOCK) {
            push(&mut self.steps, block, out);
        }
    }

    /// Ends the waveform, and appends the rest of the output to `out`.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        finish(&mut self.steps, out);
    }
}

/// Takes `wave` through all of `steps`.
fn push(steps: &mut [StepStream], wave: &[f32], out: &mut Vec<f32>) {
    match steps {
        [] => out.extend_from_slice(wave),
        [last] => last.push(wave, out),
        [first, rest @ ..] => {
            let mut between = Vec::new();
            first.push(wave, &mut between);
            push(rest, &between, out);
        }
    }
}

/// Ends the input of the first of `steps`, and so that of the others.
fn finish(steps: &mut [StepStream], out: &mut Vec<f32>) {
    if let [first, rest @ ..] = steps {
        let mut between = Vec::new();
        first.finish(&mut between);
        push(rest, &between, out);
        finish(rest, out);
    }
}

/// One step.
enum StepStream {
    Stretch(Box<StretchStream>),
    Pitch(Box<PitchStream>),
    Noise(Box<NoiseStream>),
    Shift(ShiftStream),
    Gain(f32),
}

impl StepStream {
    /// The `index`th step of an effect; `None` if it changes nothing.
    fn new(step: Step, seed: u64, index: u64) -> Option<Self> {
        match step {
            _ if step.problem().is_some() => None,
            Step::TimeStretch { rate } if stretch::is_identity(rate) => None,
            Step::TimeStretch { rate } => Some(Self::Stretch(Box::new(StretchStream::new(rate)))),
            Step::PitchShift { semitones } => PitchStream::new(semitones).map(|stream| Self::Pitch(Box::new(stream))),
            Step::Noise { amplitude } => {
                Some(Self::Noise(Box::new(NoiseStream::new(amplitude, noise::random(seed, index)))))
            }
            Step::TimeShift { max_fraction } => {
                Some(Self::Shift(ShiftStream::new(max_fraction, &mut noise::random(seed, index))))
            }
            Step::Gain { factor } => Some(Self::Gain(factor as f32)),
        }
    }

    fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        match self {
            Self::Stretch(stream) => stream.push(wave, out),
            Self::Pitch(stream) => stream.push(wave, out),
            Self::Noise(stream) => stream.push(wave, out),
            Self::Shift(stream) => stream.push(wave, out),
            Self::Gain(factor) => out.extend(wave.iter().map(|x| x * *factor)),
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) {
        match self {
            Self::Stretch(stream) => stream.finish(out),
            Self::Pitch(stream) => stream.finish(out),
            Self::Noise(stream) => stream.finish(out),
            Self::Shift(stream) => stream.finish(out),
            Self::Gain(_) => {}
        }
    }
}

impl std::fmt::Debug for EffectStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EffectStream").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::effects::catalogue;
    use crate::effects::step::tests::any_step;

    /// A tone whose pitch rises, and clicks.
    fn wave(len: usize) -> Vec<f32> {
        let sample = |i: usize| (i as f32 * 0.02 + (i as f32 / 3000.0).powi(2)).sin() * 0.3;
        (0..len).map(|i| if i % 7001 == 0 { 0.9 } else { sample(i) }).collect()
    }

    /// What `effect` makes of `wave` in blocks whose sizes repeat `blocks`.
    fn streamed(effect: &Effect, wave: &[f32], blocks: &[usize], seed: u64) -> Vec<f32> {
        let mut stream = EffectStream::new(effect, seed);
        let (mut out, mut rest) = (Vec::new(), wave);
        for block in blocks.iter().cycle() {
            let (block, later) = rest.split_at(rest.len().min(*block));
            stream.push(block, &mut out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        stream.finish(&mut out);
        out
    }

    fn assert_equal(streamed: &[f32], whole: &[f32], what: &impl std::fmt::Debug) {
        assert_eq!(streamed.len(), whole.len(), "{what:?}");
        let first = streamed.iter().zip(whole).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(first, None, "the first sample that differs, of {}; {what:?}", whole.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

        #[test]
        fn a_stream_gives_the_bits_of_the_whole_waveform_in_blocks_of_any_size(
            steps in proptest::collection::vec(any_step(), 0..4),
            len in 0_usize..40_000,
            blocks in proptest::collection::vec(prop_oneof![1_usize..2000, 1_usize..50_000], 1..5),
            seed: u64,
        ) {
            let (effect, wave) = (Effect(steps), wave(len));
            let whole = effect.apply(&wave, seed);
            assert_equal(&streamed(&effect, &wave, &blocks, seed), &whole, &(effect, len, blocks));
        }
    }

    #[test]
    fn a_stream_gives_the_bits_of_the_whole_waveform_around_30_s_and_at_the_limits_of_each_step() {
        let mut effects: Vec<Effect> = catalogue().into_iter().map(|(_, effect)| effect).collect();
        let shift = |max_fraction| Step::TimeShift { max_fraction };
        effects.push(Effect(vec![shift(1.0), Step::PitchShift { semitones: 24.0 }]));
        effects.push(Effect(vec![Step::TimeStretch { rate: 4.0 }, shift(1.0), shift(0.5)]));
        effects.push(Effect(vec![Step::TimeStretch { rate: 0.25 }, shift(1.0), Step::Noise { amplitude: 0.1 }]));
        effects.push(Effect(vec![Step::PitchShift { semitones: -24.0 }, Step::TimeStretch { rate: 1.0 }]));
        let all = wave(1_000_003);
        for effect in effects {
            for len in [0, 1, 2, 479_999, 480_000, 480_001, 1_000_003] {
                let whole = effect.apply(&all[..len], 5);
                assert_equal(&streamed(&effect, &all[..len], &[480_000], 5), &whole, &(&effect, len));
            }
        }
    }

    #[test]
    fn a_step_out_of_range_changes_nothing() {
        let effect = Effect(vec![Step::Gain { factor: f64::NAN }, Step::TimeStretch { rate: 9.0 }]);
        assert_eq!(streamed(&effect, &wave(1000), &[100], 1), wave(1000));
    }
}

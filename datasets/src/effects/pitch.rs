//! Pitch shifting: stretch, then play at another rate.

use std::cell::RefCell;

use super::source::Source;
use super::spectra::BLOCK;
use super::stretch::{StretchStream, stretch};
use crate::audio::Resampler;

/// Numbers that serve as the terms of the resampler's ratio: large enough to be within a cent, small enough that its
/// transforms, which are multiples of them, stay short.
const TERMS: std::ops::RangeInclusive<u32> = 256..=2048;

thread_local! {
    /// The last ratio looked up: a run applies a handful of them, over and over.
    static RATIO: RefCell<Option<(f64, (u32, u32))>> = const { RefCell::new(None) };
}

/// The waveform with every frequency multiplied by 2^(semitones / 12), at the same length.
pub(super) fn shift(source: &Source<'_>, semitones: f64) -> Vec<f32> {
    let wave = source.wave();
    let (len_in, len_out) = ratio_of(semitones);
    if len_in == len_out {
        return wave.to_vec();
    }
    let stretched = stretch(source, rate(len_in, len_out));
    let mut out = Vec::with_capacity(wave.len() + 16 * len_out as usize);
    let mut resampler = Resampler::new(len_in, len_out);
    resampler.push(&stretched, &mut out);
    resampler.finish(&mut out);
    out.resize(wave.len(), 0.0);
    out
}

/// What [`shift`] does, to the bit, for a waveform that comes in blocks of any size.
pub(super) struct PitchStream {
    stretch: StretchStream,
    resampler: Resampler,
    /// What a block becomes between the two.
    stretched: Vec<f32>,
    /// Samples that went in and have not come out yet.
    owed: usize,
}

impl PitchStream {
    /// `None` where the pitch stays as it is.
    pub(super) fn new(semitones: f64) -> Option<Self> {
        let (len_in, len_out) = ratio_of(semitones);
        (len_in != len_out).then(|| Self {
            stretch: StretchStream::new(rate(len_in, len_out)),
            resampler: Resampler::new(len_in, len_out),
            stretched: Vec::new(),
            owed: 0,
        })
    }

    /// Appends what `wave`, the next samples, suffices for to `out`.
    pub(super) fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        let before = out.len();
        for block in wave.chunks(BLOCK) {
            self.stretch.push(block, &mut self.stretched);
            self.resampler.push(&self.stretched, out);
            self.stretched.clear();
        }
        self.owed = self.owed + wave.len() - (out.len() - before);
    }

    /// Appends the rest of the output to `out`; the stream is at its end.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let end = out.len() + self.owed;
        self.stretch.finish(&mut self.stretched);
        self.resampler.push(&self.stretched, out);
        self.resampler.finish(out);
        out.resize(end, 0.0);
    }
}

/// How many times faster the waveform is played before it is resampled from `len_in` to `len_out`.
fn rate(len_in: u32, len_out: u32) -> f64 {
    f64::from(len_out) / f64::from(len_in)
}

/// The terms of the resampler's ratio for a shift by `semitones`.
fn ratio_of(semitones: f64) -> (u32, u32) {
    let factor = (semitones / 12.0).exp2();
    RATIO.with_borrow_mut(|known| match *known {
        Some((of, ratio)) if of.to_bits() == factor.to_bits() => ratio,
        _ => known.insert((factor, ratio(factor))).1,
    })
}

/// The ratio nearest to `factor` whose terms have no prime factor above 13, so that their Fourier transforms are fast.
fn ratio(factor: f64) -> (u32, u32) {
    let smooth: Vec<u32> = TERMS.filter(|n| is_smooth(*n)).collect();
    let error = |&(a, b): &(u32, u32)| (f64::from(a) / f64::from(b) / factor).ln().abs();
    let pairs = smooth.iter().flat_map(|a| {
        let wanted = f64::from(*a) / factor;
        let at = smooth.partition_point(|b| f64::from(*b) < wanted);
        smooth[at.saturating_sub(1)..smooth.len().min(at + 1)].iter().map(move |b| (*a, *b))
    });
    pairs.min_by(|x, y| error(x).total_cmp(&error(y))).unwrap_or((1, 1))
}

fn is_smooth(mut n: u32) -> bool {
    for prime in [2, 3, 5, 7, 11, 13] {
        while n.is_multiple_of(prime) {
            n /= prime;
        }
    }
    n == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::stretch::tests::{frequency_hz, level_db, sine};

    #[test]
    fn the_ratio_is_within_a_cent() {
        for tenths in -240..=240 {
            let factor = (f64::from(tenths) / 120.0).exp2();
            let (a, b) = ratio(factor);
            let cents = 1200.0 * (f64::from(a) / f64::from(b) / factor).log2();
            assert!(cents.abs() < 1.0, "{tenths}: {a}/{b} is {cents} cents off");
        }
    }

    #[test]
    fn a_shifted_sine_has_the_new_frequency_and_the_old_level() {
        for semitones in [-12.0, -7.0, -2.0, -0.5, 0.0, 1.0, 2.0, 5.0, 12.0] {
            for hz in [200.0, 440.0, 1234.5, 3000.0] {
                let wave = sine(hz, 48_000);
                let out = shift(&Source::new(&wave), semitones);
                let expected = hz * (semitones / 12.0_f64).exp2();
                let found = frequency_hz(&out);
                assert!((found / expected - 1.0).abs() < 0.004, "{hz} Hz by {semitones}: {found} for {expected}");
                assert!((level_db(&out) - level_db(&wave)).abs() < 1.0, "{hz} Hz by {semitones}: {}", level_db(&out));
            }
        }
    }

    #[test]
    fn a_click_stays_in_its_place() {
        let mut wave = vec![0.0; 32_000];
        wave[20_000] = 1.0;
        for semitones in [-2.0, 1.0, 2.0] {
            let out = shift(&Source::new(&wave), semitones);
            let power: f64 = out.iter().map(|x| f64::from(x * x)).sum();
            let centre = out.iter().enumerate().map(|(i, x)| i as f64 * f64::from(x * x)).sum::<f64>() / power;
            assert!((centre - 20_000.0).abs() < 160.0, "{semitones}: {centre}");
        }
    }
}

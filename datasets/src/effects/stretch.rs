//! Time stretching with a phase vocoder.
//!
//! Short-time spectra are read at a different speed than they are written. Magnitudes are interpolated between the two
//! frames around the reading position; phases advance by what the signal's phase advances between those two (Flanagan and
//! Golden 1966). Neighbouring bins are locked together as Puckette does it (1995): each takes its phase from the sum of
//! itself and its neighbours, which keeps the bins of one partial from drifting apart and cancelling. Phases are unit
//! phasors throughout: a step is complex multiplications and no trigonometry.

use std::cell::RefCell;

use pulp::{Arch, Simd, WithSimd};

use super::phasor::{self, Bins};
use super::source::Source;
use super::spectra::{FRAME, Frame, HOP, Spectra, hann};
use super::transform::Transform;

/// The sum of the squared Hann windows that overlap at any sample.
const OVERLAP_GAIN: f32 = 1.5;

thread_local! {
    /// Plan and buffers; every call sets all of the state that it reads.
    static WRITER: RefCell<Writer> = RefCell::new(Writer::new());
}

/// The waveform of `source` played `rate` times faster at the same pitch, `len` samples long.
pub(super) fn stretch(source: &Source<'_>, rate: f64, len: usize) -> Vec<f32> {
    let wave = source.wave();
    if wave.is_empty() || len == 0 {
        return vec![0.0; len];
    }
    if rate.to_bits() == 1.0_f64.to_bits() && len == wave.len() {
        return wave.to_vec();
    }
    WRITER.with_borrow_mut(|writer| writer.stretch(source.spectra(), rate, len))
}

struct Writer {
    arch: Arch,
    transform: Transform,
    window: [f32; FRAME],
    /// The window divided by all that the transform and the overlap multiply.
    scaled_window: [f32; FRAME],
    bins: Bins,
    /// The phases of the next frame to be written.
    phase: Bins,
}

impl Writer {
    fn new() -> Self {
        let window = hann();
        Self {
            arch: Arch::new(),
            transform: Transform::inverse(),
            window,
            scaled_window: window.map(|w| w / (FRAME as f32 * OVERLAP_GAIN)),
            bins: Bins::ONE,
            phase: Bins::ONE,
        }
    }

    fn stretch(&mut self, spectra: &Spectra, rate: f64, len: usize) -> Vec<f32> {
        // Frame t is centred on sample t·HOP, so the output has half a frame of lead-in that is cut off.
        let frames = len.div_ceil(HOP) + 2;
        let mut sum = vec![0.0; frames * HOP + FRAME];
        self.phase.clone_from(spectra.first_phase());
        for t in 0..frames {
            let position = t as f64 * rate;
            let before = position as usize;
            let overlapping = sum[t * HOP..].first_chunk_mut().expect("the sum is a frame longer than its hops");
            self.write(spectra, before, (position - before as f64) as f32, overlapping);
        }
        self.level_the_start(&mut sum);
        sum.drain(..FRAME / 2);
        sum.truncate(len);
        sum
    }

    /// Adds one frame to `sum`, `fraction` of the way from the frame `before` to the next, and advances the phases.
    fn write(&mut self, spectra: &Spectra, before: usize, fraction: f32, sum: &mut [f32; FRAME]) {
        let frames = [spectra.frame(before), spectra.frame(before + 1)];
        let Self { transform, bins, phase, .. } = self;
        self.arch.dispatch(Write { transform, frames, fraction, bins, phase });
        self.transform.run();
        self.transform.add(&self.scaled_window, sum);
    }

    /// The first half frame of the output lacks the frames before the first: divides by the windows that are there.
    fn level_the_start(&self, sum: &mut [f32]) {
        for (i, sum) in sum.iter_mut().enumerate().take(FRAME - HOP).skip(FRAME / 2) {
            let windows: f32 = (0..=i / HOP).map(|t| self.window[i - t * HOP].powi(2)).sum();
            *sum *= OVERLAP_GAIN / windows;
        }
    }
}

/// What is done with the bins of one frame.
struct Write<'a> {
    transform: &'a mut Transform,
    frames: [&'a Frame; 2],
    fraction: f32,
    bins: &'a mut Bins,
    phase: &'a mut Bins,
}

impl WithSimd for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { transform, frames: [before, after], fraction, bins, phase } = self;
        phasor::scale(phase, &before.magnitude, &after.magnitude, fraction, bins);
        phasor::lock(bins, &before.advance, phase);
        // The spectrum of a real signal is real at both ends.
        (bins.im[0], bins.im[FRAME / 2]) = (0.0, 0.0);
        transform.load_bins(bins);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::f64::consts::TAU;

    use rustfft::FftPlanner;
    use rustfft::num_complex::Complex32;

    use super::*;

    pub(in crate::effects) fn sine(hz: f64, n: usize) -> Vec<f32> {
        (0..n).map(|i| 0.5 * (TAU * hz * i as f64 / 16_000.0).sin() as f32).collect()
    }

    /// RMS of the middle four fifths, dB relative to 1.
    pub(in crate::effects) fn level_db(wave: &[f32]) -> f64 {
        let middle = &wave[wave.len() / 10..wave.len() * 9 / 10];
        10.0 * (middle.iter().map(|x| f64::from(x * x)).sum::<f64>() / middle.len() as f64).log10()
    }

    /// The frequency of the strongest bin, by a parabola through its logarithmic neighbours.
    pub(in crate::effects) fn frequency_hz(wave: &[f32]) -> f64 {
        let n = 8192;
        let start = (wave.len() - n) / 2;
        let window = |i: usize| 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos();
        let mut bins: Vec<Complex32> =
            (0..n).map(|i| Complex32::new(wave[start + i] * window(i) as f32, 0.0)).collect();
        FftPlanner::new().plan_fft_forward(n).process(&mut bins);
        let log = |k: usize| f64::from(bins[k].norm()).max(1e-12).ln();
        let k = (1..n / 2).max_by(|&a, &b| log(a).total_cmp(&log(b))).unwrap();
        let offset = 0.5 * (log(k - 1) - log(k + 1)) / (log(k - 1) - 2.0 * log(k) + log(k + 1));
        (k as f64 + offset) * 16_000.0 / n as f64
    }

    #[test]
    fn a_stretched_sine_keeps_its_frequency_and_its_level() {
        for rate in [0.25, 0.5, 0.8, 0.9, 1.0, 1.05, 1.1, 1.5, 2.0, 3.3, 4.0] {
            for hz in [100.0, 440.0, 1234.5, 7000.0] {
                let wave = sine(hz, 64_000);
                let out = stretch(&Source::new(&wave), rate, (64_000.0 / rate) as usize);
                assert!((frequency_hz(&out) / hz - 1.0).abs() < 0.002, "{hz} Hz at {rate}: {}", frequency_hz(&out));
                assert!((level_db(&out) - level_db(&wave)).abs() < 1.0, "{hz} Hz at {rate}: {}", level_db(&out));
            }
        }
    }

    #[test]
    fn a_rate_of_one_changes_nothing() {
        let wave: Vec<f32> = sine(440.0, 20_000).iter().zip(sine(3100.0, 20_000)).map(|(a, b)| a * b + 0.1).collect();
        let out = stretch(&Source::new(&wave), 1.0, wave.len());
        assert_eq!(out, wave);
    }

    #[test]
    fn a_click_moves_in_proportion() {
        for rate in [0.9, 1.1, 2.0] {
            let mut wave = vec![0.0; 32_000];
            wave[20_000] = 1.0;
            let out = stretch(&Source::new(&wave), rate, (32_000.0 / rate) as usize);
            let power: f64 = out.iter().map(|x| f64::from(x * x)).sum();
            let centre = out.iter().enumerate().map(|(i, x)| i as f64 * f64::from(x * x)).sum::<f64>() / power;
            assert!((centre * rate - 20_000.0).abs() < 600.0, "{rate}: {centre}");
        }
    }
}

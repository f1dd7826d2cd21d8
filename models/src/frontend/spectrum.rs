//! The squared magnitudes of the Fourier transform of a short-time frame, as a complex transform of half the length.

use std::f64::consts::TAU;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::params::{FFT_SIZE, FRAME_SAMPLES, SPECTRUM_BINS};

const HALF: usize = FFT_SIZE / 2;
/// Bins up to the middle of the one-sided spectrum, that included.
const LOWER: usize = HALF / 2 + 1;

/// The planned transform under a periodic Hann window.
pub(super) struct Spectrum {
    fft: Arc<dyn Fft<f64>>,
    window: [f32; FRAME_SAMPLES],
    /// exp(−2πik / 512), real and imaginary parts.
    twiddles: [[f64; LOWER]; 2],
}

/// Buffers of one thread for a [`Spectrum`].
pub(super) struct SpectrumScratch {
    /// Even samples as real parts, odd samples as imaginary parts; then their spectrum.
    pairs: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    /// Real and imaginary parts of the spectrum of the pairs, from its start forwards and from its end backwards.
    split: [[f64; LOWER]; 4],
    /// Squared magnitudes from the last bin backwards.
    high: [f32; LOWER],
}

impl Spectrum {
    pub(super) fn new() -> Self {
        let angle = |k: usize| TAU * k as f64 / FFT_SIZE as f64;
        let hann = |i: usize| (0.5 - 0.5 * (TAU * i as f64 / FRAME_SAMPLES as f64).cos()) as f32;
        Self {
            fft: FftPlanner::new().plan_fft_forward(HALF),
            window: std::array::from_fn(hann),
            twiddles: [std::array::from_fn(|k| angle(k).cos()), std::array::from_fn(|k| -angle(k).sin())],
        }
    }

    pub(super) fn scratch(&self) -> SpectrumScratch {
        SpectrumScratch {
            pairs: vec![Complex::ZERO; HALF],
            scratch: vec![Complex::ZERO; self.fft.get_inplace_scratch_len()],
            split: [[0.0; LOWER]; 4],
            high: [0.0; LOWER],
        }
    }

    /// Windows `samples` and transforms them, except for the last step, which [`powers`](Self::powers) does.
    #[inline(always)]
    pub(super) fn load(&self, samples: &[f32; FRAME_SAMPLES], scratch: &mut SpectrumScratch) {
        let windowed = samples.chunks_exact(2).zip(self.window.chunks_exact(2));
        for (pair, (x, w)) in scratch.pairs.iter_mut().zip(windowed) {
            *pair = Complex::new(f64::from(x[0] * w[0]), f64::from(x[1] * w[1]));
        }
        scratch.pairs[FRAME_SAMPLES / 2..].fill(Complex::ZERO);
    }

    /// Transforms the pairs that were loaded.
    pub(super) fn transform(&self, scratch: &mut SpectrumScratch) {
        self.fft.process_with_scratch(&mut scratch.pairs, &mut scratch.scratch);
    }

    /// The squared magnitudes of the bins of the frame transformed last.
    ///
    /// The pairs' spectrum is that of the even samples, E, plus i times that of the odd ones, O; the bins k and 256 − k of the
    /// frame are E ± exp(−2πik / 512) O, the latter conjugate.
    #[inline(always)]
    pub(super) fn powers(&self, scratch: &mut SpectrumScratch, out: &mut [f32; SPECTRUM_BINS]) {
        let [re, im, back_re, back_im] = &mut scratch.split;
        let [cos, sin] = &self.twiddles;
        let (front, back) = (&scratch.pairs[..LOWER], &scratch.pairs[LOWER - 1..]);
        for (pair, (re, im)) in front.iter().zip(re.iter_mut().zip(&mut *im)) {
            (*re, *im) = (pair.re, pair.im);
        }
        for (pair, (re, im)) in back.iter().rev().zip(back_re[1..].iter_mut().zip(&mut back_im[1..])) {
            (*re, *im) = (pair.re, pair.im);
        }
        (back_re[0], back_im[0]) = (re[0], im[0]);
        let high = &mut scratch.high;
        for k in 0..LOWER {
            let (even_re, even_im) = (re[k] + back_re[k], im[k] - back_im[k]);
            let (odd_re, odd_im) = (im[k] + back_im[k], back_re[k] - re[k]);
            let (turned_re, turned_im) = (cos[k] * odd_re - sin[k] * odd_im, cos[k] * odd_im + sin[k] * odd_re);
            let power = |re: f64, im: f64| (0.25 * (re * re + im * im)) as f32;
            out[k] = power(even_re + turned_re, even_im + turned_im);
            high[k] = power(even_re - turned_re, even_im - turned_im);
        }
        for (out, power) in out.iter_mut().rev().zip(&*high) {
            *out = *power;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_definition() {
        let spectrum = Spectrum::new();
        let mut scratch = spectrum.scratch();
        let samples: [f32; FRAME_SAMPLES] = std::array::from_fn(|i| ((i * i) as f32 * 0.003).sin() + 0.3);
        let mut out = [0.0; SPECTRUM_BINS];
        spectrum.load(&samples, &mut scratch);
        spectrum.transform(&mut scratch);
        spectrum.powers(&mut scratch, &mut out);
        for (k, found) in out.iter().enumerate() {
            let sum: Complex<f64> =
                samples.iter().zip(&spectrum.window).enumerate().fold(Complex::ZERO, |sum, (i, (x, w))| {
                    sum + Complex::from_polar(f64::from(x * w), -TAU * (k * i) as f64 / FFT_SIZE as f64)
                });
            let power = sum.norm_sqr();
            assert!((f64::from(*found) - power).abs() < 1e-5 * (1.0 + power), "bin {k}: {found}");
        }
    }
}

//! The Fourier transform of a real frame and back, as a complex transform of half the length.
//!
//! Real and imaginary parts are apart in what goes in and out of the vocoder, so that all work around the complex
//! transform compiles to vector instructions: plain multiplications and additions, whose bits do not depend on the width.

use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::phasor::Bins;
use super::spectra::{BINS, FRAME};

const HALF: usize = FRAME / 2;

/// One direction of the transform, with its buffers.
pub(super) struct Transform {
    fft: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    /// Even samples as real parts, odd samples as imaginary parts, and their spectrum.
    pairs: Vec<Complex32>,
    /// The spectrum of the pairs `[half]` and its first bin again, or the bins that it is made of.
    split: Bins,
    /// The same backwards.
    back: Bins,
    /// exp(−2πik / FRAME).
    twiddles: Bins,
}

impl Transform {
    /// From samples to bins.
    pub(super) fn forward() -> Self {
        Self::new(FftPlanner::new().plan_fft_forward(HALF))
    }

    /// From bins to samples.
    pub(super) fn inverse() -> Self {
        Self::new(FftPlanner::new().plan_fft_inverse(HALF))
    }

    fn new(fft: Arc<dyn Fft<f32>>) -> Self {
        let mut twiddles = Bins::ONE;
        for (k, (re, im)) in twiddles.re.iter_mut().zip(&mut twiddles.im).enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * k as f64 / FRAME as f64).sin_cos();
            (*re, *im) = (cos as f32, -sin as f32);
        }
        Self {
            scratch: vec![Complex32::ZERO; fft.get_inplace_scratch_len()],
            fft,
            pairs: vec![Complex32::ZERO; HALF],
            split: Bins::ONE,
            back: Bins::ONE,
            twiddles,
        }
    }

    /// Takes in `samples` × `window`. Then [`run`](Self::run), then [`bins`](Self::bins).
    #[inline(always)]
    pub(super) fn load_samples(&mut self, samples: &[f32; FRAME], window: &[f32; FRAME]) {
        let pairs = samples.chunks_exact(2).zip(window.chunks_exact(2));
        for (z, (x, w)) in self.pairs.iter_mut().zip(pairs) {
            *z = Complex32::new(x[0] * w[0], x[1] * w[1]);
        }
    }

    /// The complex transform.
    pub(super) fn run(&mut self) {
        self.fft.process_with_scratch(&mut self.pairs, &mut self.scratch);
    }

    /// The one-sided spectrum of the samples that were loaded.
    #[inline(always)]
    pub(super) fn bins(&mut self, out: &mut Bins) {
        let (z, back, w) = (&mut self.split, &mut self.back, &self.twiddles);
        for (pair, (re, im)) in self.pairs.iter().zip(z.re.iter_mut().zip(&mut z.im)) {
            (*re, *im) = (pair.re, pair.im);
        }
        (z.re[HALF], z.im[HALF]) = (z.re[0], z.im[0]);
        z.reverse_into(back);
        for k in 0..BINS {
            let (even_re, even_im) = (z.re[k] + back.re[k], z.im[k] - back.im[k]);
            let (odd_re, odd_im) = (z.im[k] + back.im[k], back.re[k] - z.re[k]);
            out.re[k] = 0.5 * (even_re + (w.re[k] * odd_re - w.im[k] * odd_im));
            out.im[k] = 0.5 * (even_im + (w.re[k] * odd_im + w.im[k] * odd_re));
        }
    }

    /// Takes in a one-sided spectrum, whose ends have to be real. Then [`run`](Self::run), then [`add`](Self::add).
    #[inline(always)]
    pub(super) fn load_bins(&mut self, x: &Bins) {
        let (z, back, w) = (&mut self.split, &mut self.back, &self.twiddles);
        x.reverse_into(back);
        for k in 0..BINS {
            let (even_re, even_im) = (x.re[k] + back.re[k], x.im[k] - back.im[k]);
            let (diff_re, diff_im) = (x.re[k] - back.re[k], x.im[k] + back.im[k]);
            z.re[k] = even_re - (w.re[k] * diff_im - w.im[k] * diff_re);
            z.im[k] = even_im + (w.re[k] * diff_re + w.im[k] * diff_im);
        }
        for (pair, (re, im)) in self.pairs.iter_mut().zip(z.re.iter().zip(&z.im)) {
            *pair = Complex32::new(*re, *im);
        }
    }

    /// Adds the samples, [`FRAME`] times as large as they went in, × `window` to `sum`.
    #[inline(always)]
    pub(super) fn add(&self, window: &[f32; FRAME], sum: &mut [f32; FRAME]) {
        for ((pair, w), sum) in self.pairs.iter().zip(window.chunks_exact(2)).zip(sum.chunks_exact_mut(2)) {
            sum[0] += pair.re * w[0];
            sum[1] += pair.im * w[1];
        }
    }
}

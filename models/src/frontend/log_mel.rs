//! One short-time frame to one row of the log-mel spectrogram.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::{Arc, LazyLock};

use pulp::{Arch, Simd, WithSimd};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::logarithm::ln;
use super::mel::MelFilterbank;
use super::params::{FFT_SIZE, FRAME_SAMPLES, LOG_OFFSET, SPECTRUM_BINS};

/// Planning takes as long as a hundred frames, and every variant of every clip has a framer.
static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

/// The transform of YAMNet's `features.py`: periodic Hann window, 512-point Fourier transform, magnitude, mel
/// filterbank, natural logarithm with an offset. It owns its scratch, so one value serves one thread; the plan is shared.
///
/// The Fourier transform is in double precision: the rounding noise that a loud tone leaves in quiet bands in single
/// precision is not small beside the offset of the logarithm, and it differs between processors. All behind it is plain
/// arithmetic that every processor rounds alike, whatever the width of its vectors.
pub struct LogMel {
    arch: Arch,
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    magnitude: Vec<f32>,
}

/// What all transforms have in common.
struct Tables {
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f64>>,
    filterbank: MelFilterbank,
}

impl Tables {
    fn new() -> Self {
        let hann = |i: usize| (0.5 - 0.5 * (TAU * i as f64 / FRAME_SAMPLES as f64).cos()) as f32;
        Self {
            window: (0..FRAME_SAMPLES).map(hann).collect(),
            fft: RealFftPlanner::new().plan_fft_forward(FFT_SIZE),
            filterbank: MelFilterbank::new(),
        }
    }
}

impl LogMel {
    /// Allocates the scratch.
    pub fn new() -> Self {
        let fft = &TABLES.fft;
        Self {
            arch: Arch::new(),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            magnitude: vec![0.0; SPECTRUM_BINS],
        }
    }

    /// The log-mel row `out` `[64]` of 400 samples at 16 kHz.
    ///
    /// # Panics
    /// When `samples` does not hold 400 values.
    pub fn frame(&mut self, samples: &[f32], out: &mut [f32]) {
        assert_eq!(samples.len(), FRAME_SAMPLES, "a short-time frame has 400 samples");
        let Tables { window, fft, filterbank } = &*TABLES;
        for ((slot, sample), weight) in self.frame.iter_mut().zip(samples).zip(window) {
            *slot = f64::from(sample * weight);
        }
        // The transform uses its input as scratch, so the zero padding has to be restored for each frame.
        self.frame[FRAME_SAMPLES..].fill(0.0);
        fft.process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers come from the plan itself");
        let (spectrum, magnitude) = (&*self.spectrum, &mut *self.magnitude);
        self.arch.dispatch(Row { spectrum, magnitude, filterbank, out });
    }
}

/// From a spectrum to a row.
struct Row<'a> {
    spectrum: &'a [Complex<f64>],
    magnitude: &'a mut [f32],
    filterbank: &'a MelFilterbank,
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (magnitude, bin) in self.magnitude.iter_mut().zip(self.spectrum) {
            *magnitude = ((bin.re * bin.re + bin.im * bin.im) as f32).sqrt();
        }
        self.filterbank.apply(self.magnitude, self.out);
        for value in self.out {
            *value = ln(*value + LOG_OFFSET);
        }
    }
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMel").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::MEL_BANDS;

    #[test]
    fn silence_is_the_logarithm_of_the_offset() {
        let mut row = [1.0; MEL_BANDS];
        LogMel::new().frame(&[0.0; FRAME_SAMPLES], &mut row);
        assert!(row.iter().all(|value| (value - LOG_OFFSET.ln()).abs() < 1e-6));
    }

    #[test]
    fn a_frame_does_not_remember_the_one_before() {
        let mut plan = LogMel::new();
        let tone: Vec<f32> = (0..FRAME_SAMPLES).map(|i| (i as f32 * 0.3).sin()).collect();
        let (mut first, mut again) = ([0.0; MEL_BANDS], [0.0; MEL_BANDS]);
        plan.frame(&tone, &mut first);
        plan.frame(&[0.7; FRAME_SAMPLES], &mut again);
        plan.frame(&tone, &mut again);
        assert_eq!(first.map(f32::to_bits), again.map(f32::to_bits));
    }
}

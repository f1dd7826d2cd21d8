//! One short-time frame to one row of the log-mel spectrogram.

use std::fmt;
use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

use super::logarithm::ln;
use super::mel::{LANES, MelFilterbank};
use super::params::{FRAME_HOP_SAMPLES, FRAME_SAMPLES, LOG_OFFSET, MEL_BANDS, SPECTRUM_BINS};
use super::spectrum::{Spectrum, SpectrumScratch};

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
    scratch: SpectrumScratch,
    /// Squared magnitudes of the frames that are worked on together, `[frames, 257]`.
    powers: Box<[[f32; SPECTRUM_BINS]; LANES]>,
    /// Magnitudes of the same, `[257, frames]`.
    magnitudes: Box<[[f32; LANES]; SPECTRUM_BINS]>,
}

/// What all transforms have in common.
struct Tables {
    spectrum: Spectrum,
    filterbank: MelFilterbank,
}

impl Tables {
    fn new() -> Self {
        Self { spectrum: Spectrum::new(), filterbank: MelFilterbank::new() }
    }
}

impl LogMel {
    /// Allocates the scratch.
    pub fn new() -> Self {
        Self {
            arch: Arch::new(),
            scratch: TABLES.spectrum.scratch(),
            powers: Box::new([[0.0; SPECTRUM_BINS]; LANES]),
            magnitudes: Box::new([[0.0; LANES]; SPECTRUM_BINS]),
        }
    }

    /// Appends the log-mel rows of all whole frames of `samples`, 400 samples every 160 at 16 kHz, to `out` `[…, 64]`. A row
    /// depends on its own samples only. Returns the number of rows.
    pub fn rows(&mut self, samples: &[f32], out: &mut Vec<f32>) -> usize {
        let count = samples.len().checked_sub(FRAME_SAMPLES).map_or(0, |more| 1 + more / FRAME_HOP_SAMPLES);
        for first in (0..count).step_by(LANES) {
            let frames = LANES.min(count - first);
            for (lane, index) in (first..first + frames).enumerate() {
                let samples = samples[index * FRAME_HOP_SAMPLES..].first_chunk().expect("the frame is whole");
                self.arch.dispatch(Load { samples, scratch: &mut self.scratch });
                TABLES.spectrum.transform(&mut self.scratch);
                self.arch.dispatch(Powers { scratch: &mut self.scratch, out: &mut self.powers[lane] });
            }
            let mut rows = [[0.0; MEL_BANDS]; LANES];
            self.arch.dispatch(Rows { powers: &self.powers, magnitudes: &mut self.magnitudes, out: &mut rows });
            out.extend_from_slice(rows[..frames].as_flattened());
        }
        count
    }
}

/// Windows a frame.
struct Load<'a> {
    samples: &'a [f32; FRAME_SAMPLES],
    scratch: &'a mut SpectrumScratch,
}

impl WithSimd for Load<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        TABLES.spectrum.load(self.samples, self.scratch);
    }
}

/// From a transformed frame to its squared magnitudes.
struct Powers<'a> {
    scratch: &'a mut SpectrumScratch,
    out: &'a mut [f32; SPECTRUM_BINS],
}

impl WithSimd for Powers<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        TABLES.spectrum.powers(self.scratch, self.out);
    }
}

/// From squared magnitudes to rows.
struct Rows<'a> {
    powers: &'a [[f32; SPECTRUM_BINS]; LANES],
    magnitudes: &'a mut [[f32; LANES]; SPECTRUM_BINS],
    out: &'a mut [[f32; MEL_BANDS]; LANES],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (bin, magnitudes) in self.magnitudes.iter_mut().enumerate() {
            *magnitudes = self.powers.each_ref().map(|powers| powers[bin]);
        }
        // Apart from the transposition, so that roots are taken of whole vectors.
        for magnitude in self.magnitudes.as_flattened_mut() {
            *magnitude = magnitude.sqrt();
        }
        let mut mel = [[0.0; LANES]; MEL_BANDS];
        TABLES.filterbank.apply(self.magnitudes, &mut mel);
        for value in mel.as_flattened_mut() {
            *value = ln(*value + LOG_OFFSET);
        }
        for (lane, row) in self.out.iter_mut().enumerate() {
            for (out, bands) in row.iter_mut().zip(&mel) {
                *out = bands[lane];
            }
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

    fn rows(samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        let count = LogMel::new().rows(samples, &mut out);
        assert_eq!(out.len(), count * MEL_BANDS);
        out
    }

    #[test]
    fn silence_is_the_logarithm_of_the_offset() {
        let row = rows(&[0.0; FRAME_SAMPLES]);
        assert_eq!(row.len(), MEL_BANDS);
        assert!(row.iter().all(|value| (value - LOG_OFFSET.ln()).abs() < 1e-6));
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let wave: Vec<f32> =
            (0..FRAME_SAMPLES + 20 * FRAME_HOP_SAMPLES).map(|i| ((i * i) as f32 * 0.001).sin()).collect();
        let alone: Vec<f32> = (0..=20).flat_map(|i| rows(&wave[i * FRAME_HOP_SAMPLES..][..FRAME_SAMPLES])).collect();
        let together = rows(&wave);
        assert!(alone.iter().map(|x| x.to_bits()).eq(together.iter().map(|x| x.to_bits())));
    }

    #[test]
    fn samples_as_loud_as_decoders_let_in_stay_finite() {
        let wave: Vec<f32> = (0..2000).map(|i| if i / 7 % 2 == 0 { 1e12 } else { -1e12 }).collect();
        assert!(rows(&wave).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn less_than_a_frame_is_no_row() {
        assert!(rows(&[0.5; FRAME_SAMPLES - 1]).is_empty());
    }
}

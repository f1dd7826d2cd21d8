//! Modulation spectrum of one mel band: how fast its loudness changes.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Frames that are transformed (5.12 s); shorter windows are padded with zeros, so bins are always 0.195 Hz wide.
const MODULATION_FRAMES: usize = 512;

/// Half-open ranges of modulation bins: about 0.2–0.8, 0.8–2, 2–5, 5–12.5 and 12.5–25 Hz.
const RANGES: [(usize, usize); MODULATIONS] = [(1, 4), (4, 10), (10, 26), (26, 64), (64, 128)];

/// Modulation values of a band.
pub(super) const MODULATIONS: usize = 5;

/// Added to a mean magnitude before its logarithm.
const MODULATION_OFFSET: f64 = 1e-3;

/// The planned transform.
pub(super) struct Modulation {
    fft: Arc<dyn RealToComplex<f64>>,
}

/// Buffers of one thread for a [`Modulation`].
pub(super) struct ModulationScratch {
    frames: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Modulation {
    pub(super) fn new() -> Self {
        Self { fft: RealFftPlanner::new().plan_fft_forward(MODULATION_FRAMES) }
    }

    pub(super) fn scratch(&self) -> ModulationScratch {
        ModulationScratch {
            frames: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            scratch: self.fft.make_scratch_vec(),
        }
    }

    /// Logarithms of the mean magnitude in each range of modulation frequencies, of a band without its `mean`.
    pub(super) fn bands(&self, band: &[f64], mean: f64, buffers: &mut ModulationScratch) -> [f64; MODULATIONS] {
        buffers.frames.fill(0.0);
        for (slot, value) in buffers.frames.iter_mut().zip(band) {
            *slot = value - mean;
        }
        self.fft
            .process_with_scratch(&mut buffers.frames, &mut buffers.spectrum, &mut buffers.scratch)
            .expect("the buffers come from the plan itself");
        RANGES.map(|(from, to)| {
            let magnitudes = buffers.spectrum[from..to].iter().map(|bin| bin.norm());
            (magnitudes.sum::<f64>() / (to - from) as f64 + MODULATION_OFFSET).ln()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn a_four_hertz_flutter_is_strongest_between_two_and_five_hertz() {
        let band: Vec<f64> = (0..498).map(|i| (TAU * 4.0 * f64::from(i) / 100.0).sin()).collect();
        let modulation = Modulation::new();
        let values = modulation.bands(&band, 0.0, &mut modulation.scratch());
        let strongest = (0..MODULATIONS).max_by(|&a, &b| values[a].total_cmp(&values[b]));
        assert_eq!(strongest, Some(2));
    }
}

//! The mel filterbank as a sparse matrix: each triangle touches a handful of the 257 spectrum bins.

use super::params::{MEL_BANDS, MEL_MAX_HZ, MEL_MIN_HZ, SAMPLE_RATE_HZ, SPECTRUM_BINS};

/// Frames that are worked on side by side, so that sums over bins compile to vector instructions.
pub const LANES: usize = 8;

/// Triangular filters on the HTK mel scale, unnormalised, without the DC bin: the matrix of
/// `tf.signal.linear_to_mel_weight_matrix`, which YAMNet's `features.py` uses.
#[derive(Clone, Debug)]
pub struct MelFilterbank {
    bands: Vec<Band>,
}

#[derive(Clone, Debug)]
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

impl MelFilterbank {
    /// The 64 filters of YAMNet between 125 Hz and 7,500 Hz.
    pub fn new() -> Self {
        let (low, high) = (hz_to_mel(MEL_MIN_HZ), hz_to_mel(MEL_MAX_HZ));
        let edge = |i: usize| low + (high - low) * i as f64 / (MEL_BANDS + 1) as f64;
        let bands = (0..MEL_BANDS).map(|band| Band::new(edge(band), edge(band + 1), edge(band + 2))).collect();
        Self { bands }
    }

    /// Mel magnitudes of the frames side by side in `spectra` `[257, frames]`, `[64, frames]`. A frame gets the same bits
    /// wherever it stands.
    #[inline(always)]
    pub fn apply(&self, spectra: &[[f32; LANES]; SPECTRUM_BINS], mel: &mut [[f32; LANES]; MEL_BANDS]) {
        for (out, band) in mel.iter_mut().zip(&self.bands) {
            let mut sums = [0.0; LANES];
            for (bins, weight) in spectra[band.first_bin..].iter().zip(&band.weights) {
                for (sum, bin) in sums.iter_mut().zip(bins) {
                    *sum += bin * weight;
                }
            }
            *out = sums;
        }
    }
}

impl Default for MelFilterbank {
    fn default() -> Self {
        Self::new()
    }
}

impl Band {
    /// The triangle with the given edges, in mel.
    fn new(lower: f64, centre: f64, upper: f64) -> Self {
        let weight = |bin: usize| {
            let mel = hz_to_mel(bin_hz(bin));
            ((mel - lower) / (centre - lower)).min((upper - mel) / (upper - centre)).max(0.0)
        };
        // Bin 0 is skipped: TensorFlow zeroes the DC row.
        let first_bin = (1..SPECTRUM_BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(1);
        let weights = (first_bin..SPECTRUM_BINS).map(weight).take_while(|&w| w > 0.0).map(|w| w as f32).collect();
        Self { first_bin, weights }
    }
}

/// The HTK mel scale.
fn hz_to_mel(hz: f64) -> f64 {
    1127.0 * (hz / 700.0).ln_1p()
}

fn bin_hz(bin: usize) -> f64 {
    bin as f64 * f64::from(SAMPLE_RATE_HZ) / 2.0 / (SPECTRUM_BINS - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_band_has_a_weight_and_none_reaches_outside_its_range() {
        let filterbank = MelFilterbank::new();
        assert_eq!(filterbank.bands.len(), MEL_BANDS);
        for band in &filterbank.bands {
            assert!(!band.weights.is_empty());
            assert!(bin_hz(band.first_bin) > MEL_MIN_HZ);
            assert!(bin_hz(band.first_bin + band.weights.len() - 1) < MEL_MAX_HZ);
        }
    }

    #[test]
    fn neighbouring_triangles_sum_to_one_between_their_centres() {
        let mut spectra = [[0.0; LANES]; SPECTRUM_BINS];
        spectra[64][3] = 1.0; // 2 kHz, well inside the range
        let mut mel = [[0.0; LANES]; MEL_BANDS];
        MelFilterbank::new().apply(&spectra, &mut mel);
        let sums: [f32; LANES] = std::array::from_fn(|lane| mel.iter().map(|band| band[lane]).sum());
        assert!((sums[3] - 1.0).abs() < 1e-5 && sums[2].abs() < 1e-9);
    }
}

//! White noise, and the random streams of all steps.

use std::f32::consts::{LN_2, PI};

use pulp::{Arch, Simd, WithSimd};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Pairs of random numbers that are drawn together.
const PAIRS: usize = 256;
/// Samples that they are added to.
const BLOCK: usize = 2 * PAIRS;

/// The random stream of step `index` under `seed`.
pub(super) fn random(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Adds `amplitude` × standard normal noise, drawn by the method of Box and Muller.
pub(super) fn add_noise(wave: &mut [f32], amplitude: f64, rng: &mut ChaCha8Rng) {
    let arch = Arch::new();
    let mut bytes = [0; 4 * BLOCK];
    for block in wave.chunks_mut(BLOCK) {
        rng.fill_bytes(&mut bytes);
        arch.dispatch(AddNoise { block, amplitude: amplitude as f32, bytes: &bytes });
    }
}

/// What [`add_noise`] does, to the bit, for a waveform that comes in blocks of any size.
pub(super) struct NoiseStream {
    amplitude: f64,
    rng: ChaCha8Rng,
    /// The samples after the last whole block.
    pending: Vec<f32>,
}

impl NoiseStream {
    pub(super) fn new(amplitude: f64, rng: ChaCha8Rng) -> Self {
        Self { amplitude, rng, pending: Vec::with_capacity(BLOCK) }
    }

    /// Appends what `wave`, the next samples, suffices for to `out`: whole blocks, because each draws as much as a whole one.
    pub(super) fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        let start = out.len();
        out.append(&mut self.pending);
        out.extend_from_slice(wave);
        let rest = (out.len() - start) % BLOCK;
        self.pending.extend(out.drain(out.len() - rest..));
        add_noise(&mut out[start..], self.amplitude, &mut self.rng);
    }

    /// Appends the rest of the output to `out`; the stream is at its end.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        add_noise(&mut self.pending, self.amplitude, &mut self.rng);
        out.append(&mut self.pending);
    }
}

/// Noise on one block of at most [`BLOCK`] samples.
struct AddNoise<'a> {
    block: &'a mut [f32],
    amplitude: f32,
    bytes: &'a [u8; 4 * BLOCK],
}

impl WithSimd for AddNoise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut noise = [[0.0; PAIRS]; 2];
        let [cosines, sines] = &mut noise;
        let (words, _) = self.bytes.as_chunks::<4>();
        let (radii, angles) = words.split_at(PAIRS);
        for (((cosine, sine), radius), angle) in cosines.iter_mut().zip(sines).zip(radii).zip(angles) {
            let radius = self.amplitude * radius_of(u32::from_le_bytes(*radius));
            let turn = i32::from_le_bytes(*angle) as f32 / 2_147_483_648.0;
            (*cosine, *sine) = (radius * sin_pi(0.5 - turn.abs()), radius * sin_pi(fold(turn)));
        }
        self.block.iter_mut().zip(noise.as_flattened()).for_each(|(x, z)| *x += z);
    }
}

/// The length of a pair of normal numbers, √(−2 ln u), of a uniform word.
#[inline(always)]
fn radius_of(word: u32) -> f32 {
    // 31 bits, so that the conversion is that of a signed number, which has a vector instruction.
    let uniform = ((word >> 1) as i32 as f32 + 0.5) / 2_147_483_648.0;
    (-2.0 * ln(uniform)).max(0.0).sqrt()
}

/// The angle in the right half of the circle with the same sine; all in half turns.
#[inline(always)]
fn fold(turn: f32) -> f32 {
    if turn.abs() > 0.5 { 1.0_f32.copysign(turn) - turn } else { turn }
}

/// sin πx for |x| ≤ ½, by its Taylor series; off by less than 10⁻⁶.
#[inline(always)]
fn sin_pi(x: f32) -> f32 {
    let z = x * x;
    let tail = 0.082_145_89 + z * -0.007_370_431;
    x * (PI + z * (-5.167_713 + z * (2.550_164 + z * (-0.599_264_5 + z * tail))))
}

/// ln x of a normal positive number, by (ln(1 + s) − ln(1 − s)) / 2 = s + s³/3 + s⁵/5 + …; off by less than 10⁻⁶ of what is
/// drawn. The same bits on every processor, unlike that of the standard library.
#[inline(always)]
fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_add(1.0_f32.to_bits() - SQRT_HALF_BITS);
    let exponent = ((bits >> 23) as i32 - 127) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    exponent * LN_2 + 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_standard_normal() {
        let mut wave = vec![0.0; 400_001];
        add_noise(&mut wave, 0.5, &mut random(1, 0));
        let moment =
            |power: i32| wave.iter().map(|x| (2.0 * f64::from(*x)).powi(power)).sum::<f64>() / wave.len() as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.01 && moment(3).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.06, "{}", moment(4));
    }

    #[test]
    fn the_tails_are_those_of_the_normal_distribution() {
        let mut wave = vec![0.0; 1_000_000];
        add_noise(&mut wave, 1.0, &mut random(2, 0));
        for (bound, expected) in [(1.0, 317_311.0), (2.0, 45_500.0), (3.0, 2_700.0), (4.0, 63.3)] {
            let beyond = wave.iter().filter(|x| x.abs() > bound).count() as f64;
            assert!((beyond - expected).abs() < 4.0 * f64::sqrt(expected), "{beyond} beyond {bound}");
        }
        assert!(radius_of(0) > 6.6 && radius_of(u32::MAX) < 1e-3);
    }

    #[test]
    fn the_functions_are_close_to_those_of_the_library() {
        for i in 1..=10_000 {
            let x = i as f32 / 20_000.0;
            assert!((f64::from(sin_pi(x)) - (std::f64::consts::PI * f64::from(x)).sin()).abs() < 1e-6, "{x}");
            let x = f32::from_bits(i * 106_000);
            let error = f64::from(ln(x)) - f64::from(x).ln();
            assert!(i < 80 || error.abs() < 1e-6 * f64::from(x).ln().abs().max(1.0), "{x}: {error}");
        }
    }
}

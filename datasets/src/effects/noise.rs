//! Random draws: white noise and circular shifts.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random stream of step `index` under `seed`.
pub(super) fn random(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Adds `amplitude` × standard normal noise, drawn by Marsaglia's polar method.
pub(super) fn add_noise(wave: &mut [f32], amplitude: f64, rng: &mut ChaCha8Rng) {
    let amplitude = amplitude as f32;
    for pair in wave.chunks_mut(2) {
        let normal = normal_pair(rng);
        pair.iter_mut().zip(normal).for_each(|(x, z)| *x += amplitude * z);
    }
}

fn normal_pair(rng: &mut ChaCha8Rng) -> [f32; 2] {
    loop {
        let bits: u64 = rng.random();
        let [u, v] = [bits as u32, (bits >> 32) as u32].map(|word| word as i32 as f32 / 2_147_483_648.0);
        let s = u * u + v * v;
        if s < 1.0 && s > 0.0 {
            let scale = (-2.0 * s.ln() / s).sqrt();
            return [u * scale, v * scale];
        }
    }
}

/// Rolls the waveform in a circle by up to `max_fraction` of its length in either direction, uniformly drawn.
pub(super) fn roll(wave: &mut [f32], max_fraction: f64, rng: &mut ChaCha8Rng) {
    let fraction = max_fraction * rng.random_range(-1.0..=1.0);
    let shift = (fraction * wave.len() as f64) as i64;
    if !wave.is_empty() {
        wave.rotate_right(shift.rem_euclid(wave.len() as i64) as usize);
    }
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
    fn a_roll_stays_within_its_fraction_and_loses_nothing() {
        let wave: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let shifts: Vec<i64> = (0..500)
            .map(|seed| {
                let mut rolled = wave.clone();
                roll(&mut rolled, 0.15, &mut random(seed, 0));
                let first = rolled[0] as i64;
                assert!((0..1000).all(|i| rolled[i] as i64 == (first + i as i64) % 1000));
                if first > 500 { 1000 - first } else { -first }
            })
            .collect();
        assert!(shifts.iter().all(|shift| shift.abs() <= 150));
        assert!(shifts.iter().any(|shift| *shift > 120) && shifts.iter().any(|shift| *shift < -120));
    }
}

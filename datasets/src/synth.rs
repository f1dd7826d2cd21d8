//! Labelled clips made by a formula, for the demo and for tests: five classes that a forest guard would recognise by ear.
//!
//! Every clip is a function of (class, number): the same files on every machine.

use std::f64::consts::TAU;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::DatasetError;
use crate::audio::SAMPLE_RATE_HZ;
use crate::key::KeyHasher;

/// The classes of the synthetic clips.
pub const CLASSES: [&str; 5] = ["bird", "chainsaw", "engine", "gunshot", "rain"];

/// Length of a synthetic clip in seconds.
const DURATION_S: f64 = 3.0;

/// Writes `per_class` clips of each class below `folder`, as `<class>/<class>-<number>.wav` (16-bit, 16 kHz, mono).
pub fn write_clips(folder: &Path, per_class: u32, done: &mut dyn FnMut(u64)) -> Result<(), DatasetError> {
    let mut written = 0;
    for class in CLASSES {
        let class_folder = folder.join(class);
        std::fs::create_dir_all(&class_folder).map_err(DatasetError::at("create folder", &class_folder))?;
        for number in 0..per_class {
            let path = class_folder.join(format!("{class}-{number:03}.wav"));
            write_wav(&path, &clip(class, number))?;
            written += 1;
            done(written);
        }
    }
    Ok(())
}

/// Writes `wave` (full scale 1.0) as 16-bit mono WAV at 16 kHz.
pub fn write_wav(path: &Path, wave: &[f32]) -> Result<(), DatasetError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || {
        let mut writer = hound::WavWriter::create(path, spec)?;
        wave.iter().try_for_each(|x| writer.write_sample((x.clamp(-1.0, 1.0) * 32767.0) as i16))?;
        writer.finalize()
    };
    write().map_err(|error: hound::Error| match error {
        hound::Error::IoError(error) => DatasetError::new("write clip", path.display().to_string(), error),
        other => DatasetError::invalid("write clip", path.display().to_string(), other.to_string()),
    })
}

/// Samples of clip `number` of `class`, 16 kHz mono, peak below 1.
pub fn clip(class: &str, number: u32) -> Vec<f32> {
    let seed = KeyHasher::new("synth").str(class).u64(u64::from(number)).finish().to_u64();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = (DURATION_S * f64::from(SAMPLE_RATE_HZ)) as usize;
    let mut wave = match class {
        "bird" => bird(n, &mut rng),
        "chainsaw" => motor(n, rng.random_range(75.0..140.0), 40, 0.5, &mut rng),
        "engine" => motor(n, rng.random_range(18.0..45.0), 14, 0.1, &mut rng),
        "gunshot" => gunshot(n, &mut rng),
        _ => rain(n, &mut rng),
    };
    let background = 10f64.powf(rng.random_range(-2.3..-1.2));
    let gain = rng.random_range(0.2..0.8) / wave.iter().fold(1e-9, |peak: f64, x| peak.max(x.abs()));
    let mut low = 0.0;
    for x in &mut wave {
        low += 0.2 * (noise(&mut rng) - low);
        *x = *x * gain + background * low;
    }
    wave.iter().map(|x| x.clamp(-1.0, 1.0) as f32).collect()
}

fn noise(rng: &mut ChaCha8Rng) -> f64 {
    rng.random_range(-1.0..1.0)
}

fn time_s(sample: usize) -> f64 {
    sample as f64 / f64::from(SAMPLE_RATE_HZ)
}

/// Short sweeps between 2 and 6 kHz.
fn bird(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut wave = vec![0.0; n];
    let (low, span) = (rng.random_range(2000.0..3500.0), rng.random_range(500.0..2500.0));
    for _ in 0..rng.random_range(4..12) {
        let (start, length) = (rng.random_range(0..n), rng.random_range(800..3200));
        let mut phase = 0.0;
        for (i, x) in wave.iter_mut().skip(start).take(length).enumerate() {
            let progress = i as f64 / f64::from(length as u32);
            phase += TAU * (low + span * progress) / f64::from(SAMPLE_RATE_HZ);
            *x += phase.sin() * (progress * TAU / 2.0).sin();
        }
    }
    wave
}

/// Harmonics of a wavering fundamental with noise in the rhythm of the cylinders.
fn motor(n: usize, hz: f64, harmonics: u32, rasp: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let waver_hz = rng.random_range(0.3..2.0);
    let weights: Vec<f64> = (1..=harmonics).map(|k| rng.random_range(0.3..1.0) / f64::from(k).sqrt()).collect();
    let mut phase = 0.0;
    let sample = |i: usize| {
        let now_hz = hz * (1.0 + 0.05 * (TAU * waver_hz * time_s(i)).sin());
        phase += TAU * now_hz / f64::from(SAMPLE_RATE_HZ);
        let tone: f64 = weights.iter().zip(1..).map(|(w, k)| w * (phase * f64::from(k)).sin()).sum();
        tone + rasp * noise(rng) * (1.0 + phase.sin())
    };
    (0..n).map(sample).collect()
}

/// One to three bursts of noise that die away within a fraction of a second, each with an echo.
fn gunshot(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut wave = vec![0.0; n];
    for _ in 0..rng.random_range(1..=3) {
        let start = rng.random_range(0..n * 3 / 4);
        let decay_s = rng.random_range(0.02..0.08);
        let echo = rng.random_range(2000..6000);
        for (delay, level) in [(0, 1.0), (echo, 0.3)] {
            for (i, x) in wave.iter_mut().skip(start + delay).enumerate() {
                *x += level * noise(rng) * (-time_s(i) / decay_s).exp();
            }
        }
    }
    wave
}

/// A steady hiss with drops.
fn rain(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let (mut last, mut drop) = (0.0, 0.0);
    let rate = rng.random_range(0.001..0.004);
    let sample = |_| {
        if rng.random_bool(rate) {
            drop = rng.random_range(0.3..1.0);
        }
        drop *= 0.97;
        let white = noise(rng);
        let hiss = white - 0.6 * last;
        last = white;
        hiss * (0.3 + drop)
    };
    (0..n).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clip_is_finite_audible_its_own_and_the_same_again() {
        let mut seen = std::collections::BTreeSet::new();
        for class in CLASSES {
            for number in 0..20 {
                let wave = clip(class, number);
                assert!(wave.iter().all(|x| x.is_finite()));
                assert!(wave.iter().any(|x| x.abs() > 0.1), "{class} {number}");
                assert_eq!(wave, clip(class, number));
                assert!(seen.insert(wave.iter().map(|x| x.to_bits()).collect::<Vec<_>>()));
            }
        }
    }
}

//! Made-up recordings: a class of high tones and one of low tones, every clip different from every other.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// Samples per second of all of them.
pub(crate) const RATE: u32 = 8000;

/// A mono 16-bit WAV with a tone of `hz` and a little of everything else that makes it its own.
pub(crate) fn wav(path: &Path, hz: f64, number: u32) {
    // Noise of its own tells each clip from all others, whoever listens.
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 16) / 65_536.0 - 0.5
    };
    let samples: Vec<i16> = (0..RATE)
        .map(|i| {
            let t = f64::from(i) / f64::from(RATE);
            let wobble = 1.0 + 0.02 * f64::from(number % 7);
            ((std::f64::consts::TAU * hz * wobble * t).sin() * 9000.0 + noise() * 2000.0) as i16
        })
        .collect();
    write_wav(path, &samples);
}

/// A mono 16-bit WAV of these samples.
pub(crate) fn write_wav(path: &Path, samples: &[i16]) {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for (value, size) in [(16u32, 4), (1, 2), (1, 2), (RATE, 4), (RATE * 2, 4), (2, 2), (16, 2)] {
        bytes.extend(&value.to_le_bytes()[..size]);
    }
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// `recordings/high` and `recordings/low` with `n` clips each.
pub(crate) fn recordings(sandbox: &Sandbox, n: u32) {
    for number in 0..n {
        wav(&recording(sandbox, &format!("high/{number}.wav")), 2000.0, number);
        wav(&recording(sandbox, &format!("low/{number}.wav")), 300.0, number + 100);
    }
}

/// The path of a file of [`recordings`].
pub(crate) fn recording(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join("recordings").join(name)
}

//! What is measured of a clip while it is decoded: its length, its signal-to-noise ratio and its fingerprint.

use ecosight_datasets::audio::{AudioSource, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_models::frontend::LogMel;
use ecosight_models::frontend::params::{FRAME_HOP_SAMPLES, MEL_BANDS};

use crate::leaks::Fingerprint;

/// Samples of a frame of which the energy is taken: 32 ms.
const FRAME: usize = SAMPLE_RATE_HZ as usize / 32;

/// The share of frames that are taken for noise, and that from which on they are taken for sound.
const QUIET: f64 = 0.1;
const LOUD: f64 = 0.95;

/// Further apart, dB, nothing is learnt from how far.
const FAR_DB: f64 = 100.0;

/// Samples that are taken at a time, so that a long block costs no copy of itself.
const BLOCK: usize = 16_384;

/// Longer clips are compared by their first ten minutes: frames of the log-mel, a megabyte of fingerprint.
const COMPARED_FRAMES: usize = 60_000;

/// Frames of the log-mel that are held of a clip on its way through `embed`, where many are on their way at a time: 8 MiB, five and a half minutes.
const HELD_FRAMES: usize = 32_768;

/// What is measured of a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Acoustics {
    /// Signal-to-noise ratio, dB; none in silence.
    pub snr_db: Option<f64>,
    /// None of a clip too long to take it in passing.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Measures a clip that arrives in blocks. The result does not depend on the sizes of the blocks.
pub(crate) struct Analyzer {
    samples: usize,
    energies: Vec<f64>,
    /// Samples of the frame that is not complete yet.
    frame: Vec<f32>,
    logmel: LogMel,
    /// Samples from the start of the next frame of the log-mel on.
    rest: Vec<f32>,
    /// Frames of the log-mel, `[…, 64]`.
    rows: Vec<f32>,
    most_frames: usize,
}

impl Analyzer {
    /// For one of many clips that are decoded at a time.
    pub(crate) fn in_passing() -> Self {
        Self::new(HELD_FRAMES)
    }

    fn new(most_frames: usize) -> Self {
        let (energies, frame, rest, rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { samples: 0, energies, frame, logmel: LogMel::new(), rest, rows, most_frames }
    }

    /// Takes the next samples, 16 kHz mono.
    pub(crate) fn push(&mut self, samples: &[f32]) {
        for block in samples.chunks(BLOCK) {
            self.samples += block.len();
            self.frame.extend_from_slice(block);
            let whole = self.frame.len() / FRAME * FRAME;
            self.energies.extend(self.frame[..whole].chunks_exact(FRAME).map(energy));
            self.frame.drain(..whole);
            if !self.is_full() {
                self.rest.extend_from_slice(block);
                let frames = self.logmel.rows(&self.rest, &mut self.rows);
                self.rest.drain(..frames * FRAME_HOP_SAMPLES);
            }
        }
    }

    /// Whether all frames are there that a fingerprint may have.
    fn is_full(&self) -> bool {
        self.rows.len() >= self.most_frames * MEL_BANDS
    }

    fn duration_s(&self) -> f64 {
        self.samples as f64 / f64::from(SAMPLE_RATE_HZ)
    }

    /// What was measured. A clip longer than was held has no fingerprint, unless it is compared by its beginning.
    pub(crate) fn finish(mut self) -> Acoustics {
        let is_compared = self.most_frames == COMPARED_FRAMES || !self.is_full();
        Acoustics { snr_db: snr_db(&mut self.energies), fingerprint: is_compared.then(|| self.fingerprint()) }
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(&self.rows[..self.rows.len().min(self.most_frames * MEL_BANDS)])
    }
}

/// The fingerprint of the beginning of a clip; none where it cannot be decoded.
pub(crate) fn fingerprint(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<Fingerprint> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let mut analyzer = Analyzer::new(COMPARED_FRAMES);
    while !analyzer.is_full() {
        let Some(block) = reader.next_block().ok()? else { break };
        analyzer.push(block);
    }
    Some(analyzer.fingerprint())
}

/// Length, seconds, and signal-to-noise ratio, dB, of a clip; none where it cannot be decoded.
pub(crate) fn duration_and_snr(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<(f64, Option<f64>)> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let mut analyzer = Analyzer::new(0);
    while let Some(block) = reader.next_block().ok()? {
        analyzer.push(block);
    }
    Some((analyzer.duration_s(), snr_db(&mut analyzer.energies)))
}

/// Mean square of samples about their mean: a constant offset is no sound.
fn energy(frame: &[f32]) -> f64 {
    let n = frame.len() as f64;
    let mean = frame.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    frame.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n
}

/// Signal-to-noise ratio of frames with these energies.
///
/// Sounds come and go while noise stays, so that a low quantile of the energies is that of the noise, whatever the sounds are (quantile-based noise
/// estimation; Stahl, Fischer and Bippus 2000, "Quantile based noise estimation for spectral subtraction and Wiener filtering", there for each band; after
/// the minimum statistics of Martin 1994). A high one is sound and noise together. A sound that goes on throughout a clip is taken for noise.
fn snr_db(energies: &mut [f64]) -> Option<f64> {
    energies.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| energies.get((share * energies.len().saturating_sub(1) as f64).round() as usize).copied();
    let (noise, loud) = (at(QUIET)?, at(LOUD)?);
    if loud <= 0.0 {
        return None;
    }
    Some((10.0 * ((loud - noise).max(0.0) / noise).log10()).clamp(-FAR_DB, FAR_DB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_does_not_depend_on_the_blocks() {
        let samples: Vec<f32> =
            (0..5 * BLOCK + 77).map(|n| ((n * n) as f32 * 0.001).sin() * (n % 977) as f32).collect();
        let measured = |most_frames, block: usize| {
            let mut analyzer = Analyzer::new(most_frames);
            samples.chunks(block).for_each(|block| analyzer.push(block));
            analyzer.finish()
        };
        let whole = measured(HELD_FRAMES, samples.len());
        assert_eq!(measured(HELD_FRAMES, 333), whole);
        let mut rows = Vec::new();
        LogMel::new().rows(&samples, &mut rows);
        assert_eq!(whole.fingerprint, Some(Fingerprint::new(&rows)));
        let short = measured(100, 333);
        assert_eq!((short.snr_db, short.fingerprint), (whole.snr_db, None), "longer than is held");
    }

    /// Frames of noise of about this energy, of which some hold a sound as well.
    fn frames(noise: f64, sound: f64, every: usize) -> Vec<f64> {
        let wobble = |n: usize| 1.0 + 0.2 * ((n * 7919 % 101) as f64 / 50.0 - 1.0);
        (0..1000).map(|n| noise * wobble(n) + if n % every == 0 { sound } else { 0.0 }).collect()
    }

    #[test]
    fn sounds_above_noise_are_told_in_decibels_however_loud_the_recording_is() {
        for loudness in [1e-6, 1.0] {
            for (sound, expected) in [(1.0, 0.0), (10.0, 10.0), (1000.0, 30.0)] {
                let found = snr_db(&mut frames(loudness, sound * loudness, 4)).unwrap();
                assert!((found - expected).abs() < 2.0, "{found} for {expected}");
            }
        }
        // Nothing but noise: what little it varies.
        assert!(snr_db(&mut frames(1.0, 0.0, 1)).unwrap() < -3.0);
    }

    #[test]
    fn silence_has_no_ratio_and_sound_in_silence_a_large_one() {
        assert_eq!(snr_db(&mut vec![0.0; 100]), None);
        assert_eq!(snr_db(&mut []), None);
        assert_eq!(snr_db(&mut frames(0.0, 1.0, 4)), Some(FAR_DB));
        assert_eq!(snr_db(&mut vec![0.5; 100]), Some(-FAR_DB));
        assert!(energy(&[0.3; FRAME]) < 1e-12);
    }
}

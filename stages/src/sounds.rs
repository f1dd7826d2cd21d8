//! How long clips are, and how far their sounds rise above the noise: what was heard of a clip is kept by its identity in `index/sounds.parquet`, so that each is
//! listened to once.

use std::collections::{HashMap, HashSet};

use ecosight_datasets::audio::{AudioSource, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, SoundRow, read_file};
use rayon::prelude::*;

use crate::StageErrorKind;
use crate::bridge::{Listed, Opened, fetch};
use crate::stage::{Context, Event};
use crate::train::write_file;

/// Samples of a frame: 32 ms.
const FRAME: usize = SAMPLE_RATE_HZ as usize / 32;

/// The share of frames that are taken for noise, and that from which on they are taken for sound.
const QUIET: f64 = 0.1;
const LOUD: f64 = 0.95;

/// Further apart, dB, nothing is learnt from how far.
const FAR_DB: f64 = 100.0;

/// Clips that are on their way at a time.
const AT_ONCE: usize = 64;

/// What is to be heard of these clips, on behalf of `stage`. Clips that cannot be read are left out, which is told; `is_known` says which clips there
/// still are: of others nothing is kept.
pub(crate) fn sounds(
    context: &Context<'_>,
    stage: &'static str,
    clips: &[&ClipRow],
    is_known: impl Fn(&ClipId) -> bool,
) -> Result<HashMap<ClipId, SoundRow>, StageErrorKind> {
    let path = context.layout.sounds_index();
    let known: Vec<SoundRow> = read_file(&path).unwrap_or_default();
    let mut heard: HashMap<ClipId, SoundRow> =
        known.iter().filter(|row| is_known(&row.clip_id)).map(|row| (row.clip_id, *row)).collect();
    let wanted: Vec<&ClipRow> = clips.iter().copied().filter(|clip| !heard.contains_key(&clip.clip_id)).collect();
    heard.extend(listen(context, stage, &wanted)?.into_iter().map(|row| (row.clip_id, row)));
    let lost: HashSet<ClipId> = wanted.iter().map(|clip| clip.clip_id).filter(|id| !heard.contains_key(id)).collect();
    if !lost.is_empty() {
        let (n, all) = (lost.len(), clips.len());
        let message =
            format!("{n} of {all} test clips cannot be read any more: no slice by duration or noise counts them");
        context.emit(Event::Warning { stage, message });
    }
    let mut rows: Vec<SoundRow> = heard.values().copied().collect();
    rows.sort_by_key(|row| row.clip_id);
    if rows != known {
        write_file(&path, &rows)?;
    }
    Ok(heard)
}

/// Listens to clips. That their store is out of reach is no reason to stop: they are not needed for the figures as a whole.
fn listen(context: &Context<'_>, stage: &'static str, clips: &[&ClipRow]) -> Result<Vec<SoundRow>, StageErrorKind> {
    let Some(store) = context.store().ok().filter(|_| !clips.is_empty()) else { return Ok(Vec::new()) };
    let files: Vec<Listed<'_>> = clips.iter().map(|clip| Listed { uri: &clip.uri, version: clip.version() }).collect();
    let total = clips.len() as u64;
    let mut heard = Vec::new();
    fetch(&store, &files, |opened| {
        let mut opened = clips.iter().zip(opened);
        let mut done = 0;
        loop {
            context.check_cancelled()?;
            let some: Vec<(&&ClipRow, Opened)> = opened.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(heard);
            }
            done += some.len() as u64;
            let of = |(clip, file): (&&ClipRow, Opened)| {
                let (duration_s, snr_db) = sound(file.ok()?, clip.span)?;
                Some(SoundRow { clip_id: clip.clip_id, duration_s, snr_db })
            };
            heard.extend(some.into_par_iter().filter_map(of).collect::<Vec<_>>());
            context.emit(Event::Progress { stage, done, total, unit: "clips" });
        }
    })
}

/// Length and signal-to-noise ratio of a clip; none where it cannot be decoded.
fn sound(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<(f64, Option<f64>)> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let (mut samples, mut rest, mut energies) = (0, Vec::new(), Vec::new());
    while let Some(block) = reader.next_block().ok()? {
        samples += block.len();
        rest.extend_from_slice(block);
        let whole = rest.len() / FRAME * FRAME;
        energies.extend(rest[..whole].chunks_exact(FRAME).map(energy));
        rest.drain(..whole);
    }
    Some((samples as f64 / f64::from(SAMPLE_RATE_HZ), snr_db(&mut energies)))
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

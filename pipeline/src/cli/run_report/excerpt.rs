//! A few seconds of clips, to see and to hear.

use ecosight_datasets::audio::{AudioSource, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_datasets::tables::ClipRow;
use ecosight_models::frontend::LogMel;
use ecosight_models::frontend::params::MEL_BANDS;
use ecosight_stages::Context;
use ecosight_stages::bridge::{Listed, fetch};

use crate::report::Spectrogram;

/// Length of an excerpt, seconds.
const EXCERPT_S: usize = 3;
/// How far into a clip its loudest part is looked for, seconds.
const SEARCHED_S: usize = 30;
/// Levels further below the loudest are black: 80 dB as the logarithm of an amplitude.
const RANGE: f32 = 9.21;

/// The loudest seconds of a clip.
pub(super) struct Excerpt {
    pub(super) spectrogram: Spectrogram,
    pub(super) audio: Vec<i16>,
}

/// Excerpts of clips, in their order; none of a clip that cannot be read any more.
pub(super) fn excerpts(clips: &[&ClipRow], context: &Context<'_>) -> Vec<Option<Excerpt>> {
    let Ok(store) = context.store() else { return clips.iter().map(|_| None).collect() };
    let files: Vec<Listed<'_>> = clips.iter().map(|clip| Listed { uri: &clip.uri, version: clip.version() }).collect();
    fetch(&store, &files, |opened| {
        clips.iter().zip(opened).map(|(clip, file)| Some(excerpt(&samples(file.ok()?, clip.span)?))).collect()
    })
}

/// The beginning of a clip.
fn samples(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<Vec<f32>> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let mut samples = Vec::new();
    while samples.len() < SEARCHED_S * SAMPLE_RATE_HZ as usize {
        // What was decoded before an error is still worth hearing.
        let Ok(Some(block)) = reader.next_block() else { break };
        samples.extend_from_slice(block);
    }
    (!samples.is_empty()).then_some(samples)
}

fn excerpt(samples: &[f32]) -> Excerpt {
    let loudest = loudest(samples, EXCERPT_S * SAMPLE_RATE_HZ as usize, SAMPLE_RATE_HZ as usize / 2);
    let audio = loudest.iter().map(|x| (x.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16).collect();
    Excerpt { spectrogram: spectrogram(loudest), audio }
}

/// The part of `length` samples with the most energy, beginning at a multiple of `step`; the first of equals.
fn loudest(samples: &[f32], length: usize, step: usize) -> &[f32] {
    let energy =
        |start: usize| -> f64 { samples[start..start + length].iter().map(|&x| f64::from(x) * f64::from(x)).sum() };
    let starts =
        (0..=samples.len().saturating_sub(length)).step_by(step).filter(|start| start + length <= samples.len());
    let best = starts.map(|start| (energy(start), start)).reduce(|a, b| if b.0 > a.0 { b } else { a });
    best.map_or(samples, |(_, start)| &samples[start..start + length])
}

fn spectrogram(samples: &[f32]) -> Spectrogram {
    let mut rows = Vec::new();
    LogMel::new().rows(samples, &mut rows);
    let (low, high) = rows.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    let low = low.max(high - RANGE);
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let frames = rows.len() / MEL_BANDS;
    let level = |band: usize, frame: usize| ((rows[frame * MEL_BANDS + band] - low).max(0.0) * scale) as u8;
    let levels = (0..MEL_BANDS).flat_map(|band| (0..frames).map(move |frame| (band, frame)));
    Spectrogram { bands: MEL_BANDS, frames, levels: levels.map(|(band, frame)| level(band, frame)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_part_is_found_and_a_short_clip_is_taken_whole() {
        let samples: Vec<f32> = (0..100).map(|i| if (60..70).contains(&i) { 1.0 } else { 0.0 }).collect();
        assert_eq!(loudest(&samples, 10, 5), &samples[60..70]);
        assert_eq!(loudest(&samples[..7], 10, 5).len(), 7);
        assert_eq!(loudest(&samples, 100, 5).len(), 100);
    }

    #[test]
    fn a_spectrogram_has_a_column_for_each_frame_and_low_bands_first() {
        let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 200.0 * std::f32::consts::TAU / 16_000.0).sin()).collect();
        let picture = spectrogram(&tone);
        assert_eq!(picture.levels.len(), picture.bands * picture.frames);
        let band = |band: usize| picture.levels[band * picture.frames + picture.frames / 2];
        assert!(band(2) > 200 && band(60) < 100, "{} {}", band(2), band(60));
        assert!(spectrogram(&vec![0.0; 16_000]).levels.iter().all(|&level| level == 0));
    }
}

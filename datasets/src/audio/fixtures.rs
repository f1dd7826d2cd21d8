//! Every format as a real encoder writes it, against the formula that the fixtures were made from.

use std::f64::consts::TAU;
use std::io::Cursor;

use super::wav::tests::{wav_f32, wav16};
use super::{Container, MonoReader, Span, decode};

/// The committed recordings with their container.
pub(super) const FIXTURES: [(&str, Container); 19] = [
    ("TONE_8K_U8.WAV", Container::Wav),
    ("hot_44k.ogg", Container::Ogg),
    ("really_ogg.wav", Container::Ogg),
    ("sweep_8k.flac", Container::Flac),
    ("tone_16k.aiff", Container::Aiff),
    ("tone_16k_adpcm.wav", Container::Wav),
    ("tone_16k_flac.ogg", Container::Ogg),
    ("tone_16k_s16.wav", Container::Wav),
    ("tone_16k_stereo.flac", Container::Flac),
    ("tone_22k_bare.mp3", Container::Mp3),
    ("tone_44k.aac", Container::Aac),
    ("tone_44k.mp3", Container::Mp3),
    ("tone_44k_stereo.m4a", Container::Mp4),
    ("tone_44k_stereo.ogg", Container::Ogg),
    ("tone_8k.aifc", Container::Aiff),
    ("tone_8k_alaw.wav", Container::Wav),
    ("tone_8k_f32.wav", Container::Wav),
    ("tone_8k_rf64.wav", Container::Wav),
    ("tone_8k_s24_extensible.wav", Container::Wav),
];

pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/fixtures/audio/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn decoded(bytes: Vec<u8>, span: Option<Span>) -> Vec<f32> {
    decode(Box::new(Cursor::new(bytes)), span).unwrap()
}

/// The sine and chirp of the fixtures at 16 kHz, from `delay` samples before the start.
fn original(n: usize, weights: (f64, f64), delay: f64) -> Vec<f32> {
    let value = |t: f64| weights.0 * (TAU * 440.0 * t).sin() + weights.1 * (TAU * (500.0 * t + 5000.0 * t * t)).sin();
    (0..n).map(|i| value((i as f64 - delay) / 16_000.0) as f32).collect()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_fixture_is_recognised_and_decodes() {
    for (name, container) in FIXTURES {
        let bytes = fixture(name);
        assert_eq!(super::sniff(&bytes[..64]), Some(container), "{name}");
        let reader = MonoReader::open(Box::new(Cursor::new(bytes.clone())), None).unwrap();
        assert_eq!((reader.info().container, reader.skipped_packets()), (container, 0), "{name}");
        assert!(decoded(bytes, None).len() >= 3200, "{name}");
    }
}

#[test]
fn lossless_formats_have_the_length_and_the_samples_of_the_original() {
    let cases = [
        ("tone_16k_s16.wav", (0.3, 0.3), 4800),
        ("tone_16k.aiff", (0.3, 0.3), 4800),
        ("tone_16k_stereo.flac", (0.25, 0.125), 3200),
        ("tone_16k_flac.ogg", (0.3, 0.3), 4800),
    ];
    for (name, weights, n) in cases {
        let wave = decoded(fixture(name), None);
        let expected = original(n, weights, 0.0);
        assert_eq!(wave.len(), n, "{name}");
        let worst = wave.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}

#[test]
fn lossy_and_resampled_formats_are_aligned_with_the_original() {
    // (name, weights of sine and chirp, samples of encoder delay that the container does not let a reader remove)
    let cases = [
        ("TONE_8K_U8.WAV", (0.3, 0.3), 0.0),
        ("tone_8k_s24_extensible.wav", (0.3, 0.3), 0.0),
        ("tone_8k_f32.wav", (0.3, 0.3), 0.0),
        ("tone_8k_alaw.wav", (0.3, 0.3), 0.0),
        ("tone_44k.mp3", (0.3, 0.3), 0.0),
        ("tone_44k_stereo.ogg", (0.25, 0.125), 0.0),
        ("really_ogg.wav", (0.25, 0.125), 0.0),
        ("tone_44k_stereo.m4a", (0.25, 0.125), 0.0),
        ("tone_44k.aac", (0.3, 0.3), 371.5),
    ];
    for (name, weights, delay) in cases {
        let wave = decoded(fixture(name), None);
        let at = |shift: f64| correlation(&wave[1000..4500], &original(4500, weights, delay + shift)[1000..]);
        assert!(
            at(0.0) > 0.94 && at(0.0) > at(-1.0) && at(0.0) > at(1.0),
            "{name}: {} {} {}",
            at(-1.0),
            at(0.0),
            at(1.0)
        );
    }
}

#[test]
fn lossy_formats_that_say_where_the_sound_ends_have_its_length() {
    for name in ["tone_44k.mp3", "tone_44k_stereo.ogg", "tone_44k_stereo.m4a"] {
        assert_eq!(decoded(fixture(name), None).len(), 6400, "{name}");
    }
}

#[test]
fn hot_lossy_files_are_not_clipped() {
    let peak = decoded(fixture("hot_44k.ogg"), None).iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    assert!(peak > 1.05, "{peak}");
}

#[test]
fn opus_is_named_as_unsupported() {
    let error = decode(Box::new(Cursor::new(fixture("tone_48k.opus"))), None).unwrap_err();
    assert_eq!(error.code(), "unsupported");
}

#[test]
fn a_span_is_the_same_samples_as_in_the_whole() {
    let ramp: Vec<i16> = (0..80_000).map(|i| (i % 30_000) as i16).collect();
    let whole = decoded(wav16(16_000, &ramp), None);
    for (start_s, end_s) in
        [(0.0, Some(1.0)), (0.5, Some(0.75)), (2.000_062_5, Some(4.1)), (3.0, None), (4.5, Some(5.05))]
    {
        let wave = decoded(wav16(16_000, &ramp), Some(Span { start_s, end_s }));
        let range = (start_s * 16e3).round() as usize..(end_s.unwrap_or(5.0) * 16e3).round().min(80e3) as usize;
        assert_eq!(wave, whole[range], "{start_s}");
    }
    let sweep = decoded(fixture("sweep_8k.flac"), None);
    for (start_s, end_s) in [(1.02, 1.4), (1.04, 1.4)] {
        let wave = decoded(fixture("sweep_8k.flac"), Some(Span { start_s, end_s: Some(end_s) }));
        // The edges differ: a span is cut out before it is resampled.
        let range = (start_s * 16e3_f64).round() as usize..(end_s * 16e3_f64).round() as usize;
        assert_eq!(wave.len(), range.len());
        let pairs = wave.iter().zip(&sweep[range]).skip(2100).take(3500);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4), "{start_s}");
    }
    for name in ["tone_16k_stereo.flac", "tone_16k_flac.ogg", "tone_16k.aiff"] {
        let wave = decoded(fixture(name), Some(Span { start_s: 0.1, end_s: Some(0.2) }));
        assert_eq!(wave, decoded(fixture(name), None)[1600..3200], "{name}");
    }
}

#[test]
fn a_span_outside_the_recording_is_an_error() {
    let spans = [(0.6, None), (0.1, Some(0.1)), (0.2, Some(0.1)), (-0.1, None), (0.1, Some(1.5)), (f64::NAN, None)];
    for (start_s, end_s) in spans {
        for name in ["tone_16k_s16.wav", "tone_44k.aac", "tone_16k_flac.ogg"] {
            let error = decode(Box::new(Cursor::new(fixture(name))), Some(Span { start_s, end_s })).unwrap_err();
            assert_eq!(error.code(), "span", "{name} {start_s} {end_s:?}");
        }
    }
}

#[test]
fn an_hour_is_read_in_small_blocks() {
    let wave: Vec<f32> = (0..2_000_000).map(|i| (i % 100) as f32 / 100.0).collect();
    let mut reader = MonoReader::open(Box::new(Cursor::new(wav_f32(48_000, &wave))), None).unwrap();
    let (mut total, mut longest) = (0, 0);
    while let Some(block) = reader.next_block().unwrap() {
        (total, longest) = (total + block.len(), longest.max(block.len()));
    }
    assert_eq!(total, 666_667);
    assert!(longest < 20_000, "{longest}");
}

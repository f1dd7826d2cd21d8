//! Decoding, resampling and effects; an item is a sample, of the recording where one is decoded, else at 16 kHz.

use std::f32::consts::TAU;
use std::io::Cursor;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ecosight_datasets::audio::decode;
use ecosight_datasets::effects::{Effect, Source, Step, catalogue};

/// Samples of a clip of 5 s.
const CLIP: usize = 80_000;

fn main() {
    divan::main();
}

fn tone(samples: usize, rate_hz: u32) -> Vec<f32> {
    let wave = |i: usize| 0.3 * (TAU * 440.0 * i as f32 / rate_hz as f32).sin() + ((i * i) % 101) as f32 * 1e-3;
    (0..samples).map(wave).collect()
}

/// 5 s as 16-bit WAVE, whose decoding costs next to nothing.
fn wav(rate_hz: u32) -> (Vec<u8>, usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let (mut bytes, wave) = (Cursor::new(Vec::new()), tone(5 * rate_hz as usize, rate_hz));
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a buffer takes everything");
    for x in &wave {
        writer.write_sample((x * 32_767.0) as i16).expect("a buffer takes everything");
    }
    writer.finalize().expect("a buffer takes everything");
    (bytes.into_inner(), wave.len())
}

#[divan::bench]
fn decode_ogg_at_44100_hz(bencher: Bencher) {
    let bytes = include_bytes!("../../tests/fixtures/audio/hot_44k.ogg");
    // Without its setup, a large part of so short a file, decoding would have to be measured on a larger fixture.
    bencher.counter(ItemsCount::new(17_640usize)).bench_local(|| decode(Box::new(Cursor::new(black_box(bytes))), None));
}

#[divan::bench(args = [16_000, 22_050, 44_100, 48_000])]
fn resample_wav_from(bencher: Bencher, rate_hz: u32) {
    let (bytes, samples) = wav(rate_hz);
    bencher
        .counter(ItemsCount::new(samples))
        .with_inputs(|| bytes.clone())
        .bench_local_values(|bytes| decode(Box::new(Cursor::new(bytes)), None));
}

#[divan::bench(args = [0.9, 1.1])]
fn stretch(bencher: Bencher, rate: f64) {
    apply(bencher, &Effect(vec![Step::TimeStretch { rate }]));
}

#[divan::bench(args = [-2.0, 2.0])]
fn pitch(bencher: Bencher, semitones: f64) {
    apply(bencher, &Effect(vec![Step::PitchShift { semitones }]));
}

#[divan::bench(args = catalogue().into_iter().map(|(name, _)| name))]
fn effect(bencher: Bencher, name: &str) {
    let effect = catalogue().into_iter().find_map(|(other, effect)| (other == name).then_some(effect));
    apply(bencher, &effect.expect("the name is from the catalogue"));
}

fn apply(bencher: Bencher, effect: &Effect) {
    let wave = tone(CLIP, 16_000);
    bencher.counter(ItemsCount::new(CLIP)).bench_local(|| effect.apply(black_box(&wave), 3));
}

#[divan::bench]
fn all_effects_of_one_source(bencher: Bencher) {
    let (wave, effects) = (tone(CLIP, 16_000), catalogue());
    bencher.counter(ItemsCount::new(CLIP * effects.len())).bench_local(|| {
        let source = Source::new(black_box(&wave));
        effects.iter().map(|(_, effect)| effect.apply_to(&source, 3)).collect::<Vec<_>>()
    });
}

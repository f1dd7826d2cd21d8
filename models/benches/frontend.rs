//! The front end and the `logmel` embedder; an item is a frame of 10 ms, or a window.

use std::f32::consts::TAU;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::params::SPECTRUM_BINS;
use ecosight_models::frontend::{Framer, LANES, LogMel, MEL_BANDS, MelFilterbank, Tail, Window, Windowing};
use ecosight_models::logmel::LogMelEmbedder;

/// Samples and frames of a clip of 5 s.
const CLIP: (usize, usize) = (80_000, 498);

fn main() {
    divan::main();
}

fn clip() -> Vec<f32> {
    (0..CLIP.0).map(|i| 0.3 * (TAU * 440.0 * i as f32 / 16_000.0).sin() + ((i * i) % 101) as f32 * 1e-3).collect()
}

fn windows(windowing: Windowing) -> Vec<Window> {
    let (mut framer, mut out) = (Framer::new(windowing), Vec::new());
    framer.push(&clip(), &mut out);
    framer.finish(&mut out);
    out
}

#[divan::bench]
fn log_mel_rows(bencher: Bencher) {
    let (clip, mut plan, mut rows) = (clip(), LogMel::new(), Vec::new());
    bencher.counter(ItemsCount::new(CLIP.1)).bench_local(|| {
        rows.clear();
        plan.rows(black_box(&clip), &mut rows)
    });
}

#[divan::bench]
fn mel_product(bencher: Bencher) {
    let filterbank = MelFilterbank::new();
    let (spectra, mut mel) = ([[1.0; LANES]; SPECTRUM_BINS], [[0.0; LANES]; MEL_BANDS]);
    bencher.counter(ItemsCount::new(LANES)).bench_local(|| {
        filterbank.apply(black_box(&spectra), &mut mel);
        black_box(&mel);
    });
}

#[divan::bench]
fn framer_of_a_clip(bencher: Bencher) {
    let clip = clip();
    bencher.counter(ItemsCount::new(CLIP.1)).bench_local(|| {
        let (mut framer, mut out) = (Framer::new(Windowing::YAMNET), Vec::new());
        framer.push(black_box(&clip), &mut out);
        framer.finish(&mut out);
        out
    });
}

#[divan::bench]
fn logmel_embedding(bencher: Bencher) {
    let windows = windows(Windowing { frames: 1000, hop_frames: 1000, tail: Tail::Keep });
    let embedder = LogMelEmbedder::new();
    bencher.counter(ItemsCount::new(windows.len())).bench_local(|| embedder.embed(black_box(&windows)));
}

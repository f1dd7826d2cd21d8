//! YAMNet on seeded weights, by kernels, precision and batch; an item is a patch.

use burn::tensor::{Tensor, TensorData};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ecosight_models::embedder::{Embedder, Precision};
use ecosight_models::frontend::{Framer, Window, Windowing};
use ecosight_models::yamnet::{Isa, Yamnet, YamnetEmbedder, device, fastest_bf16};

#[path = "../tests/reference/seeded.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests, which use more of it")]
mod seeded;

/// Patches per call.
const BATCHES: [usize; 3] = [1, 8, 64];

fn main() {
    divan::main();
}

fn windows(count: usize) -> Vec<Window> {
    let (mut framer, mut windows) = (Framer::new(Windowing::YAMNET), Vec::new());
    framer.push(&seeded::waveform(15_600 + count * 7_680), &mut windows);
    windows.truncate(count);
    windows
}

fn embed(bencher: Bencher, precision: Precision, isa: Isa, batch: usize) {
    let (embedder, windows) = (YamnetEmbedder::with_isa(&seeded::weights(), precision, isa), windows(batch));
    bencher.counter(ItemsCount::new(batch)).bench_local(|| embedder.embed(black_box(&windows)));
}

#[divan::bench(args = BATCHES)]
fn f32(bencher: Bencher, batch: usize) {
    embed(bencher, Precision::F32, Isa::best(), batch);
}

#[divan::bench(args = Isa::ALL.into_iter().filter(|isa| isa.is_available()), sample_count = 5)]
fn f32_by(bencher: Bencher, isa: Isa) {
    embed(bencher, Precision::F32, isa, 32);
}

/// With the CPU's own instructions, or emulated where it has none.
#[divan::bench(args = BATCHES)]
fn bf16(bencher: Bencher, batch: usize) {
    embed(bencher, fastest_bf16(), Isa::best(), batch);
}

/// The module that runs on GPUs, here on whatever burn was built for.
#[divan::bench(args = [8], sample_count = 10)]
fn burn_module(bencher: Bencher, batch: usize) {
    let device = device();
    let network = Yamnet::new(&seeded::weights(), &device);
    let logmel: Vec<f32> = windows(batch).into_iter().flat_map(|window| window.logmel).collect();
    let data = TensorData::new(logmel, [batch, 96, 64]);
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        let patches = Tensor::from_data(black_box(data.clone()), &device);
        network.embed(patches).into_data()
    });
}

//! Parity with TensorFlow and NumPy on made-up weights and signals (`tests/oracles`); needs nothing but the repository.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the other tests use more of it")]
mod reference;

use burn::tensor::{Tensor, TensorData};
use ecosight_models::embedder::{Embedder, Precision};
use ecosight_models::frontend::{Window, Windowing};
use ecosight_models::logmel::LogMelEmbedder;
use ecosight_models::weights::tensor_specs;
use ecosight_models::yamnet::{Isa, Kernel, Yamnet, YamnetEmbedder, device};
use reference::{max_difference, seeded, windows};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/../tests/oracles/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn values(golden: &Value) -> Vec<f32> {
    golden.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// Every `step`th value of each row of `width` values.
fn thin(rows: &[f32], width: usize, step: usize) -> Vec<f32> {
    rows.chunks_exact(width).flat_map(|row| row.iter().step_by(step).copied()).collect()
}

#[test]
fn seeded_weights_reproduce_tensorflow() {
    let golden = golden("yamnet_seeded");
    assert_eq!(golden["tensors"], tensor_specs().len());
    let clip = seeded::waveform(golden["samples"].as_u64().unwrap() as usize);
    let wave: Vec<f32> = clip.iter().step_by(1000).copied().collect();
    assert!(max_difference(&wave, &values(&golden["wave_every_1000th"])) < 1e-6, "the generators disagree");
    let windows = windows(Windowing::YAMNET, &clip);
    assert_eq!(golden["patches"], windows.len());
    let logmel: Vec<f32> = windows.iter().flat_map(|w| w.logmel.iter().copied()).collect();
    let patches = Tensor::from_data(TensorData::new(logmel.clone(), [windows.len(), 96, 64]), &device());
    let output = Yamnet::new(&seeded::weights(), &device()).forward(patches);
    let [embeddings, scores] = [output.embeddings, output.scores].map(|t| t.into_data().try_into_vec::<f32>().unwrap());
    let differences = [
        max_difference(&thin(&logmel, logmel.len(), 61), &values(&golden["logmel_every_61st"])),
        max_difference(&thin(&embeddings, 1024, 3), &values(&golden["embeddings_every_3rd"])),
        max_difference(&thin(&scores, 521, 5), &values(&golden["scores_every_5th"])),
    ];
    println!("largest differences: log-mel, embeddings, scores {differences:?}");
    assert!(differences.iter().all(|difference| *difference < 2e-5), "{differences:?}");
}

#[test]
fn the_kernel_that_is_told_beforehand_is_the_one_that_computes() {
    for precision in [Precision::F32, Precision::Bf16Avx512, Precision::Bf16Amx] {
        let told = Kernel::of(precision);
        assert_eq!(told.word, YamnetEmbedder::load(&seeded::weights(), precision).kernel(), "{precision}");
        let has_instructions = ["avx512-bf16", "amx"].contains(&told.word);
        assert_eq!(told.is_native, precision == Precision::F32 || has_instructions, "{precision}");
    }
}

#[test]
fn the_bits_of_a_row_do_not_depend_on_its_batch() {
    let all = windows(Windowing::YAMNET, &seeded::waveform(320_000));
    for precision in [Precision::F32, Precision::Bf16Avx512, Precision::Bf16Amx] {
        let embedder = YamnetEmbedder::load(&seeded::weights(), precision);
        let rows = embedder.embed(&all).unwrap();
        for count in [1, 2, 7, 16, 17, 33] {
            let from = all.len() - count;
            assert_eq!(embedder.embed(&all[from..]).unwrap(), rows[from * 1024..], "{count} windows");
        }
        // Neighbours that share nothing, and neighbours that share frames of which the first has others that are spoilt.
        let apart: Vec<Window> = all.iter().step_by(2).cloned().collect();
        let alone: Vec<f32> = rows.chunks_exact(1024).step_by(2).flatten().copied().collect();
        assert_eq!(embedder.embed(&apart).unwrap(), alone);
        for frames in [96, 48] {
            let mut logmel = all[0].logmel.clone();
            logmel[..frames * 64].fill(f32::NAN);
            let beside = embedder.embed(&[Window { logmel, ..all[0].clone() }, all[1].clone()]).unwrap();
            assert!(beside[..1024].iter().all(|value| value.is_nan()));
            assert_eq!(beside[1024..], rows[1024..2048]);
        }
    }
}

#[test]
fn the_kernels_compute_what_the_burn_module_computes() {
    let weights = seeded::weights();
    let windows = windows(Windowing::YAMNET, &seeded::waveform(32_000));
    let logmel: Vec<f32> = windows.iter().flat_map(|w| w.logmel.iter().copied()).collect();
    let patches = Tensor::from_data(TensorData::new(logmel, [windows.len(), 96, 64]), &device());
    let expected: Vec<f32> = Yamnet::new(&weights, &device()).embed(patches).into_data().try_into_vec().unwrap();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let rows = YamnetEmbedder::with_isa(&weights, Precision::F32, isa).embed(&windows).unwrap();
        assert!(max_difference(&rows, &expected) < 1e-4, "{isa}: {}", max_difference(&rows, &expected));
    }
    for precision in [Precision::Bf16Avx512, Precision::Bf16Amx] {
        let embed = |isa| YamnetEmbedder::with_isa(&weights, precision, isa).embed(&windows).unwrap();
        let rows = embed(Isa::Portable);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            assert!(embed(isa) == rows, "{precision} on {isa}");
        }
        for (row, expected) in rows.chunks_exact(1024).zip(expected.chunks_exact(1024)) {
            assert!(cosine(row, expected) > 0.999, "{precision}: {}", cosine(row, expected));
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The spectrogram of `tests/oracles/logmel_features.py`.
fn spectrogram(frames: usize) -> Window {
    let value = |t: usize, band: usize| {
        let rough = ((t * 7_919 + band * 104_729 + t * band * 31) % 1_009) as f64 / 1_009.0;
        let slow = (((t * (band + 3)) % 400) as f64 - 200.0).abs() / 200.0;
        (-7.0 + 8.0 * slow + 3.0 * rough) as f32
    };
    let logmel = (0..frames * 64).map(|i| value(i / 64, i % 64)).collect();
    Window { start_s: 0.0, frames, logmel }
}

#[test]
fn the_weights_free_embedding_reproduces_numpy() {
    let golden = golden("logmel_features");
    for (frames, expected) in golden.as_object().unwrap() {
        let row = LogMelEmbedder::new().embed(&[spectrogram(frames.parse().unwrap())]).unwrap();
        let difference = max_difference(&row, &values(expected));
        println!("{frames} frames: largest difference {difference}");
        assert!(difference < 1e-4, "{frames} frames: {difference}");
    }
}

//! Parity with genuine YAMNet on real and synthetic clips, and the published checks. Needs the reference data.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the other tests use more of it")]
mod reference;

use burn::tensor::{Tensor, TensorData};
use ecosight_models::embedder::{Embedder, Precision};
use ecosight_models::frontend::{Window, Windowing};
use ecosight_models::weights::YamnetWeights;
use ecosight_models::yamnet::{Yamnet, YamnetEmbedder, device};
use reference::{max_difference, npz, wav, windows};

/// Largest absolute difference from the reference.
const TOLERANCE: f32 = 2e-5;

/// Embeddings and scores of patches.
fn run(network: &Yamnet, windows: &[Window]) -> [Vec<f32>; 2] {
    let patches: Vec<f32> = windows.iter().flat_map(|w| w.logmel.iter().copied()).collect();
    let patches = Tensor::from_data(TensorData::new(patches, [windows.len(), 96, 64]), &device());
    let output = network.forward(patches);
    [output.embeddings, output.scores].map(|tensor| tensor.into_data().try_into_vec().unwrap())
}

#[test]
fn genuine_weights_reproduce_the_reference() {
    let Some(folder) = reference::folder("genuine_weights_reproduce_the_reference") else {
        return;
    };
    let weights = YamnetWeights::from_h5(&folder.join("weights/yamnet.h5")).unwrap();
    let (network, embedder) = (Yamnet::new(&weights, &device()), YamnetEmbedder::load(&weights, Precision::F32));
    let golden = npz::read(&folder.join("golden/yamnet_golden.npz"));
    let mut worst = [0.0f32; 4];
    let mut clips = 0;
    for name in golden.keys().filter_map(|key| key.strip_suffix("/logmel")) {
        let clip = wav::read(&folder.join(format!("golden/wav/{name}.wav")));
        let patches = windows(Windowing::YAMNET, &clip);
        let logmel: Vec<f32> = patches.iter().flat_map(|w| w.logmel.iter().copied()).collect();
        let [embeddings, scores] = run(&network, &patches);
        let batched = embedder.embed(&patches).unwrap();
        let found = [("logmel", &logmel), ("embeddings", &embeddings), ("scores", &scores), ("embeddings", &batched)];
        for (worst, (kind, values)) in worst.iter_mut().zip(found) {
            *worst = worst.max(max_difference(values, &golden[&format!("{name}/{kind}")]));
        }
        clips += 1;
    }
    println!(
        "largest differences: log-mel {}, embeddings {}, scores {}, batched {}",
        worst[0], worst[1], worst[2], worst[3]
    );
    assert_eq!(clips, 12);
    assert!(worst.iter().all(|difference| *difference < TOLERANCE), "{worst:?}");
}

#[test]
fn the_published_checks_hold() {
    let Some(folder) = reference::folder("the_published_checks_hold") else {
        return;
    };
    let network = Yamnet::new(&YamnetWeights::from_h5(&folder.join("weights/yamnet.h5")).unwrap(), &device());
    let names = std::fs::read_to_string(folder.join("weights/yamnet_class_map.csv")).unwrap();
    let names: Vec<&str> = names.lines().skip(1).map(|line| line.splitn(3, ',').nth(2).unwrap()).collect();
    let best = |clip: &[f32]| -> Vec<&str> {
        let patches = windows(Windowing::YAMNET, clip);
        let [_, scores] = run(&network, &patches);
        let mean = |class: usize| scores.iter().skip(class).step_by(names.len()).sum::<f32>();
        let mut classes: Vec<usize> = (0..names.len()).collect();
        classes.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
        classes.iter().take(10).map(|&class| names[class]).collect()
    };
    assert_eq!(best(&vec![0.0; 48_000])[0], "Silence");
    let noise: Vec<f32> = reference::seeded::noise(48_000);
    assert_eq!(best(&noise)[0], "White noise");
    let sine: Vec<f32> = (0..48_000u16).map(|i| (f32::from(i) * 440.0 / 16_000.0).fract()).collect();
    let sine: Vec<f32> = sine.iter().map(|turn| (turn * std::f32::consts::TAU).sin()).collect();
    assert!(best(&sine).contains(&"Sine wave"));
}

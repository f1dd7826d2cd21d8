//! Reading weights that are sound, damaged, or something else altogether; the cache that keeps them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the other tests use more of it")]
mod reference;

use std::fs;
use std::panic::catch_unwind;

use ecosight_models::weights::{WeightsCache, WeightsErrorKind, YamnetWeights};
use reference::seeded;

fn kind(bytes: &[u8]) -> WeightsErrorKind {
    YamnetWeights::from_bytes(bytes.to_vec()).unwrap_err()
}

#[test]
fn safetensors_round_trips_to_the_same_bytes_and_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
    let weights = seeded::weights();
    weights.save_safetensors(&first).unwrap();
    let again = YamnetWeights::from_safetensors(&first).unwrap();
    assert_eq!(again, weights);
    again.save_safetensors(&second).unwrap();
    assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
}

#[test]
fn the_content_hash_of_the_seeded_weights_is_pinned() {
    let hash = "295087fde644cdcdda5b92d8d4abca84281520db067d8d118da00437edf8fce8";
    assert_eq!(seeded::weights().content_hash().as_str(), hash);
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("saved_model.pb"), "x").unwrap();
    for path in [folder.path().to_owned(), folder.path().join("saved_model.pb")] {
        assert!(matches!(YamnetWeights::from_h5(&path).unwrap_err().kind, WeightsErrorKind::SavedModel));
    }
    assert!(matches!(kind(b"PK\x03\x04rest"), WeightsErrorKind::Archive));
    assert!(matches!(kind(b"\x1c\0\0\0TFL3"), WeightsErrorKind::TensorFlowLite));
    assert!(matches!(kind(b""), WeightsErrorKind::UnknownFormat));
    assert!(matches!(kind(b"RIFF and so on"), WeightsErrorKind::UnknownFormat));
    assert!(matches!(kind(b"\x89HDF\r\n\x1a\n"), WeightsErrorKind::Hdf5(_)));
    assert!(
        matches!(kind(b"\x02\0\0\0\0\0\0\0{}"), WeightsErrorKind::Missing { tensor } if tensor == "layer1/conv/kernel")
    );
    let endless = b"\xff\xff\xff\xff\xff\xff\xff\xff{}";
    assert!(matches!(kind(endless), WeightsErrorKind::Safetensors(_)));
}

#[test]
fn values_that_no_network_has_are_refused() {
    let poisoned = |at: &'static str, value: f32| {
        let sound = seeded::weights();
        let result = YamnetWeights::from_fn(|spec| {
            let mut values = sound.tensor(&spec.name()).to_vec();
            if spec.name() == at {
                values[0] = value;
            }
            values
        });
        matches!(result, Err(WeightsErrorKind::Value { tensor }) if tensor == at)
    };
    assert!(poisoned("logits/bias", f32::NAN));
    assert!(poisoned("layer2/depthwise_conv/bn/moving_variance", -0.5));
    let short = YamnetWeights::from_fn(|_| vec![0.0]).unwrap_err();
    assert!(matches!(short, WeightsErrorKind::Shape { tensor, .. } if tensor == "layer1/conv/kernel"));
}

#[test]
fn an_import_is_kept_once_and_becomes_current() {
    let folder = tempfile::tempdir().unwrap();
    let cache = WeightsCache::new(&folder.path().join("cache"));
    assert!(cache.current().unwrap().is_none() && cache.list().unwrap().is_empty());
    let (file, other) = (folder.path().join("mine.weights"), folder.path().join("other"));
    seeded::weights().save_safetensors(&file).unwrap();
    let sound = seeded::weights();
    let halved =
        |spec: &ecosight_models::weights::TensorSpec| sound.tensor(&spec.name()).iter().map(|v| v / 2.0).collect();
    YamnetWeights::from_fn(halved).unwrap().save_safetensors(&other).unwrap();

    let first = cache.import(&file, "here", "2025-01-01T00:00:00Z").unwrap();
    assert!(!first.official && first.source == "here");
    let second = cache.import(&other, "there", "2025-01-02T00:00:00Z").unwrap();
    assert_eq!(cache.current().unwrap(), Some(second));
    assert_eq!(cache.import(&file, "here", "2025-01-03T00:00:00Z").unwrap(), first, "the first record stays");
    assert_eq!(cache.current().unwrap().as_ref(), Some(&first));
    assert_eq!(cache.list().unwrap().len(), 2);
    assert_eq!(cache.load_current().unwrap().unwrap(), seeded::weights());

    let kept = folder.path().join(format!("cache/yamnet/{}.safetensors", first.content_hash));
    fs::copy(&other, &kept).unwrap();
    assert!(matches!(cache.load(&first.content_hash).unwrap_err().kind, WeightsErrorKind::Damaged { .. }));
    cache.import(&file, "here", "2025-01-04T00:00:00Z").unwrap();
    assert!(cache.load(&first.content_hash).is_ok(), "another import repairs it");
}

/// Bytes at which a file is cut or changed: its header and tables, densely, then the rest.
fn places(len: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |i| if i % 2 == 0 { (i * 37) % len.min(60_000) } else { (i * 2_654_435_761) % len })
}

fn never_panics(bytes: &[u8], count: usize) {
    for (i, at) in places(bytes.len(), count).enumerate() {
        let hostile = if i % 4 == 0 {
            bytes[..at].to_vec()
        } else {
            let mut copy = bytes.to_vec();
            copy[at] = [0x00, 0xff, copy[at] ^ 1, copy[at] ^ 0x80][i / 4 % 4];
            copy
        };
        let outcome = catch_unwind(|| YamnetWeights::from_bytes(hostile).map(drop));
        let outcome = outcome.unwrap_or_else(|_| panic!("byte {at} of {}", bytes.len()));
        assert!(i % 4 != 0 || outcome.is_err(), "a file cut at {at} was accepted");
    }
}

#[test]
fn damaged_safetensors_are_refused_without_a_panic() {
    let file = tempfile::NamedTempFile::new().unwrap();
    seeded::weights().save_safetensors(file.path()).unwrap();
    never_panics(&fs::read(file.path()).unwrap(), 40);
}

#[test]
fn damaged_hdf5_is_refused_without_a_panic() {
    let Some(folder) = reference::folder("damaged_hdf5_is_refused_without_a_panic") else {
        return;
    };
    never_panics(&fs::read(folder.join("weights/yamnet.h5")).unwrap(), 80);
}

#[test]
fn hdf5_and_safetensors_of_the_same_network_have_the_same_hash() {
    let Some(folder) = reference::folder("hdf5_and_safetensors_of_the_same_network_have_the_same_hash") else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let record = WeightsCache::new(cache.path())
        .import(&folder.join("weights/yamnet.h5"), "yamnet.h5", "2025-01-01T00:00:00Z")
        .unwrap();
    assert!(!record.official, "the reference weights are dequantised, not the published file");
    let kept = cache.path().join(format!("yamnet/{}.safetensors", record.content_hash));
    assert_eq!(YamnetWeights::from_safetensors(&kept).unwrap().content_hash(), &record.content_hash);
}

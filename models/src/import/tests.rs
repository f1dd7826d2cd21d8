use std::io::{Cursor, Read, Write};
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::dense::{Activation, Dense};

const PLAIN: &[u8] = include_bytes!("../../../tests/fixtures/keras/keras_plain.keras");
const NORMALISED: &[u8] = include_bytes!("../../../tests/fixtures/keras/keras_normalised.keras");
const TF_PLAIN: &[u8] = include_bytes!("../../../tests/fixtures/keras/tf_keras_plain.keras");
const TF_NORMALISED: &[u8] = include_bytes!("../../../tests/fixtures/keras/tf_keras_normalised.keras");
const HUGE: &[u8] = include_bytes!("../../../tests/fixtures/keras/huge.keras");
const EXPECTED: &str = include_str!("../../../tests/fixtures/keras/expected.json");

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";

#[derive(Deserialize)]
struct Expected {
    mean_embedding: Vec<f32>,
    probabilities: std::collections::BTreeMap<String, Vec<f32>>,
}

fn kind(bytes: &[u8]) -> ImportErrorKind {
    KerasHead::from_bytes(bytes).unwrap_err()
}

fn message(bytes: &[u8]) -> String {
    kind(bytes).to_string()
}

fn member(archive: &[u8], name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    ZipArchive::new(Cursor::new(archive)).unwrap().by_name(name).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// An archive with another configuration.
fn with_config(archive: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let config = change(&String::from_utf8(member(archive, CONFIG)).unwrap());
    packed(&[(CONFIG, config.as_bytes()), (WEIGHTS, &member(archive, WEIGHTS))])
}

/// An archive with a word of its configuration replaced, which must be there.
fn replaced(archive: &[u8], from: &str, to: &str) -> Vec<u8> {
    with_config(archive, |config| {
        assert!(config.contains(from), "{from} is not in {config}");
        config.replacen(from, to, 1)
    })
}

#[test]
fn probabilities_are_those_of_keras() {
    let expected: Expected = serde_json::from_str(EXPECTED).unwrap();
    let files = [
        ("keras_plain", PLAIN),
        ("keras_normalised", NORMALISED),
        ("tf_keras_plain", TF_PLAIN),
        ("tf_keras_normalised", TF_NORMALISED),
    ];
    for (name, bytes) in files {
        let head = KerasHead::from_bytes(bytes).unwrap();
        assert_eq!((head.input_dim(), head.classes()), (16, 3));
        let (found, expected) = (head.predict(&expected.mean_embedding), &expected.probabilities[name]);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{name}: {found:?} and {expected:?}");
    }
}

#[test]
fn layers_are_those_of_the_file() {
    let widths =
        |bytes| -> Vec<usize> { KerasHead::from_bytes(bytes).unwrap().layers().iter().map(Dense::outputs).collect() };
    assert_eq!(widths(PLAIN), [12, 8, 6, 4, 3]);
    assert_eq!(widths(NORMALISED), [8, 6, 3]);
    let activations: Vec<_> =
        KerasHead::from_bytes(NORMALISED).unwrap().layers().iter().map(|l| l.activation).collect();
    assert_eq!(activations, [Activation::Relu, Activation::Relu, Activation::Softmax]);
}

#[test]
fn an_embedding_that_does_not_vary_has_probabilities() {
    let found = KerasHead::from_bytes(PLAIN).unwrap().predict(&[0.0; 16]);
    assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{found:?}");
}

#[test]
fn a_packed_archive_reads_like_a_stored_one() {
    let packed = packed(&[(CONFIG, &member(PLAIN, CONFIG)), (WEIGHTS, &member(PLAIN, WEIGHTS))]);
    assert!(packed.len() < PLAIN.len());
    assert_eq!(KerasHead::from_bytes(&packed).unwrap(), KerasHead::from_bytes(PLAIN).unwrap());
}

#[test]
fn other_files_are_named_for_what_they_are() {
    assert!(matches!(kind(b""), ImportErrorKind::Zip(_)));
    assert!(matches!(kind(b"no archive"), ImportErrorKind::Zip(_)));
    assert!(matches!(kind(&PLAIN[..PLAIN.len() / 2]), ImportErrorKind::Zip(_)));
    assert!(matches!(kind(&member(PLAIN, WEIGHTS)), ImportErrorKind::Hdf5File));
    let (config, weights) = (member(PLAIN, CONFIG), member(PLAIN, WEIGHTS));
    assert!(matches!(kind(&packed(&[(CONFIG, &config)])), ImportErrorKind::MissingMember(WEIGHTS)));
    assert!(matches!(kind(&packed(&[(WEIGHTS, &weights)])), ImportErrorKind::MissingMember(CONFIG)));
    assert!(matches!(kind(&packed(&[(CONFIG, b"{"), (WEIGHTS, &weights)])), ImportErrorKind::Config(_)));
    assert!(matches!(kind(&packed(&[(CONFIG, &config), (WEIGHTS, b"no HDF5")])), ImportErrorKind::Hdf5(_)));
    let missing = read_keras(Path::new("nowhere.keras")).unwrap_err();
    assert!(missing.to_string() == "classifier `nowhere.keras`" && matches!(missing.kind, ImportErrorKind::Read(_)));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let functional = replaced(PLAIN, r#""class_name": "Sequential""#, r#""class_name": "Functional""#);
    assert_eq!(message(&functional), "the model is a `Functional`; only `Sequential` ones are read");
    let conv = replaced(
        NORMALISED,
        r#""class_name": "Dense", "config": {"name": "first""#,
        r#""class_name": "Conv1D", "config": {"name": "first""#,
    );
    assert!(message(&conv).starts_with("layer `first`: `Conv1D` is not read; Dense,"), "{}", message(&conv));
    let swish = replaced(PLAIN, r#""activation": "relu""#, r#""activation": "swish""#);
    assert!(message(&swish).contains("`swish` is not read; the activations linear,"), "{}", message(&swish));
    let object = replaced(PLAIN, r#""activation": "relu""#, r#""activation": {"class_name": "ReLU"}"#);
    assert!(message(&object).contains("an activation with settings"), "{}", message(&object));
    let open_ended = replaced(PLAIN, r#""activation": "softmax""#, r#""activation": "sigmoid""#);
    assert_eq!(message(&open_ended), "the model does not end in a softmax");
    let twice = replaced(NORMALISED, r#""units": 6, "activation": "linear""#, r#""units": 6, "activation": "relu""#);
    assert!(message(&twice).starts_with("layer `activation`: an activation that does not"), "{}", message(&twice));
    let epsilon = replaced(NORMALISED, r#""epsilon": 0.01"#, r#""epsilon": -1.0"#);
    assert!(message(&epsilon).contains("epsilon -1 is not read"), "{}", message(&epsilon));
    let empty = with_config(PLAIN, |_| r#"{"class_name": "Sequential", "config": {"layers": []}}"#.to_owned());
    assert_eq!(message(&empty), "the model does not end in a softmax");
}

#[test]
fn variables_that_do_not_fit_are_named_with_their_shapes() {
    let wider = replaced(PLAIN, r#""units": 8"#, r#""units": 9"#);
    assert_eq!(message(&wider), "`layers/dense_1/vars/0` has shape [12, 8] instead of [12, 9]");
    let biased = replaced(NORMALISED, r#""use_bias": false"#, r#""use_bias": true"#);
    assert_eq!(message(&biased), "`model.weights.h5` has no `layers/dense_1/vars/1`");
    let fewer = replaced(NORMALISED, r#""class_name": "BatchNormalization""#, r#""class_name": "Dropout""#);
    assert!(message(&fewer).starts_with("`layers/batch_normalization/vars/0` has shape [16]"), "{}", message(&fewer));
    let unscaled = replaced(NORMALISED, r#""center": false, "scale": true"#, r#""center": true, "scale": true"#);
    assert_eq!(message(&unscaled), "`model.weights.h5` has no `layers/batch_normalization/vars/3`");
}

#[test]
fn what_is_huge_is_not_unpacked() {
    let shape = message(HUGE);
    assert_eq!(shape, "`layers/dense/vars/0` has shape [1099511627776, 12] instead of [inputs, 12]");
    let bomb = packed(&[(CONFIG, &vec![b' '; 5 * 1024 * 1024])]);
    assert!(bomb.len() < 10_000, "the archive is small");
    assert!(matches!(kind(&bomb), ImportErrorKind::TooLarge { part: CONFIG, .. }));
    let units = replaced(PLAIN, r#""units": 12"#, r#""units": 18446744073709551615"#);
    assert!(matches!(kind(&units), ImportErrorKind::Shape { .. }));
}

#[test]
fn values_that_no_network_has_are_refused() {
    let mut weights = member(PLAIN, WEIGHTS);
    let value = KerasHead::from_bytes(PLAIN).unwrap().layers()[4].bias[1].to_le_bytes();
    let at: Vec<usize> = (0..weights.len() - 4).filter(|&i| weights[i..i + 4] == value).collect();
    assert_eq!(at.len(), 1, "the value is found once in the file");
    weights[at[0]..at[0] + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let poisoned = packed(&[(CONFIG, &member(PLAIN, CONFIG)), (WEIGHTS, &weights)]);
    assert_eq!(message(&poisoned), "`layers/dense_4/vars/1` holds a value that no trained network has");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damaged_bytes_never_panic(at in 0usize..100_000, value in any::<u8>(), cut in 0usize..100_000) {
        for bytes in [PLAIN, TF_NORMALISED] {
            let mut damaged = bytes.to_vec();
            let (at, cut) = (at % bytes.len(), cut % bytes.len());
            damaged[at] = value;
            let _ = KerasHead::from_bytes(&damaged);
            let _ = KerasHead::from_bytes(&damaged[..cut]);
            // Past the checksum of the archive.
            let mut weights = member(bytes, WEIGHTS);
            let at = at % weights.len();
            weights[at] = value;
            if let Ok(head) = KerasHead::from_bytes(&packed(&[(CONFIG, &member(bytes, CONFIG)), (WEIGHTS, &weights)])) {
                prop_assert_eq!(head.predict(&[0.5; 16]).len(), 3);
            }
        }
    }
}

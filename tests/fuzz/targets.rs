//! What is fuzzed: readers of bytes that strangers wrote. Each takes any bytes, and has to return.
//!
//! `cargo fuzz` calls these with what its search finds (`fuzz_targets/`), the tests with changed fixtures (`../fuzz_smoke.rs`).

use std::fs;
use std::io::Cursor;
use std::path::Path;

use ecosight_datasets::audio::{self, Span};
use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::{AudioKey, ClassName, Layout, mended, sanitised};
use ecosight_datasets::manifest::{Corrections, read_audacity, read_manifest_file, read_raven};
use ecosight_datasets::moment::Moment;
use ecosight_datasets::store::{Credentials, Environment, Place};
use ecosight_datasets::tables::{ClipRow, EmbedParts, read_file, read_files_index};
use ecosight_models::artefact::{Artefact, MODEL_FILE, WEIGHTS_FILE};
use ecosight_models::import::KerasHead;
use ecosight_models::weights::YamnetWeights;

/// A target with its name and the endings of the fixtures that it starts from.
pub(crate) type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

/// All of them.
pub(crate) const TARGETS: [Target; 19] = [
    ("sniff", sniff, &["wav", "flac", "mp3", "ogg", "m4a", "aac", "aiff", "opus"]),
    ("decode_wav", decode, &["wav", "WAV"]),
    ("decode_flac", decode, &["flac"]),
    ("decode_mp3", decode, &["mp3"]),
    ("decode_ogg", decode, &["ogg", "opus"]),
    ("decode_mp4", decode, &["m4a"]),
    ("decode_adts", decode, &["aac"]),
    ("decode_aiff", decode, &["aiff", "aifc"]),
    ("raven", raven, &["selections"]),
    ("audacity", audacity, &["labels"]),
    ("manifest_csv", manifest_csv, &["csv"]),
    ("manifest_parquet", manifest_parquet, &["parquet"]),
    ("corrections", corrections, &["csv"]),
    ("keras", keras, &["keras"]),
    ("h5", h5, &["h5", "keras"]),
    ("artefact", artefact, &["json"]),
    ("parts", parts, &["parquet"]),
    ("environment", environment, &["env"]),
    ("keys", keys, &["names"]),
];

/// The container of a recording, as far as its first bytes tell.
pub(crate) fn sniff(data: &[u8]) {
    audio::sniff(data);
}

/// A recording in any container, as a whole and a span of it.
pub(crate) fn decode(data: &[u8]) {
    for span in [None, Some(Span { start_s: 0.1, end_s: Some(1.5) })] {
        if let Ok(wave) = audio::decode(Box::new(Cursor::new(data.to_vec())), span) {
            assert!(!wave.is_empty() && wave.iter().all(|x| x.is_finite()));
        }
    }
}

/// A selection table of Raven.
pub(crate) fn raven(data: &[u8]) {
    let _ = read_raven(&String::from_utf8_lossy(data));
}

/// A label file of Audacity.
pub(crate) fn audacity(data: &[u8]) {
    let _ = read_audacity(&String::from_utf8_lossy(data));
}

/// A manifest in CSV.
pub(crate) fn manifest_csv(data: &[u8]) {
    let _ = read_manifest_file(&Place::Local("clips.csv".into()), data.to_vec());
}

/// A manifest in Parquet.
pub(crate) fn manifest_parquet(data: &[u8]) {
    let _ = read_manifest_file(&Place::Local("clips.parquet".into()), data.to_vec());
}

/// Corrected labels, as earlier versions kept them.
pub(crate) fn corrections(data: &[u8]) {
    in_folder(&[("corrections.csv", data)], |folder| {
        let _ = Corrections::read_old(&folder.join("corrections.csv"));
    });
}

/// A classifier that Keras saved.
pub(crate) fn keras(data: &[u8]) {
    let _ = KerasHead::from_bytes(data);
}

/// The weights of YAMNet.
pub(crate) fn h5(data: &[u8]) {
    in_folder(&[("yamnet.h5", data)], |folder| {
        let _ = YamnetWeights::from_h5(&folder.join("yamnet.h5"));
    });
}

/// A model: the bytes up to the first NUL describe it, the rest are its weights.
pub(crate) fn artefact(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (model, weights) = data.split_at(end);
    in_folder(&[(MODEL_FILE, model), (WEIGHTS_FILE, weights.get(1..).unwrap_or_default())], |folder| {
        let _ = Artefact::load(folder);
    });
}

/// A part of a table, and the indexes of files and of embeddings.
pub(crate) fn parts(data: &[u8]) {
    in_folder(&[("index/files.parquet", data), ("index/embed.parquet", data)], |folder| {
        let layout = Layout::new(folder);
        let _ = read_file::<ClipRow>(&layout.files_index());
        let _ = read_files_index(&layout);
        let _ = EmbedParts::read(&layout);
    });
}

/// A file `.env`, and the profiles of AWS.
pub(crate) fn environment(data: &[u8]) {
    in_folder(&[(".env", data), ("credentials", data), ("config", data)], |folder| {
        let _ = Environment::read(folder);
        let [credentials, config] = ["credentials", "config"].map(|name| folder.join(name).display().to_string());
        let variables = [
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()),
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_PROFILE", "other"),
        ];
        let _ = Credentials::find(&Environment::of(variables));
    });
}

/// Names of files, keys of objects, identities and dates.
pub(crate) fn keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let plain = sanitised(&text);
    assert_eq!(sanitised(&plain), plain);
    if let Some(key) = AudioKey::parse(&text) {
        assert_eq!(key.to_string(), text);
    }
    let _ = (ClassName::new(&text), text.parse::<ClipId>(), Place::parse(&text), mended(&text, 0));
    let _ = (Moment::parse(&text), Moment::in_name(&text));
}

/// Does `work` in a folder that holds these files.
fn in_folder(files: &[(&str, &[u8])], work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
        fs::write(path, bytes).expect("a file can be written");
    }
    work(folder.path());
}

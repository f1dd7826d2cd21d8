//! Taking recordings in, without a bucket and with a clock that stands still.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use ecosight_datasets::layout::{ClassName, Layout};

use super::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).unwrap()
}

struct Root {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("root"));
        Self { dir, layout }
    }

    fn ingest(&self) -> Ingest<'_> {
        Ingest::open(&self.layout, Rules::default(), None, noon).unwrap()
    }

    /// A tenth of a second of 8-bit noise that no other number has, with `behind` after it.
    fn clip(&self, number: u64, behind: &[u8]) -> PathBuf {
        let mut samples = vec![128_u8; 800];
        let mut state = number;
        for sample in &mut samples {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *sample = (state >> 33) as u8;
        }
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
        bytes.extend(800_u32.to_le_bytes());
        bytes.extend(samples);
        bytes.extend(behind);
        let path = self.dir.path().join(format!("{number}-{}.wav", behind.len()));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn stored(&self, path: &Path, name: &str, class: &str) -> Receipt {
        match self.ingest().accept(path, name, &ClassName::new(class).unwrap()).unwrap() {
            Answer::Stored(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    fn names(&self, class: &str) -> Vec<String> {
        let folder = self.layout.extracted_audio().join(class);
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn hostile_names_end_in_the_folder_of_their_class() {
    let root = Root::new();
    let names = ["../../x.wav", "..", "a\0b.wav", ".hidden", "C:\\x\\y.WAV", "日本 語.wav", "-rf $(x) '\".wav", ""];
    let long = "ä".repeat(300);
    for (number, name) in names.into_iter().chain([long.as_str()]).enumerate() {
        let receipt = root.stored(&root.clip(number as u64, b""), name, "dog");
        let path = receipt.local_path.unwrap();
        assert_eq!(path.parent().unwrap(), root.layout.extracted_audio().join("dog"), "{name:?}");
        assert!(AudioKey::parse(&receipt.track.key).is_some() && path.is_file(), "{name:?}");
        assert!(receipt.track.key.to_lowercase().ends_with(".wav"), "{name:?}: {}", receipt.track.key);
    }
    assert_eq!(root.names("dog").len(), names.len() + 1);
}

#[test]
fn two_of_one_name_and_second_are_told_apart_by_their_content() {
    let root = Root::new();
    let first = root.stored(&root.clip(1, b""), "a.wav", "dog");
    let second = root.stored(&root.clip(2, b""), "a.wav", "dog");
    assert_eq!(first.track.key, "extracted_audio/dog/20260101_120000_a.wav");
    let expected = format!("extracted_audio/dog/20260101_120000_a_{}.wav", &second.track.hash.to_string()[..8]);
    assert_eq!(second.track.key, expected);
    // A file that the index does not know is not overwritten either.
    fs::write(root.layout.root().join("extracted_audio/dog/20260101_120000_b.wav"), "in the way").unwrap();
    assert!(root.stored(&root.clip(3, b""), "b.wav", "dog").track.key.contains("_b_"));
}

#[test]
fn the_same_bytes_are_stored_once_in_a_class_and_told_of_in_another() {
    let root = Root::new();
    let clip = root.clip(1, b"");
    let first = root.stored(&clip, "a.wav", "dog");
    let again = root.ingest().accept(&clip, "b.wav", &ClassName::new("dog").unwrap()).unwrap();
    assert!(matches!(&again, Answer::AlreadyPresent(receipt) if receipt.track.key == first.track.key), "{again:?}");
    let other = root.stored(&clip, "a.wav", "cat");
    assert!(other.warnings[0].contains("filed under `dog`"), "{:?}", other.warnings);
    // What somebody has deleted is no longer there, and can come back.
    fs::remove_file(first.local_path.unwrap()).unwrap();
    let back = root.ingest().accept(&clip, "c.wav", &ClassName::new("dog").unwrap()).unwrap();
    assert!(matches!(back, Answer::AlreadyPresent(receipt) if receipt.local_path.as_ref().unwrap().is_file()));
}

#[test]
fn what_a_killed_process_has_left_is_finished_or_removed() {
    let root = Root::new();
    let (clip, class) = (root.clip(1, b""), ClassName::new("dog").unwrap());
    let hash = ContentHash::of_reader(File::open(&clip).unwrap()).unwrap();
    let keys = ["a", "b"].map(|name| format!("extracted_audio/dog/20260101_000000_{name}.wav"));
    let incoming = Incoming {
        class: &class,
        hash,
        size_bytes: 844,
        duration_s: 0.1,
        keys: keys.clone(),
        now_ms: 0,
        ingest_id: None,
    };
    // Killed behind the announcement, with half a file.
    let tracks = Tracks::open(&root.layout).unwrap().0;
    tracks.reserve(&incoming).unwrap();
    let folder = root.layout.extracted_audio().join("dog");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".ingest-x.tmp"), "half").unwrap();
    assert!(root.ingest().tracks().all().unwrap().is_empty(), "an announcement of another day");
    assert!(root.names("dog").is_empty());
    // Killed behind the file.
    tracks.reserve(&incoming).unwrap();
    fs::copy(&clip, root.layout.root().join(&keys[0])).unwrap();
    let answer = root.ingest().accept(&clip, "c.wav", &class).unwrap();
    assert!(matches!(answer, Answer::AlreadyPresent(receipt) if receipt.track.key == keys[0]));
    assert_eq!(root.names("dog"), ["20260101_000000_a.wav"]);
}

#[test]
fn a_lost_index_is_made_again_from_the_recordings() {
    let root = Root::new();
    let clips: Vec<_> = (0..5).map(|number| root.clip(number, b"LIST\x08\0\0\0INFO\0\0\0\0")).collect();
    for clip in &clips {
        drop(root.stored(clip, "a.wav", "dog"));
    }
    let before = root.ingest().tracks().all().unwrap();
    fs::remove_dir_all(root.layout.index()).unwrap();
    let answer = root.ingest().accept(&clips[3], "x.wav", &ClassName::new("dog").unwrap()).unwrap();
    assert!(matches!(answer, Answer::AlreadyPresent(_)));
    let done = root.ingest().reindex().unwrap();
    assert_eq!((done.local, done.bucket, done.strange.len()), (5, 0, 0));
    let after = root.ingest().tracks().all().unwrap();
    let plain = |tracks: &[Track]| tracks.iter().map(|t| (t.key.clone(), t.hash, t.duration_s)).collect::<Vec<_>>();
    assert_eq!(plain(&before), plain(&after));
}

#[test]
fn classes_are_known_configured_or_asked_for() {
    let root = Root::new();
    drop(root.stored(&root.clip(1, b""), "a.wav", "chainsaw"));
    let rules = Rules { classes: vec!["gunshot".into()], ..Rules::default() };
    let ingest = Ingest::open(&root.layout, rules, None, noon).unwrap();
    let code = |name: &str, new| ingest.class(name, new).unwrap().map_err(|no| (no.code, no.message));
    assert!(code("chainsaw", NewClass::Refused).is_ok() && code("gunshot", NewClass::Refused).is_ok());
    let (what, message) = code("chainsw", NewClass::Refused).unwrap_err();
    assert!(what == "unknown_class" && message.contains("did you mean `chainsaw`?"), "{message}");
    assert!(code("zebra", NewClass::Refused).unwrap_err().1.contains("there are `chainsaw`, `gunshot`"));
    assert!(code("zebra", NewClass::Welcome).is_ok());
    assert_eq!(code("../x", NewClass::Welcome).unwrap_err().0, "bad_class");
}

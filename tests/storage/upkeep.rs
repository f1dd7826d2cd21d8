//! Keys that are put right, and what is left over.

use std::fs::{self, File};
use std::time::Duration;

use super::{KEYS, beside_bucket, local, names};
use crate::moto::Moto;
use crate::support::Sandbox;

/// Originals under wrong keys, with their content.
const WRONG: [(&str, &str); 6] = [
    ("audio/dog/20250101_000000_a.wav", "a"),
    ("extracted_audio/Dog/20250101_000000_a.wav", "another a"),
    ("extracted_audio/dog/550e8400-e29b-41d4-a716-446655440000_b.wav", "b"),
    ("extracted_audio/Tree Frog/20250101_000000_c d.wav", "c"),
    ("extracted_audio/nowhere.wav", "d"),
    ("temp/dog/a.wav", "e"),
];

/// The names without times and hashes, which differ from test to test.
fn plain(names: &[String]) -> Vec<String> {
    let plain = |name: &String| match name.rsplit_once('/') {
        Some((folder, file)) if folder.starts_with("extracted_audio/") => format!("{folder}/{}", &file[16..]),
        _ => name.clone(),
    };
    names.iter().map(plain).collect()
}

#[test]
fn wrong_keys_in_a_folder_are_shown_first_and_then_put_right() {
    let sandbox = Sandbox::new();
    let root = sandbox.path().join("ecosight-data");
    for (key, text) in WRONG {
        fs::create_dir_all(root.join(key).parent().unwrap()).unwrap();
        fs::write(root.join(key), text).unwrap();
    }
    let before = names(&root);
    let shown = sandbox.json("storage fix-keys");
    assert_eq!((shown["wrong"].as_array().unwrap().len(), shown["unclear"].as_array().unwrap().len()), (4, 1));
    assert_eq!(names(&root), before);
    let fixed = sandbox.run("storage fix-keys --yes --json");
    assert_eq!(fixed.code, 1, "one is left: {}", fixed.stderr);
    let after = plain(&names(&root));
    assert_eq!(after.len(), before.len(), "{after:?}");
    for name in ["dog/a.wav", "dog/b.wav", "tree_frog/c_d.wav"] {
        assert!(after.contains(&format!("extracted_audio/{name}")), "{name} in {after:?}");
    }
    let hashed = after.iter().filter(|name| name.starts_with("extracted_audio/dog/a_")).count();
    assert_eq!(hashed, 1, "two that want one name are told apart: {after:?}");
    let again = sandbox.run("storage fix-keys --yes --json");
    assert!(again.stdout.contains("\"wrong\": []"), "{}", again.stdout);
}

#[cfg(unix)]
#[test]
fn a_recording_that_a_link_shows_under_its_right_key_stays() {
    let sandbox = Sandbox::new();
    let root = sandbox.path().join("ecosight-data");
    let key = "extracted_audio/dog/20250101_000000_a.wav";
    fs::create_dir_all(root.join("extracted_audio/dog")).unwrap();
    fs::write(root.join(key), "a").unwrap();
    std::os::unix::fs::symlink("extracted_audio", root.join("audio")).unwrap();
    std::os::unix::fs::symlink("dog", root.join("extracted_audio/Dog")).unwrap();
    // A link to the file alone.
    fs::create_dir_all(root.join("Extracted_Audio/dog")).unwrap();
    let link = root.join("Extracted_Audio/dog/20250101_000000_a.wav");
    std::os::unix::fs::symlink(root.join(key), &link).unwrap();
    let fixed = sandbox.run("storage fix-keys --yes");
    assert!(fixed.code != 0 && fixed.stderr.contains("is the same file"), "{} {}", fixed.code, fixed.stderr);
    assert_eq!(fs::read(root.join(key)).unwrap(), b"a");
    assert!(link.exists());
}

#[test]
fn a_recording_with_labels_beside_it_is_left_to_people() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("ecosight-data/extracted_audio/dog");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in [("a.wav", "a"), ("a.txt", "0\t1\tdog\n"), ("20250101T000000_b.wav", "b")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let fixed = sandbox.run("storage fix-keys --yes");
    assert!(fixed.code == 1 && fixed.stderr.contains("labels lies beside it; move both by hand"), "{}", fixed.stderr);
    assert_eq!(names(&folder), ["20250101_000000_b.wav", "a.txt", "a.wav"]);
}

#[test]
fn a_place_within_a_store_is_refused_because_its_keys_tell_nothing() {
    let sandbox = local();
    for place in ["ecosight-data/extracted_audio", "ecosight-data/extracted_audio/dog"] {
        let refused = sandbox.run(&format!("storage fix-keys {place}"));
        assert!(refused.code == 2 && refused.stderr.contains("name the root"), "{} {}", refused.code, refused.stderr);
    }
    sandbox.ok("storage fix-keys ecosight-data");
}

#[test]
fn the_index_follows_a_key_that_is_put_right_in_its_bucket() {
    let (server, sandbox) = beside_bucket();
    let wrong = "extracted_audio/dog/20260102T030405_x.wav";
    server.put(wrong, fs::read(sandbox.path().join("ecosight-data").join(KEYS[0])).unwrap());
    sandbox.ok("storage reindex");
    sandbox.ok("storage fix-keys --yes");
    let right = "extracted_audio/dog/20260102_030405_x.wav";
    assert!(server.bucket_folder().join(right).exists() && !server.bucket_folder().join(wrong).exists());
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
}

/// A server of buckets, which tells more than ours, and a machine that uses one of them; none where there is no Python.
fn beside_moto() -> Option<(Moto, Sandbox)> {
    let moto = Moto::start()?;
    moto.bucket("recordings");
    let variables = [
        ("S3_BUCKET", "recordings"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("S3_ENDPOINT_URL", moto.url()),
    ];
    let sandbox = Sandbox::with_env(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    Some((moto, sandbox))
}

#[test]
fn keys_that_no_path_can_be_are_put_right_in_a_bucket() {
    let Some((moto, sandbox)) = beside_moto() else { return };
    for (key, text) in WRONG {
        moto.put(&format!("recordings/{}", key.replace(' ', "%20")), text);
    }
    moto.put("recordings/extracted_audio//owl/20250101_000000_h.wav", "h");
    moto.put("recordings/extracted_audio/owl/%2E%2E/20250101_000000_i.wav", "i");
    moto.put("recordings/extracted_audio/owl/20250101_000000_%1B[31mj.wav", "j");
    moto.put("recordings/extracted_audio/i.wav", "not i");
    let partly = sandbox.run("storage ls -r extracted_audio");
    assert!(partly.code == 0 && partly.stderr.contains("fix-keys"), "{} {}", partly.code, partly.stderr);
    assert!(!partly.stderr.contains('\u{1b}') && partly.stdout.contains("Tree Frog"), "{}", partly.stderr);
    assert_eq!(sandbox.json("storage fix-keys")["wrong"].as_array().unwrap().len(), 7);
    let fixed = sandbox.run("storage fix-keys --yes --json");
    assert_eq!(fixed.code, 1, "one is left: {}", fixed.stderr);
    let listed = sandbox.json("storage ls -r extracted_audio");
    let names: Vec<_> = listed["objects"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!(listed["unreadable"], serde_json::json!([]));
    for (name, content) in [("h", "h"), ("i", "i"), ("__31mj", "j")] {
        let key = format!("recordings/extracted_audio/owl/20250101_000000_{name}.wav");
        assert_eq!(moto.get(&key), content, "{key} in {names:?}");
    }
    assert_eq!(moto.get("recordings/extracted_audio/i.wav"), "not i", "no server takes the key for a path");
    assert!(sandbox.run("storage fix-keys --yes --json").stdout.contains("\"wrong\": []"));
}

#[test]
fn only_what_is_certainly_garbage_is_removed() {
    let sandbox = local();
    let root = sandbox.path().join("ecosight-data");
    let stale = ["extracted_audio/dog/.ingest-x.tmp", "extracted_audio/.y.tmp", "temp/old.wav"];
    let fresh = ["extracted_audio/dog/.z.tmp", "temp/new.wav"];
    for name in stale.iter().chain(&fresh) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "x").unwrap();
    }
    for name in stale.iter().chain(&KEYS) {
        let file = File::options().write(true).open(root.join(name)).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - Duration::from_hours(30)).unwrap();
    }
    let shown = sandbox.json("storage gc");
    assert_eq!(shown["removable"].as_array().unwrap().len(), 3, "{shown}");
    assert_eq!(sandbox.json("storage gc --dry-run"), shown);
    assert_eq!(names(&root).len(), 9);
    assert_eq!(sandbox.json("storage gc --yes")["removable"].as_array().unwrap().len(), 3);
    let mut left: Vec<_> = KEYS.iter().chain(&fresh).map(|name| (*name).to_owned()).collect();
    left.sort();
    assert_eq!(names(&root), left);
    assert_eq!(sandbox.json("storage gc --yes")["removable"].as_array().unwrap().len(), 0);
}

#[test]
fn what_index_and_bucket_say_differently_is_told_and_kept() {
    let (server, sandbox) = beside_bucket();
    sandbox.ok("storage reindex");
    sandbox.ok("storage migrate");
    let nothing = sandbox.json("storage gc");
    assert_eq!((&nothing["kept"], &nothing["removable"]), (&serde_json::json!([]), &serde_json::json!([])));
    fs::remove_file(server.bucket_folder().join(KEYS[0])).unwrap();
    fs::remove_file(sandbox.path().join("ecosight-data").join(KEYS[2])).unwrap();
    server.put("extracted_audio/fox/20260102_030409_x.wav", vec![1]);
    let told = sandbox.json("storage gc --yes");
    let kept: Vec<_> = told["kept"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(kept, [KEYS[2], KEYS[0], "extracted_audio/fox/20260102_030409_x.wav"]);
    assert!(server.bucket_folder().join("extracted_audio/fox/20260102_030409_x.wav").exists());
}

#[test]
fn uploads_that_were_never_completed_and_files_that_nobody_knows_are_found() {
    let Some((moto, sandbox)) = beside_moto() else { return };
    super::fill(&sandbox);
    sandbox.ok("storage migrate");
    sandbox.ok("storage reindex");
    // The server says of all of them that they were begun years ago.
    for name in ["extracted_audio/dog/big1.wav", "extracted_audio/dog/big2.wav", "elsewhere/big.wav"] {
        moto.post(&format!("recordings/{name}?uploads"));
    }
    let root = sandbox.path().join("ecosight-data/extracted_audio");
    for name in ["dog/20260102_030405_new1.wav", "dog/20260102_030405_new2.wav", "dog/odd.wav"] {
        fs::copy(root.join("dog/20260102_030405_a.wav"), root.join(name)).unwrap();
    }
    let shown = sandbox.json("storage gc");
    let kinds = |list: &str| -> Vec<String> {
        shown[list].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds("removable"), ["unfinished"; 2], "{shown}");
    assert_eq!(kinds("kept"), ["unknown_file", "unknown_file", "misplaced_file"], "{shown}");
    let text = sandbox.ok("storage gc");
    assert_eq!(text.stdout.matches("never completed").count(), 1, "{}", text.stdout);
    assert_eq!(text.stderr.matches("the index does not know it").count(), 2, "{}", text.stderr);
    sandbox.ok("storage gc --yes");
    assert_eq!(sandbox.json("storage gc")["removable"], serde_json::json!([]));
    assert!(moto.get("recordings?uploads").contains("elsewhere/big.wav"), "what is not ours stays");
    sandbox.ok("storage reindex");
    assert_eq!(sandbox.json("storage gc")["kept"], serde_json::json!([]));
}

//! Listing, counting, getting, putting, removing.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{KEYS, beside_bucket, local, names};
use crate::s3::{BUCKET, Server, State};
use crate::support::{Ran, Sandbox, ran};

/// A data root or a bucket, each with the same originals.
fn stores() -> Vec<(&'static str, Option<Server>, Sandbox)> {
    let (server, sandbox) = beside_bucket();
    server.put_folder(&sandbox.path().join("ecosight-data"), "");
    vec![("folder", None, local()), ("bucket", Some(server), sandbox)]
}

fn strings(value: &serde_json::Value, field: &str) -> Vec<String> {
    let rows = value.as_array().unwrap().iter();
    rows.map(|row| if field.is_empty() { row } else { &row[field] }.as_str().unwrap().to_owned()).collect()
}

/// A command line whose words may hold spaces.
fn words(sandbox: &Sandbox, words: &[&str]) -> Ran {
    ran(&sandbox.command("storage").args(words).output().unwrap())
}

#[test]
fn what_is_stored_is_listed_and_counted() {
    for (what, _server, sandbox) in stores() {
        let top = sandbox.json("storage ls");
        assert!(strings(&top["folders"], "").contains(&"extracted_audio".to_owned()), "{what}: {top}");
        let dog = sandbox.json("storage ls extracted_audio/dog");
        assert_eq!(strings(&dog["objects"], "name"), KEYS[..2], "{what}");
        assert_eq!(dog["objects"][0]["bytes"], 16_044);
        let all = sandbox.json("storage ls -r");
        assert_eq!(all["objects"].as_array().unwrap().len(), 4, "{what}");
        let one = words(&sandbox, &["ls", KEYS[3]]);
        assert!(one.code == 0 && one.stdout.contains("16.0 kB"), "{what}: {}{}", one.stdout, one.stderr);
        let du = sandbox.json("storage du");
        assert_eq!((du["objects"].as_u64(), du["bytes"].as_u64()), (Some(4), Some(4 * 16_044)), "{what}");
        assert_eq!(strings(&du["folders"], "folder"), ["cat", "dog"], "{what}");
        assert!(sandbox.ok("storage du").stdout.contains("extracted_audio/dog"));
        for line in ["storage ls nothing/here", "storage get nothing/here", "storage get -r nothing out"] {
            let ran = sandbox.run(line);
            assert!(ran.code == 1 && ran.stderr.contains("there is nothing called"), "{what}: {}", ran.stderr);
        }
    }
}

#[test]
fn an_address_and_a_name_mean_the_same() {
    let (_, server, sandbox) = stores().remove(1);
    let named = sandbox.json("storage ls extracted_audio/dog");
    assert_eq!(sandbox.json(&format!("storage ls s3://{BUCKET}/extracted_audio/dog/")), named);
    drop(server);
}

#[test]
fn what_is_got_is_whole_and_not_got_twice() {
    for (what, server, sandbox) in stores() {
        let got = words(&sandbox, &["get", KEYS[3], "copy.wav"]);
        assert_eq!((got.code, got.stdout.as_str()), (0, "copy.wav\n"), "{what}: {}", got.stderr);
        let original = fs::read(sandbox.path().join("ecosight-data").join(KEYS[3])).unwrap();
        assert_eq!(fs::read(sandbox.path().join("copy.wav")).unwrap(), original);
        let again = sandbox.json("storage get -r extracted_audio all");
        assert_eq!(again["fetched"].as_array().unwrap().len(), 4, "{what}");
        assert_eq!(
            names(&sandbox.path().join("all")),
            names(&sandbox.path().join("ecosight-data/extracted_audio")),
            "{what}: nothing but the originals is there"
        );
        if let Some(server) = &server {
            server.seen();
        }
        let again = sandbox.json("storage get -r extracted_audio all");
        assert_eq!((again["fetched"].as_array().unwrap().len(), again["skipped"].as_array().unwrap().len()), (0, 4));
        if let Some(server) = &server {
            assert_eq!(server.counts().get("GET"), None, "nothing is read that is there already");
        }
        fs::write(sandbox.path().join("copy.wav"), "mine").unwrap();
        let refused = words(&sandbox, &["get", KEYS[3], "copy.wav"]);
        assert!(refused.code == 1 && refused.stderr.contains("--overwrite"), "{what}: {}", refused.stderr);
        assert_eq!(fs::read(sandbox.path().join("copy.wav")).unwrap(), b"mine");
        assert_eq!(words(&sandbox, &["get", KEYS[3], "copy.wav", "--overwrite"]).code, 0);
        assert_eq!(fs::read(sandbox.path().join("copy.wav")).unwrap(), original);
    }
}

#[test]
fn what_is_put_is_never_put_over_something_else_unasked() {
    for (what, server, sandbox) in stores() {
        fs::write(sandbox.path().join("ü b.txt"), "first").unwrap();
        fs::copy(sandbox.path().join("ecosight-data").join(KEYS[0]), sandbox.path().join("a.wav")).unwrap();
        let put = words(&sandbox, &["put", "ü b.txt", "a.wav", "temp/", "--metadata", "site=ridge"]);
        assert_eq!(put.code, 0, "{what}: {}", put.stderr);
        assert_eq!(put.stdout.lines().count(), 2);
        let again = words(&sandbox, &["put", "ü b.txt", "a.wav", "temp/", "--json"]);
        assert!(again.stdout.contains("\"stored\": []"), "{what}: {}", again.stdout);
        if let Some(server) = &server {
            let store = server.store("", sandbox.path());
            let labels = ecosight_datasets::runtime::block_on(store.labels("temp/a.wav")).unwrap().unwrap();
            assert_eq!(labels.content_type.as_deref(), Some("audio/wav"));
            assert_eq!(labels.metadata.get("site").map(String::as_str), Some("ridge"));
        }
        fs::write(sandbox.path().join("ü b.txt"), "second").unwrap();
        let refused = words(&sandbox, &["put", "ü b.txt", "temp/"]);
        assert!(refused.code == 1 && refused.stderr.contains("--overwrite"), "{what}: {}", refused.stderr);
        assert_eq!(words(&sandbox, &["put", "ü b.txt", "temp/", "--overwrite"]).code, 0);
        assert_eq!(words(&sandbox, &["get", "temp/ü b.txt", "back.txt"]).code, 0);
        assert_eq!(fs::read_to_string(sandbox.path().join("back.txt")).unwrap(), "second");
        let missing = words(&sandbox, &["put", "gone.wav", "temp/"]);
        assert!(missing.code == 2 && missing.stderr.contains("no such file"), "{what}: {}", missing.stderr);
    }
}

#[test]
fn nothing_is_removed_before_it_is_said_twice() {
    for (what, server, sandbox) in stores() {
        // The data root has a copy of what is in the bucket.
        let copies = if server.is_some() { 4 } else { 2 };
        let shown = sandbox.run("storage rm -r extracted_audio/dog");
        assert!(shown.code == 2 && shown.stderr.contains("--yes"), "{what}: {}", shown.stderr);
        assert_eq!(sandbox.ok("storage rm -r extracted_audio/dog --dry-run").stdout.lines().count(), copies, "{what}");
        assert_eq!(sandbox.json("storage ls -r")["objects"].as_array().unwrap().len(), 4);
        assert_eq!(sandbox.run("storage rm extracted_audio/dog --yes").code, 2, "{what}: a folder needs a word more");
        let removed = sandbox.json("storage rm -r extracted_audio/dog --yes");
        assert_eq!(removed["objects"].as_array().unwrap().len(), copies, "{what}");
        let again = sandbox.json("storage rm -r extracted_audio/dog --yes");
        assert_eq!(again["objects"].as_array().unwrap().len(), 0, "{what}");
        sandbox.ok("storage rm gone/a.wav --yes");
        assert_eq!(sandbox.run("storage rm -r / --yes").code, 2, "{what}: never a whole store");
        assert_eq!(sandbox.json("storage ls -r extracted_audio")["objects"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_bucket_that_fails_is_explained() {
    let (_, server, sandbox) = stores().remove(1);
    let server = server.unwrap();
    for (state, hint) in [
        (State::BucketGone, "storage setup"),
        (State::Refuses(403, "InvalidAccessKeyId"), "AWS_ACCESS_KEY_ID"),
        (State::Refuses(403, "SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"),
        (State::Refuses(403, "AccessDenied"), "lack a permission"),
    ] {
        server.state(state);
        for line in ["storage ls extracted_audio", "storage rm temp/a --yes", "storage migrate", "storage verify"] {
            let failed = sandbox.run(line);
            let told = &failed.stderr;
            assert!(failed.code == 6 && told.contains(hint), "{state:?}, {line}: {} {told}", failed.code);
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_half_written() {
    let (server, sandbox) = beside_bucket();
    fs::File::create(sandbox.path().join("large.bin")).unwrap().set_len(2 << 30).unwrap();
    let child = sandbox.command("storage put large.bin temp/large.bin").stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    // The shell's own `kill` is everywhere, the program is not.
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let stopped = ran(&child.wait_with_output().unwrap());
    assert!(stopped.code == 130 && stopped.stderr.contains("run it again"), "{} {}", stopped.code, stopped.stderr);
    assert_eq!(names(&server.bucket_folder()), [""; 0]);
}

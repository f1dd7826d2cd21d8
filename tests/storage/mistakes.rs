//! What is said of mistakes, and what a dry run shows.

use std::fs;

use super::{KEYS, beside_bucket};
use crate::s3::{Server, State};
use crate::support::Sandbox;

/// The command fails with this code and says these words.
fn fails(sandbox: &Sandbox, line: &str, code: i32, words: &[&str]) {
    let ran = sandbox.run(line);
    assert_eq!(ran.code, code, "{line}: {}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{line}: no {word:?} in\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("<?xml") && !ran.stderr.contains("<Code>"), "{line}: {}", ran.stderr);
}

#[test]
fn mistakes_in_the_environment_are_named_with_what_mends_them() {
    let with = |name: &str, value: &str| Sandbox::with_env(vec![(name.to_owned(), value.to_owned())]);
    fails(&with("AWS_ACCESS_KEY_ID", "id"), "storage status", 2, &["`AWS_SECRET_ACCESS_KEY` is not set", "hint: "]);
    fails(&with("AWS_SECRET_ACCESS_KEY", "s"), "storage status", 2, &["`AWS_ACCESS_KEY_ID` is not set", "hint: "]);
    fails(
        &with("S3_ENDPOINT_URL", "127.0.0.1:5000"),
        "storage status",
        2,
        &["write `http://127.0.0.1:5000`", "hint: "],
    );
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join(".env"), "# keys\nS3_BUCKET=b\nAWS_SECRET_ACCESS_KEY 'x\n").unwrap();
    fails(&sandbox, "storage status", 2, &["line 3 is no `NAME=value`", "hint: a line is"]);
}

#[test]
fn a_name_that_leads_nowhere_is_told_as_it_was_typed() {
    let (server, sandbox) = beside_bucket();
    server.put_folder(&sandbox.path().join("ecosight-data"), "");
    for verb in ["ls", "du", "get"] {
        fails(
            &sandbox,
            &format!("storage {verb} extracted_audio/dgo/a.wav"),
            1,
            &["nothing called", "storage ls extracted_audio`"],
        );
        let line = format!("storage {verb} s3://recordings/extracted_audio/dog/zzz.wav");
        fails(&sandbox, &line, 1, &["`ecosight storage ls s3://recordings/extracted_audio/dog`"]);
        let ran = sandbox.run(&format!("storage {verb} s3://no-such-bucket/x"));
        assert!(
            ran.code == 6 && ran.stderr.contains("check its name") && !ran.stderr.contains("`S3_BUCKET`"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(sandbox.json(&format!("storage du {}", KEYS[0]))["objects"], 1);
    server.state(State::Refuses(403, "AccessDenied"));
    fails(&sandbox, "storage ls extracted_audio", 6, &["AccessDenied: on purpose"]);
}

#[test]
fn ingest_complains_of_the_file_first_and_of_a_bucket_that_may_know_the_class() {
    let server = Server::start();
    let mut sandbox = Sandbox::with_env(server.env());
    sandbox.set("S3_RETRY_SECONDS", "1");
    fails(&sandbox, "ingest gone.wav --class dog", 2, &["error: there is no file `gone.wav`"]);
    fs::write(sandbox.path().join("a.wav"), "x").unwrap();
    fails(&sandbox, "ingest a.wav --class dog", 2, &["nor any other yet", "--new-class"]);
    fails(&sandbox, "ingest s3://recordings/a.wav --class dog", 2, &["is in a bucket", "storage get"]);
    server.state(State::Down);
    fails(&sandbox, "ingest a.wav --class dog", 2, &["does not answer", "--new-class"]);
}

#[test]
fn a_clip_in_a_bucket_is_classified_as_one_in_a_folder() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    sandbox.ok("demo -q");
    let folder = sandbox.path().join("ecosight-demo/extracted_audio");
    server.put_folder(&folder, "clips");
    let class = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let rows = |place: &str| {
        let document = sandbox.json(&format!("predict --data-root ecosight-demo {place}"));
        let rows = document["rows"].as_array().unwrap().clone();
        rows.into_iter().map(|row| (row["predicted"].to_string(), row["confidence"].to_string())).collect::<Vec<_>>()
    };
    let expected = rows(&format!("ecosight-demo/extracted_audio/{class}"));
    assert!(!expected.is_empty());
    assert_eq!(rows(&format!("s3://recordings/clips/{class}")), expected);
    fails(&sandbox, "predict --data-root ecosight-demo s3://recordings/nothing", 2, &["there is no audio in"]);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (server, sandbox) = beside_bucket();
    let key = "extracted_audio/dog/20260102_030405_a.wav";
    let file = format!("ecosight-data/{key}");
    assert_eq!(sandbox.json(&format!("storage put {file} temp/ --dry-run"))["stored"].as_array().unwrap().len(), 1);
    assert!(!server.bucket_folder().join("temp").exists());
    sandbox.ok(&format!("storage put {file} {key}"));
    assert_eq!(sandbox.json(&format!("storage put {file} {key} --dry-run"))["skipped"].as_array().unwrap().len(), 1);
    fails(
        &sandbox,
        &format!("storage put {} {key} --dry-run", "ecosight-data/extracted_audio/cat/20260102_030407_ümlaut.wav"),
        1,
        &["--overwrite"],
    );
    assert_eq!(sandbox.json(&format!("storage get {key} copy.wav --dry-run"))["fetched"].as_array().unwrap().len(), 1);
    assert!(!sandbox.path().join("copy.wav").exists());
    let planned = sandbox.json("storage reindex --dry-run");
    assert!(!sandbox.path().join("ecosight-data/index").exists());
    let done = sandbox.json("storage reindex");
    assert_eq!(planned, done);
    assert_eq!((done["added"].as_u64(), done["waiting"].as_u64()), (Some(4), Some(2)), "one has a space in its name");
    assert_eq!(sandbox.json("storage reindex --dry-run")["added"], 0);
}

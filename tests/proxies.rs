//! Answers with the status 200 that come from a proxy or the login page of a network are failures of the store, never an empty bucket.

use crate::clips::recordings;
use crate::ingest::clips;
use crate::s3::{Server, State};
use crate::support::Sandbox;

#[test]
fn a_login_page_in_place_of_the_bucket_is_an_error_of_every_verb() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    recordings(&sandbox, 6);
    server.put_folder(&sandbox.path().join("recordings"), "extracted_audio");
    clips(&sandbox, "in", 0..3);
    sandbox.ok("ingest in --class dog --new-class");
    assert_eq!(sandbox.json("storage outbox")["count"], 0);
    sandbox.ok("storage ls");
    server.state(State::Page(200));
    for line in [
        "storage ls",
        "storage ls -r",
        "storage du",
        "storage get -r extracted_audio copy",
        "storage reindex",
        "storage verify",
        "storage gc",
        "storage fix-keys",
        "status --source s3://recordings/extracted_audio",
        "retrain --source s3://recordings/extracted_audio --set embed.embedder=logmel",
        "status --data-root s3://recordings/root",
        "retrain --data-root s3://recordings/root --set embed.embedder=logmel",
        "models list --data-root s3://recordings/root",
    ] {
        let ran = sandbox.run(line);
        assert_eq!(ran.code, 6, "{line}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("HTML") && ran.stderr.contains("login page"), "{line}: {}", ran.stderr);
    }
    // Nothing was put in line again.
    assert_eq!(sandbox.json("storage outbox")["count"], 0);
    server.state(State::PageForObjects);
    let ran = sandbox.run("retrain --source s3://recordings/extracted_audio --set embed.embedder=logmel");
    assert!(ran.code == 6 && ran.stderr.contains("login page"), "{}: {}", ran.code, ran.stderr);
}

#[test]
fn a_full_quota_is_no_missing_permission() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    clips(&sandbox, "in", 0..1);
    server.state(State::RefusesWrites(403, "QuotaExceeded"));
    let ingest = sandbox.run("ingest in --class dog --new-class");
    assert_eq!(ingest.code, 6, "{}", ingest.stderr);
    let sync = sandbox.run("storage sync");
    assert!(
        sync.code == 6 && sync.stderr.contains("quota") && !sync.stderr.contains("s3:PutObject"),
        "{}",
        sync.stderr
    );
}

#[test]
fn a_server_that_never_answers_costs_one_timeout() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    clips(&sandbox, "in", 0..6);
    server.state(State::Stalls);
    let begun = std::time::Instant::now();
    assert_eq!(sandbox.run("ingest in --class dog --new-class").code, 6);
    let seconds = begun.elapsed().as_secs();
    assert!(seconds < 50, "one timeout takes 30 s, and this took {seconds}");
    assert_eq!(server.counts().values().sum::<usize>(), 1, "one request was tried");
    assert_eq!(sandbox.json("storage outbox")["count"], 6);
}

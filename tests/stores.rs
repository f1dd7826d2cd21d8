//! What every store must do, on the server of the tests: undisturbed, and with a fifth of all requests going wrong.

use std::sync::Arc;

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::checks::{ALL, Ground};
use ecosight_datasets::store::{Access, AudioCache, Created, Environment, Labels, Place, Settings, Store, Trouble};

use crate::moto::Moto;
use crate::roots::files;
use crate::s3::{Fault, Faults, Server, State};
use crate::support::{Sandbox, ran};

fn check(store: &Store, listed: usize) {
    let folder = Area::Temp.key("checks");
    let ground = Ground { store, folder: &folder, listed };
    for check in ALL {
        check.run(&ground).unwrap_or_else(|error| panic!("{}: {error}: {}", check.name, error.kind));
    }
    assert_eq!(block_on(store.list()).unwrap().objects, []);
}

fn cache() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_server_of_s3_does_all_that_a_store_must() {
    let (server, cache) = (Server::start(), cache());
    check(&server.store("", cache.path()), 2100);
    check(&server.store("below/a ü prefix", cache.path()), 10);
    assert!(files(&server.bucket_folder()).is_empty());
}

/// The store in a bucket of moto.
fn store_of(moto: &Moto, cache: &std::path::Path) -> Store {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("S3_ENDPOINT_URL", moto.url()),
        ("S3_RETRY_SECONDS", "10"),
    ];
    let settings = Arc::new(Settings::read(&Environment::of(variables)).unwrap());
    let access = Access { settings, cache: Arc::new(AudioCache::new(cache.to_owned(), 1 << 30)) };
    Store::connect(&Place::parse("s3://clips/below").unwrap(), &access).unwrap()
}

#[test]
fn another_server_of_s3_does_all_that_a_store_must() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket("clips");
    let cache = cache();
    check(&store_of(&moto, cache.path()), 1100);
}

#[test]
fn a_key_that_hides_others_is_an_error_that_names_it() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket("clips");
    moto.put("clips/below/dog/a.wav", "a");
    moto.put("clips/below/dog//b.wav", "b");
    let sandbox = Sandbox::new();
    let line = "retrain --source s3://clips/below --set embed.embedder=logmel";
    let ran = ran(&moto.command(&sandbox, "clips", line).output().unwrap());
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    for words in ["list folder", "dog//b.wav", "hint: a key with such a name hides all others"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}

#[test]
fn nothing_is_different_where_a_fifth_of_all_requests_goes_wrong() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    for seed in 0..3 {
        // Plain HTTP requests are not repeated.
        server.faults(Faults::of_all_kinds(0.2, seed));
        let folder = format!("{}-{seed}", Area::Temp.key("checks"));
        let ground = Ground { store: &store, folder: &folder, listed: 60 };
        for check in ALL.iter().filter(|check| !check.name.starts_with("presigned")) {
            check.run(&ground).unwrap_or_else(|error| panic!("seed {seed}: {}: {error}: {}", check.name, error.kind));
        }
    }
}

#[test]
fn a_creation_whose_answer_was_lost_is_no_conflict() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    server.faults(Faults { share: 0.7, kinds: vec![Fault::LoseAnswer], seed: 1 });
    let create = |name: &str, text: &str| block_on(store.create(name, text.into(), &Labels::default()));
    let created: Vec<Created> = (0..10).map(|number| create(&format!("new/{number}"), "ours").unwrap()).collect();
    assert!(created.iter().any(|created| matches!(created, Created::Same(_))), "no answer was lost");
    assert!((0..10).all(|number| create(&format!("new/{number}"), "other").is_err()));
    assert!(
        (0..10).all(|number| std::fs::read(server.bucket_folder().join(format!("new/{number}"))).unwrap() == b"ours")
    );
}

#[test]
fn of_many_that_create_the_same_name_one_wins() {
    let (server, cache) = (Server::start(), cache());
    server.faults(Faults::of_all_kinds(0.2, 5));
    let store = server.store("", cache.path());
    let winners: usize = std::thread::scope(|scope| {
        let create = |text: String| block_on(store.create("one", text.into(), &Labels::default())).is_ok();
        let threads: Vec<_> = (0..16).map(|number| scope.spawn(move || create(format!("by {number}")))).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(winners, 1);
}

#[test]
fn what_a_server_refuses_is_understood() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    let cases = [
        (State::Refuses(403, "AccessDenied"), Trouble::Forbidden),
        (State::RefusesWrites(403, "AccessDenied"), Trouble::Forbidden),
        (State::Refuses(403, "RequestTimeTooSkewed"), Trouble::ClockSkew),
        (State::Refuses(400, "AuthorizationHeaderMalformed"), Trouble::WrongRegion),
        (State::Refuses(301, "PermanentRedirect"), Trouble::WrongRegion),
        (State::Refuses(403, "SignatureDoesNotMatch"), Trouble::WrongSecret),
        (State::Refuses(403, "InvalidAccessKeyId"), Trouble::UnknownKeys),
        (State::Refuses(400, "ExpiredToken"), Trouble::ExpiredKeys),
        (State::BucketGone, Trouble::NoSuchBucket),
    ];
    for (state, trouble) in cases {
        server.state(state);
        let error = block_on(store.put("a", b"a".to_vec(), &Labels::default())).unwrap_err();
        assert_eq!(Trouble::of(&error), Some(trouble), "{state:?}: {error}: {}", error.kind);
    }
    server.state(State::Up);
    assert!(block_on(store.put("a", b"a".to_vec(), &Labels::default())).is_ok());
}

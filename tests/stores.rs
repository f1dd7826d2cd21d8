//! What every store must do, on the server of the tests: undisturbed, and with a fifth of all requests going wrong.

use std::sync::Arc;

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::checks::{ALL, Ground};
use ecosight_datasets::store::{Access, AudioCache, Created, Environment, Labels, Place, Settings, Store, Trouble};

use crate::clips::recordings;
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
fn keys_that_no_path_can_be_hide_no_others() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket("clips");
    moto.put("clips/below/dog/a.wav", "a");
    let long = format!("clips/below/dog/{}.wav", "n".repeat(1000));
    let odd = ["dog//b.wav", "dog/%2E%2E/c.wav", "dog/%2E/d.wav", "dog/e%1B[31m.wav", "%2E%2E/f.wav", "dog/full/"];
    moto.put(&long, "long");
    moto.put("clips/below/dog/empty/", "");
    for key in odd {
        moto.put(&format!("clips/below/{key}"), "x");
    }
    let cache = cache();
    let store = store_of(&moto, cache.path());
    for _ in 0..2 {
        let listing = block_on(store.list()).unwrap();
        let names: Vec<_> = listing.objects.iter().map(|object| object.uri.trim_start_matches("dog/")).collect();
        assert_eq!(names, ["a.wav", long.trim_start_matches("clips/below/dog/")]);
        assert_eq!(listing.unreadable.len(), odd.len(), "{:?}", listing.unreadable);
        let told = listing.unreadable.join("\n");
        assert!(!told.contains('\u{1b}') && told.contains("fix-keys"), "{told}");
        assert!(told.contains("`dog/e\\u{1b}[31m.wav`") && told.contains("begin with `../`"), "{told}");
    }
    // Of `dog/full/` only the folder is seen.
    assert_eq!(block_on(store.entries("dog")).unwrap().unreadable.len(), 4);
    assert_eq!(block_on(store.list_below("dog")).unwrap().unreadable.len(), 5);
}

#[test]
fn verbs_leave_out_keys_that_no_path_can_be_and_say_so() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket("recordings");
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    for path in files(&sandbox.path().join("recordings")) {
        let name = path.strip_prefix(sandbox.path().join("recordings")).unwrap().to_str().unwrap().to_owned();
        moto.put_bytes(&format!("recordings/extracted_audio/{name}"), &std::fs::read(&path).unwrap());
    }
    moto.put("recordings/extracted_audio/rain/%2E%2E/y.ogg", "y");
    moto.put("recordings/extracted_audio/rain/%2E%2E/%1B.ogg", "z");
    let run = |line: &str| ran(&moto.command(&sandbox, "recordings", line).output().unwrap());
    for line in [
        "storage ls -r extracted_audio",
        "storage du",
        "storage get -r extracted_audio copy",
        "retrain --source s3://recordings/extracted_audio --set embed.embedder=logmel --set pipeline.max_failed=0.5",
        "status --set embed.embedder=logmel",
        "storage reindex",
    ] {
        let ran = run(line);
        assert!(matches!(ran.code, 0 | 3), "{line}: {}\n{}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("\u{1b}.ogg") && !ran.stdout.contains("\u{1b}.ogg"), "{line}: {}", ran.stderr);
        let is_told = ran.stderr.contains("fix-keys") || line.starts_with("retrain") || line.starts_with("status");
        assert!(is_told, "{line}: {}", ran.stderr);
    }
    let failed = run("failed").stdout;
    assert!(failed.contains("bad_name"), "{failed}");
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
        (State::RefusesWrites(403, "QuotaExceeded"), Trouble::StorageFull),
        (State::Page(403), Trouble::NotAStore),
        (State::Page(502), Trouble::ServerFailed),
    ];
    for (state, trouble) in cases {
        server.state(state);
        let error = block_on(store.put("a", b"a".to_vec(), &Labels::default())).unwrap_err();
        assert_eq!(Trouble::of(&error), Some(trouble), "{state:?}: {error}: {}", error.kind);
    }
    server.state(State::Up);
    assert!(block_on(store.put("a", b"a".to_vec(), &Labels::default())).is_ok());
}

#[test]
fn names_of_objects_are_no_codes_of_errors() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    for name in ["AccessDenied.wav", "SlowDown/NoSuchBucket.wav", "timed out.wav"] {
        server.state(State::Refuses(400, "InvalidRequest"));
        let error = block_on(store.put(name, b"a".to_vec(), &Labels::default())).unwrap_err();
        assert_eq!(Trouble::of(&error), None, "{name}: {error}: {}", error.kind);
        server.state(State::Up);
    }
}

#[test]
fn pages_of_html_are_neither_listings_nor_objects() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    for number in 0..1100 {
        std::fs::write(server.bucket_folder().join(format!("{number:04}.wav")), "x").unwrap();
    }
    assert_eq!(block_on(store.list()).unwrap().objects.len(), 1100);
    let expect = |what: &str, error: ecosight_datasets::DatasetError| {
        assert_eq!(Trouble::of(&error), Some(Trouble::NotAStore), "{what}: {error}: {}", error.kind);
    };
    server.state(State::Page(200));
    expect("list", block_on(store.list()).unwrap_err());
    expect("entries", block_on(store.entries("")).unwrap_err());
    expect("folders", block_on(store.folders("")).unwrap_err());
    expect("read", block_on(store.read("0001.wav", None)).unwrap_err());
    expect("read range", block_on(store.read("0001.wav", Some(0..1))).unwrap_err());
    expect("look", block_on(store.look("0001.wav")).unwrap_err());
    expect("copy", block_on(store.copy("0001.wav", "b")).unwrap_err());
    assert!(block_on(store.put("a", b"a".to_vec(), &Labels::default())).is_err());
    assert!(block_on(store.delete("0001.wav")).is_err());
    server.state(State::PageLater);
    expect("second page", block_on(store.list()).unwrap_err());
    server.state(State::PageForObjects);
    assert_eq!(block_on(store.list()).unwrap().objects.len(), 1100);
    let opened = block_on(store.open("0001.wav", None));
    assert!(matches!(opened, Err(ecosight_datasets::store::OpenError::Store(_))));
}

#[test]
fn nothing_is_read_back_where_entity_tags_are_no_sums() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    server.state(State::ForeignTags);
    let file = cache.path().join("large");
    std::fs::write(&file, vec![7; 9 << 20]).unwrap();
    server.seen();
    assert!(matches!(block_on(store.create("a", b"a".to_vec(), &Labels::default())).unwrap(), Created::New(_)));
    assert!(matches!(block_on(store.create("a", b"a".to_vec(), &Labels::default())).unwrap(), Created::Same(_)));
    assert!(block_on(store.create("a", b"b".to_vec(), &Labels::default())).is_err());
    block_on(store.put("b", b"b".to_vec(), &Labels::default())).unwrap();
    let upload = || block_on(store.upload_new(&file, "large", &Labels::default(), &|_| ())).unwrap();
    assert!(matches!(upload(), Created::New(_)));
    assert!(matches!(upload(), Created::Same(_)));
    assert!(block_on(store.is_copy_of("large", &file)).unwrap());
    assert_eq!(server.counts().get("GET"), None, "nothing is downloaded to be compared");
}

#[test]
fn of_two_that_create_a_large_object_at_once_one_wins() {
    let (server, cache) = (Server::start(), cache());
    let store = server.store("", cache.path());
    for round in 0..5 {
        let files = [1, 2].map(|byte| {
            let path = cache.path().join(format!("large-{byte}"));
            std::fs::write(&path, vec![byte; 9 << 20]).unwrap();
            path
        });
        let name = format!("large-{round}");
        let results: Vec<bool> = std::thread::scope(|scope| {
            let create = |path: &std::path::PathBuf| {
                block_on(store.upload_new(path, &name, &Labels::default(), &|_| ())).is_ok()
            };
            let threads: Vec<_> = files.iter().map(|path| scope.spawn(move || create(path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|is_ok| **is_ok).count(), 1, "{name}");
    }
}

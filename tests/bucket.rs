//! Sources in a bucket, as people use them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ecosight_datasets::layout::Layout;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::Labels;
use ecosight_datasets::tables::{ClipRow, Row, column_digests, read_rows};

use crate::clips::{recording, recordings, wav};
use crate::roots::{Contents, busy, contents, files, rows};
use crate::s3::{BUCKET, Faults, Server, State};
use crate::support::Sandbox;

const SETTINGS: &str = "--set embed.embedder=logmel --set augment.variants=1";

/// The contents of a data root without entity tags, which are the store's own.
fn made(root: &Path) -> Contents {
    let mut contents = contents(root);
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root).table("manifest")).unwrap();
    let columns: BTreeMap<_, _> = column_digests(&ClipRow::batch(&rows).unwrap()).into_iter().collect();
    let others: BTreeMap<_, _> = columns.into_iter().filter(|(name, _)| name != "etag").collect();
    contents.insert("manifest".to_owned(), format!("{others:?}"));
    contents
}

/// A bucket with six clips of each class below `clips/`, which also lie in the folder `recordings`.
fn clips() -> (Server, Sandbox) {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    recordings(&sandbox, 6);
    server.put_folder(&sandbox.path().join("recordings"), "clips");
    server.seen();
    (server, sandbox)
}

/// What a run makes of the folder.
fn of_folder(sandbox: &Sandbox) -> Contents {
    sandbox.ok(&format!("retrain -q --data-root of_folder --source recordings {SETTINGS}"));
    made(&sandbox.path().join("of_folder"))
}

fn of_bucket(sandbox: &Sandbox) -> Contents {
    made(&sandbox.path().join("ecosight-data"))
}

fn from_bucket() -> String {
    format!("--source s3://{BUCKET}/clips {SETTINGS}")
}

/// The keys of the objects that were read, without the prefix.
fn read(server: &Server) -> Vec<String> {
    let keys = server.seen().into_iter().filter(|seen| seen.method == "GET").map(|seen| seen.key);
    let mut keys: Vec<String> = keys.map(|key| key.trim_start_matches("clips/").to_owned()).collect();
    keys.sort();
    keys
}

/// How often each object was read.
fn reads(server: &Server) -> BTreeMap<String, usize> {
    let mut reads = BTreeMap::new();
    for key in read(server) {
        *reads.entry(key).or_default() += 1;
    }
    reads
}

#[test]
fn what_is_in_a_bucket_is_what_is_in_a_folder() {
    let (server, sandbox) = clips();
    let outcome = sandbox.json(&format!("retrain {}", from_bucket()));
    assert_eq!(rows(&outcome, "manifest"), [12, 0, 0, 0, 0]);
    assert_eq!(read(&server).len(), 12, "each object is read once");
    assert_eq!(of_bucket(&sandbox), of_folder(&sandbox));
    assert_eq!(sandbox.run(&format!("status {SETTINGS}")).code, 0);
    let evaluate = format!("evaluate --cv --groups 3 {SETTINGS}");
    assert_eq!(sandbox.json(&evaluate), sandbox.json(&format!("{evaluate} --data-root of_folder")));
}

#[test]
fn a_second_run_lists_and_reads_no_object() {
    let (server, sandbox) = clips();
    sandbox.ok(&format!("retrain -q {}", from_bucket()));
    server.seen();
    let outcome = sandbox.json(&format!("retrain {SETTINGS}"));
    assert_eq!(busy(&outcome), [""; 0]);
    let counts = server.counts();
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["LIST"], "{counts:?}");
}

#[test]
fn only_what_has_changed_is_read_again() {
    let (server, sandbox) = clips();
    sandbox.ok(&format!("retrain -q {}", from_bucket()));
    let folder = sandbox.path().join("recordings");
    wav(&recording(&sandbox, "high/3.wav"), 2500.0, 77);
    fs::rename(folder.join("low/1.wav"), folder.join("low/renamed.wav")).unwrap();
    fs::remove_file(folder.join("low/2.wav")).unwrap();
    let store = server.store("clips", &sandbox.path().join("other"));
    for (name, from) in [("high/3.wav", "high/3.wav"), ("low/renamed.wav", "low/renamed.wav")] {
        block_on(store.put(name, fs::read(folder.join(from)).unwrap(), &Labels::default())).unwrap();
    }
    block_on(store.delete("low/1.wav")).unwrap();
    block_on(store.delete("low/2.wav")).unwrap();
    server.seen();
    let outcome = sandbox.json(&format!("retrain {SETTINGS}"));
    assert_eq!(rows(&outcome, "manifest")[..2], [1, 1], "{outcome}");
    assert_eq!(read(&server), ["high/3.wav", "low/renamed.wav"]);
    assert_eq!(of_bucket(&sandbox), of_folder(&sandbox));
}

/// The server ends in this state in the middle of a run; once it is back, the same command goes on.
fn disappears(state: State, code: &str) {
    let (server, mut sandbox) = clips();
    sandbox.set("S3_RETRY_SECONDS", "1");
    let retrain = format!("retrain {} --jobs 2", from_bucket());
    server.after(6, state);
    let stopped = sandbox.run(&retrain);
    assert_eq!(stopped.code, 6, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("hint: ") && stopped.stderr.contains(code), "{}", stopped.stderr);
    assert!(!sandbox.path().join("ecosight-data/models/production.json").exists());
    server.state(State::Up);
    server.seen();
    sandbox.ok(&retrain);
    assert!(read(&server).len() < 12, "what was fetched is kept");
    assert_eq!(of_bucket(&sandbox), of_folder(&sandbox));
}

#[test]
fn a_run_whose_server_goes_away_stops_and_resumes_when_it_is_back() {
    disappears(State::Down, "the server does not answer");
}

#[test]
fn a_run_whose_bucket_disappears_stops_and_resumes_when_it_is_back() {
    disappears(State::BucketGone, "there is no such bucket");
}

#[test]
fn a_run_whose_keys_expire_stops_and_resumes_with_new_ones() {
    disappears(State::Refuses(400, "ExpiredToken"), "the session has expired");
}

#[test]
fn a_fifth_of_all_requests_going_wrong_changes_nothing() {
    let (server, mut sandbox) = clips();
    sandbox.set("S3_RETRY_SECONDS", "30");
    let expected = of_folder(&sandbox);
    for seed in 0..3 {
        server.faults(Faults::of_all_kinds(0.2, seed));
        let _ = fs::remove_dir_all(sandbox.path().join("ecosight-data"));
        let _ = fs::remove_dir_all(sandbox.path().join("cache"));
        sandbox.ok(&format!("retrain -q {}", from_bucket()));
        assert_eq!(of_bucket(&sandbox), expected, "seed {seed}");
    }
}

#[test]
fn a_manifest_may_lie_in_the_bucket_or_name_objects_there() {
    let (server, sandbox) = clips();
    let expected = of_folder(&sandbox);
    let table = sandbox.path().join("of_folder/tables/manifest/part-00000.parquet");
    let rows: Vec<ClipRow> = read_rows(&Layout::new(sandbox.path().join("of_folder")).table("manifest")).unwrap();
    let csv = |front: &str| {
        let lines = rows.iter().map(|row| format!("{front}{},{}\n", row.uri, row.label));
        std::iter::once("uri,label\n".to_owned()).chain(lines).collect::<String>()
    };
    server.put("clips/clips.csv", csv("").into_bytes());
    server.put("clips/clips.parquet", fs::read(table).unwrap());
    fs::write(sandbox.path().join("local.csv"), csv(&format!("s3://{BUCKET}/clips/"))).unwrap();
    let sources = [format!("s3://{BUCKET}/clips/clips.csv"), format!("s3://{BUCKET}/clips/clips.parquet")];
    for (root, source) in sources.iter().enumerate() {
        sandbox.ok(&format!("retrain -q --data-root in{root} --source {source} {SETTINGS}"));
        assert_eq!(made(&sandbox.path().join(format!("in{root}"))), expected, "{source}");
    }
    let outcome = sandbox.json(&format!("retrain --source local.csv {SETTINGS}"));
    assert_eq!(outcome["quarantined"].as_array().unwrap().len(), 0, "{outcome}");
    let made = of_bucket(&sandbox);
    for table in ["augment", "embed", "split", "model"] {
        assert_eq!(made[table], expected[table], "{table}");
    }
    server.seen();
    assert_eq!(busy(&sandbox.json(&format!("retrain {SETTINGS}"))), [""; 0]);
    assert_eq!(read(&server), [""; 0]);
}

#[test]
fn an_object_that_is_missing_or_forbidden_costs_its_clip_alone() {
    let (server, sandbox) = clips();
    server.put("clips/m.csv", "uri,label\nhigh/gone.wav,high\n".into());
    let lines = (0..6).flat_map(|n| [format!("high/{n}.wav,high"), format!("low/{n}.wav,low")]);
    let csv = format!("uri,label\nhigh/gone.wav,high\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    server.put("clips/m.csv", csv.into_bytes());
    server.forbid(&["clips/low/4.wav"]);
    let retrain = format!("retrain --source s3://{BUCKET}/clips/m.csv {SETTINGS} --set pipeline.max_failed=0.5");
    let outcome = sandbox.json(&retrain);
    let codes = |outcome: &serde_json::Value| -> Vec<String> {
        let rows = outcome["quarantined"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["uri"].as_str().unwrap(), row["code"].as_str().unwrap())).collect()
    };
    assert_eq!(codes(&outcome), ["high/gone.wav missing", "low/4.wav forbidden"]);
    server.forbid(&[]);
    assert_eq!(codes(&sandbox.json(&retrain)), ["high/gone.wav missing"]);
}

#[test]
fn a_bucket_that_lists_but_may_not_be_read_is_a_matter_of_permissions() {
    let (server, sandbox) = clips();
    let keys: Vec<_> = (0..6).flat_map(|n| [format!("clips/high/{n}.wav"), format!("clips/low/{n}.wav")]).collect();
    server.forbid(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let retrain = format!("retrain --source s3://{BUCKET}/clips {SETTINGS}");
    let ran = sandbox.run(&retrain);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("12 of 12 clips may not be read"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: the keys lack a permission (`s3:GetObject`"), "{}", ran.stderr);
    server.forbid(&[]);
    sandbox.json(&retrain);
}

#[test]
fn a_place_where_nothing_is_says_so() {
    let (_server, sandbox) = clips();
    for (source, code, words) in [
        (format!("s3://{BUCKET}/clipz"), 1, "no labelled audio in"),
        (format!("s3://{BUCKET}/clips/none.csv"), 1, "there is no such file"),
        ("s3://no-such-bucket/clips".to_owned(), 6, "there is no such bucket"),
        (format!("s3://{BUCKET}/a//b"), 2, "understand address"),
    ] {
        let ran = sandbox.run(&format!("retrain --source {source} {SETTINGS}"));
        assert_eq!(ran.code, code, "{source}: {}", ran.stderr);
        assert!(ran.stderr.contains(words) && ran.stderr.contains("hint: "), "{source}: {}", ran.stderr);
    }
}

#[test]
fn labels_beside_recordings_are_the_clips_here_and_in_a_bucket() {
    let (server, sandbox) = clips();
    let folder = sandbox.path().join("recordings");
    fs::write(folder.join("high/0.txt"), "0.1\t0.5\tlow\n\\\t100\t9000\n0.5\t0.9\tmiddle\n").unwrap();
    let table = "Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\t0.2\t0.7\tmiddle\n1\t0.2\t0.7\tmiddle\n";
    fs::write(folder.join("low/1.Table.1.selections.txt"), table).unwrap();
    fs::write(folder.join("low/2.txt"), "0\t1\tlow\nbroken\n").unwrap();
    fs::write(folder.join("low/notes.txt"), "a fine day\n").unwrap();
    server.put_folder(&folder, "clips");
    let retrain = format!("retrain --to manifest --set pipeline.max_failed=0.5 {SETTINGS}");
    for source in ["recordings".to_owned(), format!("s3://{BUCKET}/clips")] {
        let outcome = sandbox.json(&format!("{retrain} --source {source}"));
        let rows: Vec<ClipRow> =
            read_rows(&Layout::new(sandbox.path().join("ecosight-data")).table("manifest")).unwrap();
        let marked = rows.iter().filter_map(|row| Some((row.uri.as_str(), row.label.as_str(), row.span?.start_s)));
        let expected = [("high/0.wav", "low", 0.1), ("high/0.wav", "middle", 0.5), ("low/1.wav", "middle", 0.2)];
        let mut marked: Vec<_> = marked.collect();
        marked.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(marked, expected);
        assert_eq!(rows.len(), 12, "nine whole files and three spans");
        let failed = &outcome["quarantined"][0];
        assert_eq!((failed["uri"].as_str(), failed["code"].as_str()), (Some("low/2.txt"), Some("bad_labels")));
        assert!(failed["message"].as_str().unwrap().starts_with("line 2: "), "{failed}");
        assert_eq!(outcome["counts"]["manifest"]["ignored"], 1, "{outcome}");
    }
    server.seen();
    assert_eq!(busy(&sandbox.json(&retrain)), [""; 0]);
    assert_eq!(read(&server), [""; 0], "files with labels are kept on this machine, too");
    server.put("clips/low/2.txt", b"0\t1\tlow\n".to_vec());
    assert_eq!(sandbox.json(&retrain)["quarantined"].as_array().unwrap().len(), 0);
}

#[test]
fn the_site_of_a_recording_is_a_column_of_the_manifest() {
    let (_server, sandbox) = clips();
    let lines = (0..6).flat_map(|n| [format!("high/{n}.wav,high,north"), format!("low/{n}.wav,low,")]);
    let csv = format!("uri,label,site\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    fs::write(sandbox.path().join("recordings/m.csv"), csv).unwrap();
    let outcome = sandbox.json(&format!("retrain --to manifest --source recordings/m.csv {SETTINGS}"));
    assert_eq!(outcome["warnings"].as_array().unwrap().len(), 0, "{outcome}");
    let rows: Vec<ClipRow> = read_rows(&Layout::new(sandbox.path().join("ecosight-data")).table("manifest")).unwrap();
    let north = rows.iter().filter(|row| row.site.as_deref() == Some("north"));
    assert_eq!((north.count(), rows.iter().filter(|row| row.site.is_none()).count()), (6, 6));
}

/// Bytes of audio that are kept on this machine.
fn kept(sandbox: &Sandbox) -> u64 {
    files(&sandbox.path().join("cache/audio")).iter().map(|path| path.metadata().unwrap().len()).sum()
}

#[test]
fn only_missing_audio_is_fetched_and_none_stays_if_so_asked() {
    let (server, sandbox) = clips();
    sandbox.ok(&format!("retrain -q {}", from_bucket()));
    let cached = files(&sandbox.path().join("cache/audio"));
    assert_eq!(cached.len(), 12);
    for path in &cached[..5] {
        fs::remove_file(path).unwrap();
    }
    server.seen();
    sandbox.ok(&format!("retrain -q --force {SETTINGS}"));
    assert_eq!(read(&server).len(), 5);
    sandbox.ok(&format!("retrain -q --force --drop-cache {SETTINGS}"));
    assert_eq!((read(&server).len(), kept(&sandbox)), (0, 0));
    assert_eq!(of_bucket(&sandbox), of_folder(&sandbox));
}

#[test]
fn the_cache_never_holds_more_than_it_may() {
    for megabytes in ["0", "1"] {
        let server = Server::start();
        let mut sandbox = Sandbox::with_env(server.env());
        sandbox.set("ECOSIGHT_CACHE_MB", megabytes);
        recordings(&sandbox, 60);
        server.put_folder(&sandbox.path().join("recordings"), "clips");
        server.seen();
        sandbox.ok(&format!("retrain -q {}", from_bucket()));
        let limit = megabytes.parse::<u64>().unwrap() * 1_000_000;
        assert!(kept(&sandbox) <= limit, "{} of {limit} bytes", kept(&sandbox));
        // Manifest and embeddings read objects, and the gate reads up to 20 of the test side once more.
        let found = reads(&server);
        let more = found.values().filter(|count| **count > 2).count();
        assert!(found.len() == 120 && more <= 20 && found.values().all(|count| *count <= 3), "{megabytes}: {found:?}");
        assert_eq!(of_bucket(&sandbox), of_folder(&sandbox));
        // Of the clips that a new one is compared with, none is read again.
        let new = recording(&sandbox, "high/new.wav");
        wav(&new, 2000.0, 777);
        server.put("clips/high/new.wav", fs::read(new).unwrap());
        server.seen();
        sandbox.ok(&format!("retrain -q {}", from_bucket()));
        let found = reads(&server);
        let again = found.keys().filter(|key| *key != "high/new.wav").count();
        assert!(found.contains_key("high/new.wav") && again <= 20, "{megabytes}: {found:?}");
    }
}

#[test]
fn the_part_of_a_source_that_fits_into_the_cache_is_fetched_once() {
    let server = Server::start();
    let mut sandbox = Sandbox::with_env(server.env());
    sandbox.set("ECOSIGHT_CACHE_MB", "1");
    recordings(&sandbox, 60);
    server.put_folder(&sandbox.path().join("recordings"), "clips");
    server.seen();
    sandbox.ok(&format!("retrain -q {}", from_bucket()));
    let reads = reads(&server);
    let size = |key: &String| sandbox.path().join("recordings").join(key).metadata().unwrap().len();
    let all: u64 = reads.keys().map(size).sum();
    let once: u64 = reads.iter().filter(|(_, count)| **count == 1).map(|(key, _)| size(key)).sum();
    assert!(all > 1_500_000 && once > 800_000, "{once} of {all} bytes were fetched once");
}

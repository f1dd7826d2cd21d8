//! Takings-in that are killed, or find no room: what was told as stored is there, and nothing half-written is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Instant;

use crate::ingest::{clips, originals};
use crate::kill::fraction;
use crate::s3::Server;
use crate::support::{Sandbox, skipped};
use crate::trouble::Small;

const FILES: u32 = 12;

/// The content of each file that is taken in, and its name.
fn sources(sandbox: &Sandbox) -> BTreeMap<Vec<u8>, u32> {
    (0..FILES).map(|number| (fs::read(sandbox.path().join(format!("in/{number}.wav"))).unwrap(), number)).collect()
}

/// Kills so many, each at another moment; at the end everything is stored once.
fn disturb(sandbox: &Sandbox, kills: u32, seed: u64) {
    clips(sandbox, "in", 0..FILES);
    let sources = sources(sandbox);
    let line = |class: u32| format!("ingest in --class c{class} --new-class -q");
    let begun = Instant::now();
    sandbox.ok(&format!("{} --data-root undisturbed", line(0)));
    let (length, mut random, mut killed) = (begun.elapsed(), seed, 0);
    for number in 0..kills {
        let lines = (f64::from(FILES) * fraction(&mut random)) as usize;
        let delay = length.mul_f64(fraction(&mut random) / f64::from(FILES));
        let what = format!("kill {number} {delay:?} behind line {lines}, seed {seed}");
        let mut command = sandbox.command(&format!("{} --data-root root", line(number)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut output, mut told) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        for _ in 0..lines {
            output.read_line(&mut told).unwrap();
        }
        std::thread::sleep(delay);
        let _ = child.kill();
        killed += u32::from(child.wait().unwrap().code().is_none());
        output.read_to_string(&mut told).unwrap();
        check(sandbox, &sources, &told, &what);
        sandbox.ok(&format!("{} --data-root root", line(number)));
        let folder = sandbox.path().join(format!("root/extracted_audio/c{number}"));
        let mut found: Vec<u32> =
            crate::roots::files(&folder).iter().map(|path| sources[&fs::read(path).unwrap()]).collect();
        found.sort_unstable();
        assert_eq!(found, (0..FILES).collect::<Vec<_>>(), "{what}");
    }
    assert!(killed > kills / 2, "only {killed} of {kills} were hit");
}

/// What was told is there, and what is visible is whole.
fn check(sandbox: &Sandbox, sources: &BTreeMap<Vec<u8>, u32>, told: &str, what: &str) {
    // The last line may have been cut off.
    for line in told.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let key = line.split_whitespace().find(|word| word.starts_with("extracted_audio/")).unwrap();
        let content =
            fs::read(sandbox.path().join("root").join(key)).unwrap_or_else(|error| panic!("{what}: {key}: {error}"));
        assert!(sources.contains_key(&content), "{what}: {key}");
    }
    let is_visible = |path: &std::path::PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    for path in originals(sandbox, "root").into_iter().filter(is_visible) {
        assert!(sources.contains_key(&fs::read(&path).unwrap()), "{what}: {} is half a file", path.display());
    }
}

#[test]
fn what_was_told_as_stored_survives_fifty_kills() {
    disturb(&Sandbox::new(), 50, 3);
}

#[test]
fn uploads_that_are_killed_end_in_the_bucket_all_the_same() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    disturb(&sandbox, 12, 4);
    sandbox.ok("storage sync --data-root root");
    let contents = |files: Vec<std::path::PathBuf>| {
        let of = |path: &std::path::PathBuf| {
            (path.parent().unwrap().file_name().unwrap().to_owned(), fs::read(path).unwrap())
        };
        files.iter().map(of).collect::<std::collections::BTreeSet<_>>()
    };
    let bucket = crate::roots::files(&server.bucket_folder().join("extracted_audio"));
    let bucket: Vec<_> = bucket.into_iter().filter(|path| path.to_string_lossy().contains("/c")).collect();
    let sent = bucket.len();
    let (here, there) = (contents(originals(&sandbox, "root")), contents(bucket));
    assert!(here.is_subset(&there));
    assert_eq!(sent, there.len(), "each is there once, if under the name that it had before a kill");
    assert_eq!(sandbox.json("storage outbox --data-root root")["count"], 0);
}

#[test]
fn a_full_disk_takes_what_fits_and_says_so() {
    let sandbox = Sandbox::new();
    clips(&sandbox, "in", 0..FILES);
    let sources = sources(&sandbox);
    let root = sandbox.path().join("root");
    let mut full = 0;
    for kilobytes in [8, 40, 64, 96, 120, 136, 150, 168] {
        let Some(disk) = Small::mount(&root, kilobytes) else {
            skipped("no file system may be mounted here, so no disk is filled");
            return;
        };
        let what = format!("{kilobytes} kB");
        let ran = sandbox.run("ingest in --class dog --new-class -q --data-root root");
        if ran.code != 0 {
            assert!(
                ran.code == 6 && ran.stderr.contains("hint: free some space"),
                "{what}: {} {}",
                ran.code,
                ran.stderr
            );
            full += 1;
        }
        check(&sandbox, &sources, &ran.stdout, &what);
        disk.grow();
        sandbox.ok("ingest in --class dog --new-class -q --data-root root");
        assert_eq!(originals(&sandbox, "root").len(), FILES as usize, "{what}");
    }
    assert!(full > 2, "{full}");
}

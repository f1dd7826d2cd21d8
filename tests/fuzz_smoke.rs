//! Readers of bytes that strangers wrote, on changed fixtures: a short form of what `fuzz/run` does for minutes.

use std::fs;
use std::path::Path;

use ecosight_datasets::key::KeyHasher;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::repository;

#[path = "fuzz/targets.rs"]
mod targets;

/// Changed fixtures for each target.
const CHANGED: usize = 150;

/// The fixtures with one of these endings, in the order of their names.
fn seeds(endings: &[&str]) -> Vec<Vec<u8>> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, endings, found);
            } else if path.extension().is_some_and(|ending| endings.contains(&ending.to_str().unwrap())) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository().join("tests/fixtures"), endings, &mut found);
    found.sort();
    found.into_iter().map(|path| fs::read(path).unwrap()).filter(|bytes| bytes.len() < 65_536).collect()
}

/// `bytes` with a few changes of the kinds that files suffer.
fn changed(mut bytes: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    for _ in 0..rng.random_range(1..6) {
        let len = bytes.len();
        if len == 0 {
            break;
        }
        // Headers decide most.
        let at = if rng.random_bool(0.5) { rng.random_range(0..len.min(128)) } else { rng.random_range(0..len) };
        match rng.random_range(0..6) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][rng.random_range(0..5)],
            2 => bytes.truncate(at),
            3 => bytes[at..(at + 4).min(len)].fill(if rng.random_bool(0.5) { 0xFF } else { 0 }),
            4 => {
                let copied = bytes[at..(at + rng.random_range(1..64)).min(len)].to_vec();
                bytes.splice(at..at, copied);
            }
            _ => drop(bytes.drain(at..(at + rng.random_range(1..64)).min(len))),
        }
    }
    bytes
}

#[test]
fn changed_files_of_every_kind_are_read_or_refused() {
    for (name, target, endings) in targets::TARGETS {
        let seeds = seeds(endings);
        assert!(!seeds.is_empty(), "{name}");
        for seed in &seeds {
            target(seed);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(KeyHasher::new(name).finish().to_u64());
        for _ in 0..CHANGED {
            let seed = seeds[rng.random_range(0..seeds.len())].clone();
            target(&changed(seed, &mut rng));
        }
    }
}

//! The verbs on the objects of a store: on a folder, and on a bucket.

mod interrupt;
mod migrate;
mod mistakes;
mod objects;
mod sides;
mod upkeep;
mod urls;

use std::fs;
use std::path::Path;

use crate::clips::wav;
use crate::s3::Server;
use crate::support::Sandbox;

/// Keys of originals, with names in several scripts.
const KEYS: [&str; 4] = [
    "extracted_audio/dog/20260102_030405_a.wav",
    "extracted_audio/dog/20260102_030406_日本.wav",
    "extracted_audio/cat/20260102_030407_ümlaut.wav",
    "extracted_audio/cat/20260102_030408_b c.wav",
];

/// A folder in which no bucket is configured, with a data root that holds originals.
fn local() -> Sandbox {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    sandbox
}

/// A server with an empty bucket, and a folder in which it is configured beside a data root that holds originals.
fn beside_bucket() -> (Server, Sandbox) {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    fill(&sandbox);
    (server, sandbox)
}

fn fill(sandbox: &Sandbox) {
    for (number, key) in KEYS.iter().enumerate() {
        let path = sandbox.path().join("ecosight-data").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        wav(&path, 440.0, number as u32);
    }
}

/// All files below a folder, as paths in it with `/`, hidden ones included.
fn names(folder: &Path) -> Vec<String> {
    let name = |path: std::path::PathBuf| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = crate::roots::files(folder).into_iter().map(name).collect();
    names.sort();
    names
}

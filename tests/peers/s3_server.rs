//! The S3 server of the tests over a folder of one's own, for comparisons: `s3_server FOLDER`. It prints one line of JSON with its variables, and
//! ends when its standard input does.

#![expect(clippy::unwrap_used, reason = "whoever started it sees why it fails")]

use std::collections::BTreeMap;
use std::path::PathBuf;

#[path = "../s3.rs"]
#[expect(dead_code, unused_imports, reason = "comparisons need a server that works")]
mod s3;

fn main() {
    let folder = std::env::args_os().map(PathBuf::from).find(|path| path.is_dir()).expect("a folder to serve");
    let server = s3::Server::over(&folder);
    let variables: BTreeMap<String, String> = server.env().into_iter().collect();
    println!("{}", serde_json::to_string(&variables).unwrap());
    let _ = std::io::stdin().read_line(&mut String::new());
}

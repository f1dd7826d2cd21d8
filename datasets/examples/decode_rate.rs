//! Recordings that are decoded, mixed to mono and resampled to 16 kHz per second, for `tests/peers/compare frontend`.
//!
//! `decode_rate --files LIST`, where the list names one file per line; their bytes are held in memory. Requests:
//! `rate THREADS SECONDS`, and `write FILE` for the samples of the first file.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use ecosight_datasets::audio::decode;
use line_protocol::{Started, number, rate, required, serve, write_f32};
use serde_json::json;

#[path = "../../tests/peers/line_protocol.rs"]
#[expect(dead_code, reason = "the other examples use more of it")]
mod line_protocol;

fn main() -> std::io::Result<()> {
    serve(start())
}

fn start() -> Started {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let list = String::from_utf8(read(&required("--files")?)?).map_err(|error| error.to_string())?;
    let files: Vec<Vec<u8>> = list.lines().map(read).collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err("the list names no file".to_owned());
    }
    let samples = |bytes: &[u8]| decode(Box::new(Cursor::new(bytes.to_vec())), None).map_err(|e| e.to_string());
    for (path, bytes) in list.lines().zip(&files) {
        samples(bytes).map_err(|error| format!("{path}: {error}"))?;
    }
    let ready = json!({ "version": env!("CARGO_PKG_VERSION") });
    let next = AtomicUsize::new(0);
    let answer = move |words: &[&str]| match words {
        ["rate", ..] => {
            let step = || {
                let file = next.fetch_add(1, Ordering::Relaxed) % files.len();
                std::hint::black_box(samples(&files[file]).expect("each file was decoded before"));
                1
            };
            Ok(rate(number(words, 1)?, number(words, 2)?, || step).answer("items"))
        }
        ["write", path] => {
            write_f32(path, &samples(&files[0])?)?;
            Ok(json!({ "clips": 1 }))
        }
        _ => Err(format!("unknown request {words:?}")),
    };
    Ok((ready, Box::new(answer)))
}

//! Patches that the log-mel front end computes per second, for `tests/peers/compare frontend`.
//!
//! `frontend_rate --clips FILE --samples N`, where the clips are raw little-endian f32 `[clips, N]` at 16 kHz. Requests:
//! `rate THREADS SECONDS`, and `write FILE` for the patches of all clips.

use std::sync::atomic::{AtomicUsize, Ordering};

use ecosight_models::frontend::{Framer, Window, Windowing};
use line_protocol::{Started, number, rate, read_clips, serve, write_f32};
use serde_json::json;

#[path = "../../tests/peers/line_protocol.rs"]
mod line_protocol;

fn main() -> std::io::Result<()> {
    serve(start())
}

/// Cuts one clip into patches, which replace what is in `windows`.
fn patches(framer: &mut Framer, clip: &[f32], windows: &mut Vec<Window>) {
    windows.clear();
    framer.push(clip, windows);
    framer.finish(windows);
}

fn start() -> Started {
    let clips = read_clips()?;
    let ready = json!({ "version": env!("CARGO_PKG_VERSION") });
    let next = AtomicUsize::new(0);
    let answer = move |words: &[&str]| match words {
        ["rate", ..] => {
            let worker = || {
                let (mut framer, mut windows) = (Framer::new(Windowing::YAMNET), Vec::new());
                let (clips, next) = (&clips, &next);
                move || {
                    let clip = next.fetch_add(1, Ordering::Relaxed) % clips.len();
                    patches(&mut framer, &clips[clip], &mut windows);
                    std::hint::black_box(&windows).len()
                }
            };
            Ok(rate(number(words, 1)?, number(words, 2)?, worker).answer("items"))
        }
        ["write", path] => {
            let (mut framer, mut windows, mut values) = (Framer::new(Windowing::YAMNET), Vec::new(), Vec::new());
            for clip in &clips {
                patches(&mut framer, clip, &mut windows);
                values.extend(windows.iter().flat_map(|window| &window.logmel));
            }
            write_f32(path, &values)?;
            Ok(json!({ "clips": clips.len() }))
        }
        _ => Err(format!("unknown request {words:?}")),
    };
    Ok((ready, Box::new(answer)))
}

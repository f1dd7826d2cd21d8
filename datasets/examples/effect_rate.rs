//! Clips to which an effect of the catalogue is applied per second, for `tests/peers/compare frontend`.
//!
//! `effect_rate --clips FILE --samples N --effect NAME`, where the clips are raw little-endian f32 `[clips, N]` at 16 kHz.
//! Requests: `rate THREADS SECONDS`, and `write FILE` for the first clip under the effect.

use std::sync::atomic::{AtomicUsize, Ordering};

use ecosight_datasets::effects::catalogue;
use line_protocol::{Started, number, rate, read_clips, required, serve, write_f32};
use serde_json::json;

#[path = "../../tests/peers/line_protocol.rs"]
mod line_protocol;

fn main() -> std::io::Result<()> {
    serve(start())
}

fn start() -> Started {
    let wanted = required("--effect")?;
    let found = catalogue().into_iter().find(|(name, _)| *name == wanted);
    let (_, effect) = found.ok_or_else(|| format!("no effect `{wanted}`"))?;
    let clips = read_clips()?;
    let ready = json!({ "version": env!("CARGO_PKG_VERSION") });
    let next = AtomicUsize::new(0);
    let answer = move |words: &[&str]| match words {
        ["rate", ..] => {
            let step = || {
                let clip = next.fetch_add(1, Ordering::Relaxed) % clips.len();
                std::hint::black_box(effect.apply(&clips[clip], 0));
                1
            };
            Ok(rate(number(words, 1)?, number(words, 2)?, || step).answer("items"))
        }
        ["write", path] => {
            write_f32(path, &effect.apply(&clips[0], 0))?;
            Ok(json!({ "clips": 1 }))
        }
        _ => Err(format!("unknown request {words:?}")),
    };
    Ok((ready, Box::new(answer)))
}

//! Patches that YAMNet embeds per second, for `tests/peers/compare yamnet`.
//!
//! `yamnet_rate --weights FILE --patches FILE [--precision f32|bf16] [--isa auto|amx|avx512-bf16|avx512|avx2|portable]`, where the
//! patches are raw little-endian f32 `[n, 96, 64]`. Requests: `rate THREADS BATCH SECONDS`, and `write FILE` for the
//! embeddings of all patches.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ecosight_models::embedder::{Embedder, Precision};
use ecosight_models::frontend::params::PATCH_FRAMES;
use ecosight_models::frontend::{MEL_BANDS, Window};
use ecosight_models::weights::YamnetWeights;
use ecosight_models::yamnet::{Isa, YamnetEmbedder, fastest_bf16};
use line_protocol::{Started, number, option, rate, read_f32, required, serve, write_f32};
use serde_json::json;

#[path = "../../tests/peers/line_protocol.rs"]
#[expect(dead_code, reason = "the other examples use more of it")]
mod line_protocol;

/// Patches that are embedded in one call when all embeddings are written.
const WRITE_BATCH: usize = 64;

fn main() -> std::io::Result<()> {
    serve(start())
}

/// The embedder in `precision` with the instructions `isa`, and the name of what computes it.
fn load(weights: &YamnetWeights, precision: &str, isa: &str) -> Result<(YamnetEmbedder, &'static str), String> {
    let precision = match precision {
        "f32" => Precision::F32,
        "bf16" => fastest_bf16(),
        _ => return Err(format!("no precision `{precision}`")),
    };
    let embedder = if isa == "auto" {
        YamnetEmbedder::load(weights, precision)
    } else {
        let isa: Isa = isa.parse()?;
        if !isa.is_available() {
            return Err(format!("this CPU has no {isa}"));
        }
        YamnetEmbedder::with_isa(weights, precision, isa)
    };
    let kernel = embedder.kernel();
    Ok((embedder, kernel))
}

fn start() -> Started {
    let path = required("--weights")?;
    let path = Path::new(&path);
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let weights = if is_safetensors { YamnetWeights::from_safetensors(path) } else { YamnetWeights::from_h5(path) };
    let weights = weights.map_err(|error| error.to_string())?;
    let precision = option("--precision").unwrap_or_else(|| "f32".to_owned());
    let isa = option("--isa").unwrap_or_else(|| "auto".to_owned());
    let (embedder, kernel) = load(&weights, &precision, &isa)?;
    let windows: Vec<Window> = read_f32(&required("--patches")?)?
        .chunks_exact(PATCH_FRAMES * MEL_BANDS)
        .map(|patch| Window { start_s: 0.0, frames: PATCH_FRAMES, logmel: patch.to_vec() })
        .collect();
    let ready = json!({ "version": env!("CARGO_PKG_VERSION"), "isa": kernel, "embedder": embedder.id().slug() });
    // Goes on from one measurement to the next, so that all patches take their turn.
    let next = AtomicUsize::new(0);
    let answer = move |words: &[&str]| match words {
        ["rate", ..] => {
            let (threads, batch, seconds) = (number(words, 1)?, number::<usize>(words, 2)?, number(words, 3)?);
            let batches = windows.len() / batch;
            if batches == 0 {
                return Err(format!("there are only {} patches", windows.len()));
            }
            let step = || {
                let start = next.fetch_add(1, Ordering::Relaxed) % batches * batch;
                let rows = embedder.embed(&windows[start..start + batch]).expect("the windows are patches");
                std::hint::black_box(rows).len() / embedder.dim()
            };
            Ok(rate(threads, seconds, || step).answer("patches"))
        }
        ["write", path] => {
            let rows: Result<Vec<_>, _> = windows.chunks(WRITE_BATCH).map(|batch| embedder.embed(batch)).collect();
            write_f32(path, &rows.map_err(|error| error.to_string())?.concat())?;
            Ok(json!({ "patches": windows.len() }))
        }
        _ => Err(format!("unknown request {words:?}")),
    };
    Ok((ready, Box::new(answer)))
}

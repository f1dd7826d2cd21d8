//! The processor.

use std::thread::available_parallelism;

use ecosight_models::open::{EmbedderName, EmbedderSpec, PrecisionChoice};
use ecosight_models::yamnet::{Kernel, fastest_bf16, single_precision};

use super::Finding;

/// Which kernels compute YAMNet at either precision.
pub(super) fn processor(spec: EmbedderSpec) -> Finding {
    let (single, half) = (Kernel::of(single_precision()), Kernel::of(fastest_bf16()));
    let arithmetic = if half.is_native { "by its own instructions" } else { "emulated, slower than f32" };
    let found = format!("YAMNet is computed by {} in f32; in bf16 by {}, {arithmetic}", single.word, half.word);
    let is_asked_for = spec.name == EmbedderName::Yamnet && spec.precision == PrecisionChoice::Bf16;
    if is_asked_for && !half.is_native {
        return Finding::warn("processor", found, "take `embed.precision = \"f32\"`, which is faster here");
    }
    if cfg!(target_arch = "x86_64") && single.word == "portable" {
        return Finding::warn(
            "processor",
            found,
            "a processor (or virtual machine) with AVX2 is several times as fast",
        );
    }
    Finding::ok("processor", found)
}

/// How many threads work on how many cores.
pub(super) fn threads() -> Finding {
    let threads = rayon::current_num_threads();
    let Ok(cores) = available_parallelism() else {
        return Finding::ok("threads", format!("{threads}; the number of cores is not known"));
    };
    let found = format!("{threads} on {cores} core(s)");
    if threads > cores.get() {
        return Finding::warn("threads", found, "leave `--jobs` out: more threads than cores only take memory");
    }
    Finding::ok("threads", found)
}

//! The network at one of its precisions.

use std::fmt;
use std::sync::OnceLock;

use super::check::agrees;
use super::element::Bf16;
use super::executor::Executor;
use super::isa::Isa;
use super::kernels::{self, Kernels};
use crate::embedder::Precision;
use crate::frontend::Window;
use crate::weights::YamnetWeights;

/// YAMNet's network on the CPU.
pub(in crate::yamnet) struct CpuNetwork(Factors);

/// By the format of the products' factors.
enum Factors {
    Single(Executor<f32>),
    Half(Executor<Bf16>),
}

impl CpuNetwork {
    /// The network with `weights` at `precision`, by the instructions of `isa` or plainer ones; the bits do not depend on it.
    pub(in crate::yamnet) fn new(weights: &YamnetWeights, precision: Precision, isa: Isa) -> Self {
        Self(match precision {
            Precision::F32 | Precision::F32Gpu => Factors::Single(Executor::new(weights, kernels::single(isa))),
            Precision::Bf16Avx512 => Factors::Half(Executor::new(weights, trusted(isa, kernels::pairs))),
            Precision::Bf16Amx => Factors::Half(Executor::new(weights, trusted(isa, kernels::tiles))),
        })
    }

    /// The instruction set of its products.
    pub(in crate::yamnet) fn isa(&self) -> Isa {
        match &self.0 {
            Factors::Single(executor) => executor.isa(),
            Factors::Half(executor) => executor.isa(),
        }
    }

    /// Embeddings `[windows, 1024]` of windows of one patch each.
    pub(in crate::yamnet) fn embed(&self, windows: &[Window]) -> Vec<f32> {
        match &self.0 {
            Factors::Single(executor) => executor.embed(windows),
            Factors::Half(executor) => executor.embed(windows),
        }
    }
}

/// The instruction set that this CPU computes `precision` with. For bfloat16, one without bfloat16 instructions emulates them.
pub(in crate::yamnet) fn isa_for(precision: Precision) -> Isa {
    match precision {
        Precision::F32 | Precision::F32Gpu => kernels::single(Isa::best()).isa,
        Precision::Bf16Avx512 => trusted(Isa::best(), kernels::pairs).isa,
        Precision::Bf16Amx => trusted(Isa::best(), kernels::tiles).isa,
    }
}

impl fmt::Debug for CpuNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CpuNetwork").field(&self.isa()).finish()
    }
}

/// The bfloat16 arithmetic that this CPU computes fastest.
pub fn fastest_bf16() -> Precision {
    static TILES: OnceLock<bool> = OnceLock::new();
    let tiles = *TILES.get_or_init(|| Isa::Amx.is_available() && agrees(kernels::tiles));
    if tiles { Precision::Bf16Amx } else { Precision::Bf16Avx512 }
}

/// The kernels for `isa`, unless the CPU's own instructions do not add up as they are specified: then the ones in single
/// precision, which do.
fn trusted(isa: Isa, kernels: fn(Isa) -> Kernels<Bf16>) -> Kernels<Bf16> {
    if isa <= Isa::Avx512 || agrees(kernels) { kernels(isa) } else { kernels(Isa::Avx512) }
}

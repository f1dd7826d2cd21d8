//! The embedder on top of the network.

use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::EMBEDDING_DIM;
use super::cpu::{CpuNetwork, Isa, isa_for};
use super::device::{BATCH, IS_FOR_GPU};
use super::network::Yamnet;
use crate::embedder::{Dtype, EmbedError, Embedder, EmbedderId, Precision};
use crate::frontend::params::PATCH_FRAMES;
use crate::frontend::{MEL_BANDS, Window, Windowing};
use crate::weights::{ContentHash, YamnetWeights};

/// Raised when the values of an embedding change by more than rounding.
const VERSION: u32 = 1;

/// Values of a patch.
const PATCH_VALUES: usize = PATCH_FRAMES * MEL_BANDS;

/// YAMNet's embedding of 0.96 s, 1024 values. On the CPU it computes on the calling thread, so several threads may share
/// one embedder.
#[derive(Debug)]
pub struct YamnetEmbedder {
    id: EmbedderId,
    network: Network,
}

/// What computes the network.
#[derive(Debug)]
enum Network {
    Cpu(CpuNetwork),
    Gpu(Box<Yamnet>, Device),
}

impl YamnetEmbedder {
    /// The embedder with `weights` at `precision`: on the GPU for [`Precision::F32Gpu`] in builds for one, else by the best instructions of this CPU.
    pub fn load(weights: &YamnetWeights, precision: Precision) -> Self {
        if IS_FOR_GPU && precision == Precision::F32Gpu {
            let device = super::device();
            let network = Network::Gpu(Box::new(Yamnet::new(weights, &device)), device);
            return Self { id: identity(weights.content_hash(), precision), network };
        }
        Self::with_isa(weights, precision, Isa::best())
    }

    /// The embedder with `weights` at `precision` on the CPU, by instructions of `isa` at most. The values do not depend on it.
    ///
    /// # Panics
    /// When this CPU does not have `isa`.
    pub fn with_isa(weights: &YamnetWeights, precision: Precision, isa: Isa) -> Self {
        assert!(isa.is_available(), "this CPU has no {isa}");
        let network = Network::Cpu(CpuNetwork::new(weights, precision, isa));
        Self { id: identity(weights.content_hash(), precision), network }
    }

    /// What computes: the instruction set of the CPU's kernels, or `gpu`.
    pub fn kernel(&self) -> &'static str {
        match &self.network {
            Network::Cpu(network) => network.isa().word(),
            Network::Gpu(..) => "gpu",
        }
    }
}

/// Single precision as this build computes it when it may choose.
pub const fn single_precision() -> Precision {
    if IS_FOR_GPU { Precision::F32Gpu } else { Precision::F32 }
}

/// What computes the network on this machine, known without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The instruction set of the CPU's kernels, or `gpu`.
    pub word: &'static str,
    /// Whether these instructions compute in the precision themselves; if not, they emulate it to the bit, which is slow.
    pub is_native: bool,
}

impl Kernel {
    /// What [`YamnetEmbedder::load`] takes for `precision`.
    pub fn of(precision: Precision) -> Self {
        if precision == Precision::F32Gpu {
            return Self { word: "gpu", is_native: true };
        }
        let isa = isa_for(precision);
        Self { word: isa.word(), is_native: precision == Precision::F32 || isa > Isa::Avx512 }
    }
}

/// The identity of the embedder with these weights at `precision`.
pub(crate) fn identity(weights: &ContentHash, precision: Precision) -> EmbedderId {
    let weights = Some(weights.to_string());
    EmbedderId { name: "yamnet".to_owned(), version: VERSION, weights, precision, dtype: Dtype::F32 }
}

/// Embeddings of at most [`BATCH`] windows by burn, appended to `rows`.
fn embed_on(network: &Yamnet, device: &Device, windows: &[Window], rows: &mut Vec<f32>) -> Result<(), EmbedError> {
    let mut patches = Vec::with_capacity(BATCH * PATCH_VALUES);
    for window in windows {
        patches.extend_from_slice(&window.logmel);
    }
    patches.resize(BATCH * PATCH_VALUES, 0.0);
    let patches = TensorData::new(patches, [BATCH, PATCH_FRAMES, MEL_BANDS]);
    let values = network
        .embed(Tensor::from_data(patches, device))
        .try_into_data()
        .map_err(|error| EmbedError::Device { message: error.to_string() })?
        .try_into_vec::<f32>()
        .map_err(|error| EmbedError::Device { message: error.to_string() })?;
    rows.extend_from_slice(&values[..windows.len() * EMBEDDING_DIM]);
    Ok(())
}

impl Embedder for YamnetEmbedder {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn dim(&self) -> usize {
        EMBEDDING_DIM
    }

    fn windowing(&self) -> Windowing {
        Windowing::YAMNET
    }

    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError> {
        EmbedError::check(windows, PATCH_FRAMES..=PATCH_FRAMES)?;
        match &self.network {
            Network::Cpu(network) => Ok(network.embed(windows)),
            Network::Gpu(network, device) => {
                let mut rows = Vec::with_capacity(windows.len() * EMBEDDING_DIM);
                for batch in windows.chunks(BATCH) {
                    embed_on(network, device, batch, &mut rows)?;
                }
                Ok(rows)
            }
        }
    }
}

//! The embedder on top of the network.

use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::EMBEDDING_DIM;
use super::device::BATCH;
use super::network::Yamnet;
use crate::embedder::{Dtype, EmbedError, Embedder, EmbedderId, Precision};
use crate::frontend::params::PATCH_FRAMES;
use crate::frontend::{MEL_BANDS, Window, Windowing};
use crate::weights::YamnetWeights;

/// Raised when the values of an embedding change by more than rounding.
const VERSION: u32 = 1;

/// Values of a patch.
const PATCH_VALUES: usize = PATCH_FRAMES * MEL_BANDS;

/// YAMNet's embedding of 0.96 s, 1024 values. It computes on the calling thread when the device is the CPU, so several
/// threads may share one embedder.
#[derive(Debug)]
pub struct YamnetEmbedder {
    id: EmbedderId,
    network: Yamnet,
    device: Device,
}

impl YamnetEmbedder {
    /// The embedder with `weights` on the [device of this build](super::device()).
    pub fn load(weights: &YamnetWeights) -> Self {
        let device = super::device();
        let id = EmbedderId {
            name: "yamnet".to_owned(),
            version: VERSION,
            weights: Some(weights.content_hash().to_string()),
            precision: Precision::F32,
            dtype: Dtype::F32,
        };
        Self { id, network: Yamnet::new(weights, &device), device }
    }

    /// Appends the embeddings of at most [`BATCH`] windows.
    fn embed_batch(&self, windows: &[Window], rows: &mut Vec<f32>) -> Result<(), EmbedError> {
        let mut patches = Vec::with_capacity(BATCH * PATCH_VALUES);
        for window in windows {
            patches.extend_from_slice(&window.logmel);
        }
        patches.resize(BATCH * PATCH_VALUES, 0.0);
        let patches = TensorData::new(patches, [BATCH, PATCH_FRAMES, MEL_BANDS]);
        let embeddings = self.network.embed(Tensor::from_data(patches, &self.device));
        let values = embeddings
            .try_into_data()
            .map_err(|error| EmbedError::Device { message: error.to_string() })?
            .try_into_vec::<f32>()
            .map_err(|error| EmbedError::Device { message: error.to_string() })?;
        rows.extend_from_slice(&values[..windows.len() * EMBEDDING_DIM]);
        Ok(())
    }
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
        let mut rows = Vec::with_capacity(windows.len() * EMBEDDING_DIM);
        for batch in windows.chunks(BATCH) {
            self.embed_batch(batch, &mut rows)?;
        }
        Ok(rows)
    }
}

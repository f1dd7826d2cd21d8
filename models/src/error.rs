//! What can go wrong between samples and scores.

use crate::artefact::ArtefactError;
use crate::embedder::{EmbedError, EmbedderId};
use crate::export::ExportError;
use crate::head::HeadError;
use crate::metrics::MetricsError;
use crate::weights::WeightsError;

/// A failure of weights, an embedder, a head or a model's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The embedder needs weights, and there are none on this machine.
    #[error("the weights of `{embedder}` are not on this machine")]
    MissingWeights {
        /// Name of the embedder.
        embedder: String,
    },
    /// The embedder cannot compute in the number format that was asked for.
    #[error("`{embedder}` cannot compute in `{precision}`: {why}")]
    Precision {
        /// Name of the embedder.
        embedder: String,
        /// The number format.
        precision: String,
        /// Why not.
        why: &'static str,
    },
    /// A model was trained with an embedder that cannot be had here.
    #[error("the model was trained with the embedder `{wanted}`, which is not at hand{}", .found.as_ref().map_or(String::new(), |f| format!(" (there is `{f}`)")))]
    OtherEmbedder {
        /// What the model needs.
        wanted: EmbedderId,
        /// What there is.
        found: Option<EmbedderId>,
    },
    /// Weights cannot be read or kept.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Windows cannot be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A head cannot be trained.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Metrics cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A model cannot be expressed in ONNX.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A model's folder cannot be read or written.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
}

impl ModelError {
    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingWeights { .. } => Some(
                "fetch them once with `ecosight weights fetch`, or take a file you have with `ecosight weights import yamnet.h5`; \
                 the embedder `logmel` needs none"
                    .to_owned(),
            ),
            Self::Precision { .. } => Some("leave `precision` out, or set it to \"f32\"".to_owned()),
            Self::OtherEmbedder { .. } => Some(
                "import the weights that the model was trained with (`ecosight weights import FILE`), or train anew with \
                 `ecosight retrain`"
                    .to_owned(),
            ),
            Self::Export(_) => Some("export the head alone: leave out `--with-embedder`".to_owned()),
            Self::Artefact(_) => Some(
                "train anew with `ecosight retrain`, or name another model (`ecosight models list`); `ecosight models promote VERSION` puts one into production".to_owned(),
            ),
            _ => None,
        }
    }
}

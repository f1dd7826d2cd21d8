//! Why a model cannot be exported.

use crate::embedder::{EmbedderId, Precision};

/// What is wrong with the parts of a model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A list is not as long as what it belongs to.
    #[error("`{part}` has {found} values instead of {expected}")]
    Length {
        /// What is too long or too short.
        part: String,
        /// Length that the rest of the model asks for.
        expected: usize,
        /// Length that it has.
        found: usize,
    },
    /// A value that no trained model has.
    #[error("`{0}` holds a value that no trained model has")]
    Value(String),
    /// There is nothing between input and classes.
    #[error("a head has at least one layer")]
    NoLayers,
    /// A classifier needs two classes.
    #[error("{0} classes, and a classifier needs at least 2")]
    TooFewClasses(usize),
    /// An activation in a place where it is not exported.
    #[error("layer {layer} ends in another activation than {expected}")]
    Activation {
        /// Position of the layer, from 0.
        layer: usize,
        /// What can stand there.
        expected: &'static str,
    },
    /// The rule from probabilities to a label contradicts itself.
    #[error("`decision`: {0}")]
    Decision(String),
    /// The head was trained on embeddings of something else.
    #[error("the head was trained with the embedder `{wanted}`, and the weights at hand make `{found}`")]
    Embedder {
        /// What the head was trained with.
        wanted: EmbedderId,
        /// What the weights make.
        found: EmbedderId,
    },
    /// There is no graph of the embedder.
    #[error("only YAMNet can be exported together with a head, and the model was trained with the embedder `{0}`")]
    OtherEmbedder(EmbedderId),
    /// The graph scores whole clips.
    #[error(
        "the model was trained on windows (`train.window`), and the graph from samples to probabilities is for whole clips"
    )]
    Windows,
    /// The embedder computes in a format that ONNX cannot express.
    #[error("the embedder computes in `{0}`, which cannot be expressed in ONNX; only `f32` can")]
    Precision(Precision),
}

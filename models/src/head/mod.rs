//! The classifier head: pooled embeddings in, class probabilities out.
//!
//! ```text
//! patches [k, dim] ─ Summary ─► clip [dim'] ─ Normaliser ─► network (linear or MLP) ─► probabilities [classes]
//! ```
//!
//! Guarantees: the normaliser is part of the head; training is seeded and gives the same bits on every run and with any
//! number of threads; the probabilities of a row do not depend on the rows beside it.

mod blocks;
mod config;
mod coverage;
mod error;
mod examples;
mod features;
mod folds;
mod layers;
mod lbfgs;
mod linear_training;
mod mixup;
mod mlp;
mod mlp_session;
mod mlp_training;
mod model;
mod normaliser;
mod pooling;
mod record;
mod regression;
mod sampling;
mod score;
mod search;
mod snapshot;
mod spectrum;
mod targets;
#[cfg(test)]
mod tests;
mod train;
mod unknown;

pub use config::{ClassWeights, HeadKind, L2, ThresholdWish, TrainConfig};
pub use error::HeadError;
pub use examples::Examples;
pub use features::Features;
pub(crate) use features::REACH;
pub use folds::GroupFolds;
pub(crate) use mlp::HIDDEN;
pub use model::{Head, Scored, mean_of_rows};
pub use normaliser::Normaliser;
pub use pooling::{Pooler, Pooling, Summary};
pub(crate) use record::{HeadRecord, TensorRecord};
pub use sampling::Sampling;
pub(crate) use score::argmax;
pub use score::softmax;
pub use search::Search;
pub use targets::{LabelSets, Scores, Targets};
pub use train::{Epoch, OnEpoch, OutOfFold, Stopped, Trained, Tried, Unseen, Watch, train, train_on};
pub use unknown::{UNKNOWN, Unknown, UnknownLimit};

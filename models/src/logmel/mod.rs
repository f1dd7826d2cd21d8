//! The weights-free embedder: statistics and modulation of the log-mel bands of a whole window.
//!
//! For demonstrations, first steps offline, and as a floor that learned embeddings have to beat.

mod embedder;
mod modulation;
mod statistics;

pub(crate) use embedder::identity;
pub use embedder::{LOGMEL_DIM, LogMelEmbedder};

//! From samples to scores: the log-mel front end, the embedders, the classifier head, its metrics and the model artefact.
//!
//! Neither Parquet nor object stores are known here.

pub mod artefact;
pub mod decision;
pub mod dense;
pub mod embedder;
mod error;
pub mod export;
mod files;
pub mod frontend;
pub mod head;
pub mod import;
pub mod logmel;
pub mod metrics;
pub mod open;
mod rounded;
pub mod weights;
pub mod yamnet;

pub use error::ModelError;

//! The model artefact: a folder that holds everything that prediction needs.
//!
//! ```text
//! models/<version>/
//!   model.json          what the model is and how it came about (`ModelMeta`), schema version 3; no dates
//!   head.safetensors    the normaliser and the weights
//!   checksums.json      BLAKE3 of both, and the digest of the model
//!   class_names.json    the class names in index order, for programs that know nothing else
//!   model_metadata.json, performance_metrics.json
//!                       for programs written against the system that this one replaces; written once it is evaluated
//! ```
//!
//! Guarantees: a folder appears complete or not at all; equal models make equal bytes; loading checks everything and
//! answers hostile bytes with an error.

mod checksums;
mod compatible;
mod error;
mod folder;
mod meta;
mod onnx;
#[cfg(test)]
mod tests;
mod weights;

pub use checksums::{CHECKSUMS_FILE, Checksums};
pub use compatible::{Facts, METADATA_FILE, PERFORMANCE_FILE, made_at};
pub use error::{ArtefactError, ArtefactErrorKind};
pub use folder::{Artefact, CLASS_NAMES_FILE, MODEL_FILE, WEIGHTS_FILE};
pub use meta::{ModelMeta, Positives, SCHEMA_VERSION, Selection};

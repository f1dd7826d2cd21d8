//! The model artefact: a folder that holds everything that prediction needs.
//!
//! ```text
//! models/<version>/
//!   model.json          what the model is and how it came about (`ModelMeta`), schema version 1; no dates
//!   head.safetensors    the normaliser and the weights
//!   class_names.json    the class names in index order, for programs that know nothing else
//! ```
//!
//! Guarantees: a folder appears complete or not at all; equal models make equal bytes; loading checks everything and
//! answers hostile bytes with an error.

mod error;
mod folder;
mod meta;
#[cfg(test)]
mod tests;
mod weights;

pub use error::{ArtefactError, ArtefactErrorKind};
pub use folder::{Artefact, CLASS_NAMES_FILE, MODEL_FILE, WEIGHTS_FILE};
pub use meta::{ModelMeta, SCHEMA_VERSION, Selection};

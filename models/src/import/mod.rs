//! Heads of the system that this program replaces, read for comparison.
//!
//! A `.keras` file is a zip archive of `config.json` (the layers), `metadata.json` and `model.weights.h5` (HDF5; the variables of a
//! layer are `layers/<kind>/vars/0`, `1`, …, where the kind is `dense`, `dense_1`, … in the order of the layers, whatever their names).
//! Keras 3 and `tf_keras` 2.12 and later write the same.
//!
//! Guarantees: whatever the bytes, reading gives layers that fit together with finite values, or an error that says what is wrong, in
//! bounded memory.

mod archive;
mod build;
mod config;
mod error;
mod head;
#[cfg(test)]
mod tests;
mod variables;

pub use error::{ImportError, ImportErrorKind};
pub use head::{KerasHead, SERVED_S, read_keras};

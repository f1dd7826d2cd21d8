//! The weights of YAMNet: reading them from the published file, checking them, and the cache that holds them.
//!
//! Guarantees: whatever the bytes, reading gives weights of exactly the published shapes with finite values, or an
//! error that says what is wrong; a file in the cache is complete and matches its hash, or it is refused.
//!
//! Format of the cache: `<dir>/yamnet/<content hash>.safetensors` (tensors under the names of [`TensorSpec`], TensorFlow
//! layout, f32), `<content hash>.json` (a [`WeightsRecord`]) and `current.json`, which names the one in use.

mod atomic;
mod cache;
mod content;
mod error;
mod h5;
mod official;
mod record;
mod safetensors_file;
mod spec;
mod yamnet;

pub use cache::WeightsCache;
pub use content::ContentHash;
pub use error::{WeightsError, WeightsErrorKind};
pub use official::{OFFICIAL_SHA256, OFFICIAL_URL};
pub use record::WeightsRecord;
pub use spec::{TensorSpec, tensor_specs};
pub use yamnet::YamnetWeights;

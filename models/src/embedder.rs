//! What turns windows of log-mel frames into embeddings, and how such a thing is named.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::frontend::{MEL_BANDS, Window, Windowing};

/// Hexadecimal digits of the weights' hash in a [slug](EmbedderId::slug).
const SLUG_HASH_DIGITS: usize = 12;

/// Number format in which an embedder computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Precision {
    /// IEEE single precision.
    #[serde(rename = "f32")]
    F32,
    /// Products of bfloat16 factors, added in single precision in the order of AVX-512 BF16.
    #[serde(rename = "bf16-avx512")]
    Bf16Avx512,
    /// Products of bfloat16 factors, added in single precision in the order of AMX.
    #[serde(rename = "bf16-amx")]
    Bf16Amx,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("f32"),
            Self::Bf16Avx512 => f.write_str("bf16-avx512"),
            Self::Bf16Amx => f.write_str("bf16-amx"),
        }
    }
}

/// Everything that decides the values of an embedding besides the audio. Two embedders with the same identity produce
/// interchangeable embeddings; it is part of every key and of every model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderId {
    /// Name of the method, such as `yamnet`.
    pub name: String,
    /// Version of our implementation, the front end included.
    pub version: u32,
    /// Hexadecimal content hash of the weights, where there are any.
    pub weights: Option<String>,
    /// Number format of the computation.
    pub precision: Precision,
}

impl EmbedderId {
    /// A short name that can serve as a folder: `yamnet-v1-1a2b3c4d5e6f-f32`, `logmel-v1-f32`.
    pub fn slug(&self) -> String {
        let weights = self.weights.as_deref().map_or(String::new(), |hash| {
            let digits: String = hash.chars().take(SLUG_HASH_DIGITS).collect();
            format!("-{digits}")
        });
        format!("{}-v{}{weights}-{}", self.name, self.version, self.precision)
    }
}

impl fmt::Display for EmbedderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.slug())
    }
}

/// Turns windows of log-mel frames into embeddings. The bits of a row depend on its window alone, not on the other
/// windows of the call.
pub trait Embedder: Send + Sync {
    /// The identity, part of every key.
    fn id(&self) -> &EmbedderId;

    /// Values of an embedding.
    fn dim(&self) -> usize;

    /// How a clip has to be cut for this embedder.
    fn windowing(&self) -> Windowing;

    /// Embeddings `[windows, dim]`, row-major. Non-finite input gives non-finite rows, not an error.
    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError>;
}

/// Why windows could not be embedded.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// A window was not cut by the embedder's own windowing.
    #[error("window {index} has {frames} frames and {values} values, which this embedder does not take")]
    Window {
        /// Position among the windows of the call.
        index: usize,
        /// Frames that the window declares.
        frames: usize,
        /// Values that it holds.
        values: usize,
    },
    /// The device that computes the network failed.
    #[error("the compute device failed: {message}")]
    Device {
        /// What the backend says.
        message: String,
    },
}

impl EmbedError {
    /// Checks that the frames of each window are in `frames` and that its values match.
    pub(crate) fn check(windows: &[Window], frames: std::ops::RangeInclusive<usize>) -> Result<(), Self> {
        let fits = |w: &Window| frames.contains(&w.frames) && w.logmel.len() == w.frames * MEL_BANDS;
        match windows.iter().position(|w| !fits(w)) {
            None => Ok(()),
            Some(index) => {
                Err(Self::Window { index, frames: windows[index].frames, values: windows[index].logmel.len() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_names_method_version_weights_and_precision() {
        let mut id = EmbedderId { name: "logmel".into(), version: 1, weights: None, precision: Precision::F32 };
        assert_eq!(id.slug(), "logmel-v1-f32");
        id.weights = Some("0123456789abcdef".repeat(4));
        assert_eq!(id.to_string(), "logmel-v1-0123456789ab-f32");
    }

    #[test]
    fn an_identity_survives_json() {
        let id =
            EmbedderId { name: "yamnet".into(), version: 1, weights: Some("00ff".into()), precision: Precision::F32 };
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, r#"{"name":"yamnet","version":1,"weights":"00ff","precision":"f32"}"#);
        assert_eq!(serde_json::from_str::<EmbedderId>(&json).unwrap(), id);
    }
}

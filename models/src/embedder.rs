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
    /// IEEE single precision on the CPU, added in one order on every machine.
    #[serde(rename = "f32")]
    F32,
    /// IEEE single precision on a GPU, whose kernels add in another order: the last bits differ from those of the CPU.
    #[serde(rename = "f32-gpu")]
    F32Gpu,
    /// Products of bfloat16 factors, added in single precision in the order of AMX.
    #[serde(rename = "bf16-amx")]
    Bf16Amx,
    /// Products of bfloat16 factors, added in single precision in the order of AVX-512 BF16.
    #[serde(rename = "bf16-avx512")]
    Bf16Avx512,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F32Gpu => "f32-gpu",
            Self::Bf16Amx => "bf16-amx",
            Self::Bf16Avx512 => "bf16-avx512",
        })
    }
}

/// Number format in which embeddings are kept; whatever they were computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision: half the size, three decimal digits, at most 65,504.
    F16,
}

impl Dtype {
    /// As in the pipeline file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// For identities, which name the format only where it is not the usual one.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    fn is_f32(&self) -> bool {
        *self == Self::F32
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
    /// Number format of the result. Not written where it is `f32`, as in identities from before there was another.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
}

impl EmbedderId {
    /// A short name that can serve as a folder: `yamnet-v1-1a2b3c4d5e6f-f32`, `logmel-v1-f32-f16`.
    pub fn slug(&self) -> String {
        let weights = self.weights.as_deref().map_or(String::new(), |hash| {
            let digits: String = hash.chars().take(SLUG_HASH_DIGITS).collect();
            format!("-{digits}")
        });
        let dtype = if self.dtype.is_f32() { "" } else { "-f16" };
        format!("{}-v{}{weights}-{}{dtype}", self.name, self.version, self.precision)
    }
}

impl EmbedderId {
    /// How the embedder of this name cuts clips; none for a name that this version does not know.
    pub fn windowing(&self) -> Option<Windowing> {
        match self.name.as_str() {
            "yamnet" => Some(Windowing::YAMNET),
            "logmel" => Some(Windowing::LOGMEL),
            _ => None,
        }
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

    /// Windows of one call that keep it busy; more gain nothing, and are better given to another thread.
    fn batch(&self) -> usize {
        32
    }

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

    fn id(precision: Precision, dtype: Dtype) -> EmbedderId {
        EmbedderId { name: "yamnet".into(), version: 1, weights: Some("00ff".repeat(16)), precision, dtype }
    }

    #[test]
    fn a_slug_names_method_version_weights_precision_and_an_unusual_dtype() {
        assert_eq!(id(Precision::F32, Dtype::F32).to_string(), "yamnet-v1-00ff00ff00ff-f32");
        assert_eq!(id(Precision::F32, Dtype::F16).slug(), "yamnet-v1-00ff00ff00ff-f32-f16");
        let logmel = EmbedderId { name: "logmel".into(), weights: None, ..id(Precision::Bf16Amx, Dtype::F32) };
        assert_eq!(logmel.slug(), "logmel-v1-bf16-amx");
    }

    #[test]
    fn an_identity_survives_json_and_reads_as_it_did_before_there_was_a_dtype() {
        let old = format!(r#"{{"name":"yamnet","version":1,"weights":"{}","precision":"f32"}}"#, "00ff".repeat(16));
        assert_eq!(serde_json::to_string(&id(Precision::F32, Dtype::F32)).unwrap(), old);
        for precision in [Precision::F32, Precision::F32Gpu, Precision::Bf16Amx, Precision::Bf16Avx512] {
            for dtype in [Dtype::F32, Dtype::F16] {
                let json = serde_json::to_string(&id(precision, dtype)).unwrap();
                assert!(json.contains(&format!("\"precision\":\"{precision}\"")), "{json}");
                assert_eq!(serde_json::from_str::<EmbedderId>(&json).unwrap(), id(precision, dtype));
            }
        }
    }
}

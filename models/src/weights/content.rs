//! Hash of what weights hold, whatever file they came in.

use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::WeightsErrorKind;
use super::spec::TensorSpec;

/// SHA-256 over the names, shapes and values of all tensors in the order of the network, 64 lower-case hexadecimal
/// digits. The same network has the same hash in HDF5 and in safetensors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(String);

impl ContentHash {
    /// Hash of `tensors`, each with its description; everything of variable length goes in behind its length.
    pub(super) fn of<'a>(tensors: impl Iterator<Item = (&'a TensorSpec, &'a [f32])>) -> Self {
        let mut digest = Sha256::new();
        let number = |digest: &mut Sha256, value: usize| digest.update((value as u64).to_le_bytes());
        for (spec, values) in tensors {
            let name = spec.name();
            number(&mut digest, name.len());
            digest.update(&name);
            number(&mut digest, spec.shape.len());
            for &extent in &spec.shape {
                number(&mut digest, extent);
            }
            for value in values {
                digest.update(value.to_le_bytes());
            }
        }
        Self(hex(&digest.finalize()))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of a whole file, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("writing to a string does not fail");
        digits
    })
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContentHash {
    type Err = WeightsErrorKind;

    fn from_str(digits: &str) -> Result<Self, Self::Err> {
        let sound = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if sound { Ok(Self(digits.to_owned())) } else { Err(WeightsErrorKind::Hash) }
    }
}

impl TryFrom<String> for ContentHash {
    type Error = WeightsErrorKind;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        digits.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.0
    }
}

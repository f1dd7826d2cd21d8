//! Keys: hashes of typed, length-prefixed fields. Identity of clips, seeds and ranks all come from here.
//!
//! Guarantees: equal fields in equal order give equal keys on every machine; no two different field lists share an encoding,
//! because each field carries its type tag and its length. The golden vectors in the tests pin the format.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identity of a clip: BLAKE3 of its audio bytes (and of its span, if it is a part of a recording), cut to 128 bits.
///
/// Written as 32 hexadecimal digits. Renaming a file keeps it; the same bytes twice share it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipId([u8; 16]);

impl ClipId {
    /// Identity of a whole file with these bytes' hash.
    pub fn of_file(audio: &ContentHash) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&audio.0[..16]);
        Self(id)
    }

    /// Identity of the part from `start_s` to `end_s` seconds of a file with these bytes' hash.
    pub fn of_span(audio: &ContentHash, start_s: f64, end_s: Option<f64>) -> Self {
        let key = KeyHasher::new("clip-span").bytes(&audio.0).f64(start_s).f64(end_s.unwrap_or(f64::INFINITY)).finish();
        let mut id = [0; 16];
        id.copy_from_slice(&key.0[..16]);
        Self(id)
    }

    /// The identity that these bytes are.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of this identity.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClipId({self})")
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a clip id (32 hexadecimal digits)")]
pub struct ClipIdError(String);

impl FromStr for ClipId {
    type Err = ClipIdError;

    fn from_str(text: &str) -> Result<Self, ClipIdError> {
        parse_hex(text).map(Self).ok_or_else(|| ClipIdError(text.to_owned()))
    }
}

/// Key of a unit of rows: everything that decides its values, cut to 128 bits. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKey([u8; 16]);

impl UnitKey {
    /// The first 128 bits of `key`.
    pub fn of(key: Key) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&key.0[..16]);
        Self(id)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnitKey({self})")
    }
}

/// The text is not the hexadecimal digits of a hash or key.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a key")]
pub struct KeyError(String);

impl FromStr for UnitKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_hex(text).map(Self).ok_or_else(|| KeyError(text.to_owned()))
    }
}

/// BLAKE3 of a file's bytes. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContentHash([u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for ContentHash {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_hex(text).map(Self).ok_or_else(|| KeyError(text.to_owned()))
    }
}

impl ContentHash {
    /// The hash that was summed up elsewhere.
    pub(crate) fn of(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }

    /// Hash of everything that `reader` gives, read in blocks.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match reader.read(&mut block)? {
                0 => return Ok(Self(*hasher.finalize().as_bytes())),
                n => hasher.update(&block[..n]),
            };
        }
    }
}

/// A 256-bit key. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse_hex(text).map(Self).ok_or_else(|| KeyError(text.to_owned()))
    }
}

/// Identities and keys stand in JSON as their hexadecimal digits.
macro_rules! serde_as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(ClipId, UnitKey, ContentHash, Key);

impl Key {
    /// The first 64 bits, for a seed or a rank.
    pub fn to_u64(self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(first)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Collects the fields of a [`Key`]: a one-byte type tag, the length as 64-bit little-endian, then the value.
#[derive(Clone)]
pub struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// A key of the kind `domain`, so that keys of different kinds never meet.
    pub fn new(domain: &str) -> Self {
        Self(blake3::Hasher::new()).str(domain)
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        self.field(b'b', value)
    }

    /// Adds a text.
    #[must_use]
    pub fn str(self, value: &str) -> Self {
        self.field(b's', value.as_bytes())
    }

    /// Adds an integer.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.field(b'u', &value.to_le_bytes())
    }

    /// Adds a number by its bits; −0.0 counts as 0.0.
    #[must_use]
    pub fn f64(self, value: f64) -> Self {
        let value = if value == 0.0 { 0.0 } else { value };
        self.field(b'f', &value.to_bits().to_le_bytes())
    }

    /// Adds the absence of a value.
    #[must_use]
    pub fn null(self) -> Self {
        self.field(b'n', &[])
    }

    /// Adds 32-bit numbers by their bits, little-endian, as [`bytes`](Self::bytes) would, without a copy of them.
    #[must_use]
    pub fn f32s(mut self, values: &[f32]) -> Self {
        self.0.update(b"b").update(&(size_of_val(values) as u64).to_le_bytes());
        for values in values.chunks(1024) {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.0.update(&bytes);
        }
        self
    }

    /// The key of all fields so far.
    pub fn finish(self) -> Key {
        Key(*self.0.finalize().as_bytes())
    }

    fn field(mut self, tag: u8, value: &[u8]) -> Self {
        self.0.update(&[tag]).update(&(value.len() as u64).to_le_bytes()).update(value);
        self
    }
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        *byte = (digit(digits[0])? * 16 + digit(digits[1])?) as u8;
    }
    Some(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_on_every_machine() {
        let key = KeyHasher::new("golden").str("a").u64(7).f64(0.5).bytes(&[1, 2]).finish();
        assert_eq!(key.to_string(), "dc161be830f28bf71cb8ac7249e6628a88218d51576eff13b7687a24cc42ecb3");
        let audio = ContentHash::of_reader(&b"abc"[..]).unwrap();
        assert_eq!(ClipId::of_file(&audio).to_string(), "6437b3ac38465133ffb63b75273a8db5");
        assert_eq!(ClipId::of_span(&audio, 1.0, Some(2.5)).to_string(), "6251b175170a7fcdf1ae117797e5d7e9");
    }

    #[test]
    fn moving_a_byte_between_fields_changes_the_key() {
        let ab_c = KeyHasher::new("t").str("ab").str("c").finish();
        let a_bc = KeyHasher::new("t").str("a").str("bc").finish();
        assert_ne!(ab_c, a_bc);
        assert_ne!(KeyHasher::new("t").str("1").finish(), KeyHasher::new("t").bytes(b"1").finish());
        let numbers: Vec<f32> = (0..3000).map(|i| i as f32 * 0.1).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(KeyHasher::new("t").f32s(&numbers).finish(), KeyHasher::new("t").bytes(&bytes).finish());
        assert_eq!(KeyHasher::new("t").f64(-0.0).finish(), KeyHasher::new("t").f64(0.0).finish());
    }

    #[test]
    fn clip_ids_survive_text_and_reject_anything_else() {
        let id = ClipId::of_file(&ContentHash::of_reader(&b"x"[..]).unwrap());
        assert_eq!(id.to_string().parse::<ClipId>().unwrap(), id);
        for bad in ["", "xyz", "ääääääääääääääää", "0123456789abcdef0123456789abcdeg"] {
            assert!(bad.parse::<ClipId>().is_err(), "{bad}");
        }
    }
}

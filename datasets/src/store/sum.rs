//! What content adds up to: size, hash, and the entity tags that servers of S3 give it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};

use super::PART_BYTES;

/// Size and hashes of some content.
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) blake3: blake3::Hash,
    /// Entity tags that servers give such content: its MD5, or the MD5 of those of its parts.
    tags: [String; 2],
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut summer = Summer::default();
        summer.add(bytes);
        summer.finish()
    }

    pub(super) fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let (mut summer, mut buffer) = (Summer::default(), vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(summer.finish());
            }
            summer.add(&buffer[..count]);
        }
    }

    /// Whether a server gives exactly this content this tag. Encryption and other servers make tags that say nothing.
    pub(super) fn has_tag(&self, etag: Option<&str>) -> bool {
        etag.is_some_and(|tag| self.tags.iter().any(|own| own == tag.trim_matches('"')))
    }
}

/// Whether an entity tag looks like an MD5 sum.
pub(super) fn is_sum(tag: &str) -> bool {
    let front = tag.trim_matches('"').split('-').next().unwrap_or_default();
    front.len() == 32 && front.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Makes a [`Sum`] of content that comes piece by piece.
#[derive(Default)]
pub(super) struct Summer {
    size: u64,
    blake3: blake3::Hasher,
    whole: Md5,
    /// MD5 of the part that is not complete yet, and of those that are.
    part: Md5,
    parts: Vec<u8>,
}

impl Summer {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        self.blake3.update(bytes);
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let room = PART_BYTES - (self.size % PART_BYTES as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.update(now);
            self.size += now.len() as u64;
            if self.size.is_multiple_of(PART_BYTES as u64) {
                self.parts.extend(self.part.finalize_reset());
            }
            bytes = later;
        }
    }

    pub(super) fn finish(mut self) -> Sum {
        if !self.size.is_multiple_of(PART_BYTES as u64) || self.size == 0 {
            self.parts.extend(self.part.finalize_reset());
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let of_parts = format!("{}-{}", hex(&Md5::digest(&self.parts)), self.parts.len() / 16);
        Sum { size: self.size, blake3: self.blake3.finalize(), tags: [hex(&self.whole.finalize()), of_parts] }
    }
}

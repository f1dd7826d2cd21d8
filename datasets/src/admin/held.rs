//! How much is stored.

use std::collections::BTreeMap;

/// What the place holds, by area and class of storage.
pub type Held = BTreeMap<(String, String), Sum>;

/// Objects of one area in one class of storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub objects: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// How many of them are new.
    pub new: u64,
}

impl Sum {
    /// Adds an object, which counts as new if it was written at `since_ms` (milliseconds since 1970) or later.
    pub fn add(&mut self, bytes: u64, modified_ms: i64, since_ms: i64) {
        self.objects += 1;
        self.bytes += bytes;
        self.new += u64::from(modified_ms >= since_ms);
    }
}

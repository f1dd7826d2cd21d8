//! The manifest: which clips there are, what they are labelled, and where they come from.

mod conflicts;
mod file;
mod source;

pub use conflicts::{Distinct, distinct};
pub use file::read_manifest_file;
pub use source::{Entries, Entry, Source};

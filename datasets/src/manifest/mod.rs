//! The manifest: which clips there are, what they are labelled, and where they come from.

mod annotation;
mod audacity;
mod beside;
mod conflicts;
mod corrections;
mod file;
mod raven;
mod source;

pub use annotation::{Annotation, LineProblem};
pub use audacity::read_audacity;
pub use beside::Beside;
pub use conflicts::{Distinct, Duplicate, distinct};
pub use corrections::{Correction, CorrectionChange, Corrections};
pub use file::read_manifest_file;
pub use raven::read_raven;
pub use source::{Entries, Entry, Source};

//! Copies of one recording on different sides of a split.
//!
//! A copy may be trimmed, shifted, rescaled in volume and coded again, at a low bitrate. The cosine of two embeddings
//! cannot tell: different recordings of one kind of sound reach 0.9996, and such copies fall to 0.84. So there are
//! three steps, each over what the one before leaves:
//!
//! 1. [`equal_rows`]: embeddings that are equal bit by bit, hence equal decoded audio, are copies beyond doubt.
//! 2. [`nominate`]: each val and test clip names the clips of other sides that sound most like it.
//! 3. [`align`]: the log-mels of two nominated clips are slid along each other. Copies agree in when and where energy
//!    rises and falls; different recordings agree no better than chance.
//!
//! Guarantees: what comes out does not depend on the number of threads, and memory grows with the clips, not with their
//! pairs.

mod align;
mod equal;
mod fingerprint;
mod fingerprints;
mod nominate;
mod products;

pub(crate) use align::{Match, align};
pub(crate) use equal::equal_rows;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use fingerprints::{Fingerprints, KeptFingerprints};
pub(crate) use nominate::{Clips, nominate};

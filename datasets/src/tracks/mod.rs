//! The table of tracks and the outbox: what was taken in, and what of it is still to be uploaded.
//!
//! Both lie in one `SQLite` file in the data root's `index/`, which several processes may use at a time. It is an index: the recordings
//! themselves are the truth, and all of it can be made again from them.
//!
//! A recording is taken in like this, so that a process may be killed at any moment:
//!
//! 1. a row `receiving` announces its key ([`Tracks::reserve`]); whoever brings the same bytes meanwhile, or later, works on the same key;
//! 2. the file appears under that key, whole and synced ([`put_original`]);
//! 3. the row becomes `stored`, and in the same transaction the outbox gets its entry ([`Tracks::complete`]). Now it counts as taken in.

mod database;
mod objects;
mod original;
mod outbox;
mod rebuild;
mod track;

pub use database::{ACTION, Age, Tracks};
pub use objects::InBucket;
pub use original::{Placed, is_held, put_original, remove_remains};
pub use outbox::{Backlog, LocalCopy, Waiting};
pub use rebuild::Listed;
pub use track::{Incoming, Reserved, Status, Track, Upload};

//! What a bucket and its users should look like, and how to get there.
//!
//! [`Wishes`] say what is wanted. From them come the documents that people apply by other means ([`Wishes::documents`], in the shapes of the
//! AWS command line), and, where this build has the AWS SDK, the steps that [`Admin`] looks at and carries out. All of them are made of the
//! areas of the layout, so that no rule speaks of a prefix that nobody writes.
//!
//! * Looking changes nothing; a step that finds what it wants does nothing.
//! * Statements and rules of others stay. Ours are known by their names, which begin with `EcoSight`.

mod cloudfront;
mod held;
mod lifecycle;
mod nonsense;
mod policy;
#[cfg(feature = "aws-admin")]
mod sdk;
mod wishes;

pub use held::{Held, Sum};
pub use nonsense::Nonsense;
#[cfg(feature = "aws-admin")]
pub use sdk::{Admin, KeyFile, KeyOutcome, Look, RawObject, Step, Unfinished};
pub use wishes::Wishes;

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
mod wishes;

#[cfg(feature = "aws-admin")]
mod client;
#[cfg(feature = "aws-admin")]
mod cors;
#[cfg(feature = "aws-admin")]
mod encryption;
#[cfg(feature = "aws-admin")]
mod existence;
#[cfg(feature = "aws-admin")]
mod logging;
#[cfg(feature = "aws-admin")]
mod public_access;
#[cfg(feature = "aws-admin")]
mod raw;
#[cfg(feature = "aws-admin")]
mod rules;
#[cfg(feature = "aws-admin")]
mod statements;
#[cfg(feature = "aws-admin")]
mod step;
#[cfg(feature = "aws-admin")]
mod uploads;
#[cfg(feature = "aws-admin")]
mod user;

pub use held::{Held, Sum};
pub use nonsense::Nonsense;
pub use wishes::Wishes;

#[cfg(feature = "aws-admin")]
pub use client::Admin;
#[cfg(feature = "aws-admin")]
pub use raw::{RawObject, Unfinished};
#[cfg(feature = "aws-admin")]
pub use step::{Look, Step};
#[cfg(feature = "aws-admin")]
pub use user::{KeyFile, KeyOutcome};

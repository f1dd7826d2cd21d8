//! Looks at a bucket and its users and puts them right, with the official clients of S3 and IAM.

mod client;
mod cors;
mod encryption;
mod existence;
mod logging;
mod public_access;
mod raw;
mod rules;
mod statements;
mod step;
mod uploads;
mod user;

pub use client::Admin;
pub use raw::{RawObject, Unfinished};
pub use step::{Look, Step};
pub use user::{KeyFile, KeyOutcome};

use super::{Held, Wishes, lifecycle, policy, wishes};

//! The real binary, used as people use it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod demo;
mod esc10;
#[cfg(unix)]
mod interrupt;
mod retrain;
mod setup;
mod support;
mod tables;
mod upkeep;

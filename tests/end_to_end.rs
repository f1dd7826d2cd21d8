//! The real binary, used as people use it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod clips;
mod damage;
mod demo;
mod esc10;
mod incremental;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod kill;
mod retrain;
mod roots;
mod setup;
mod support;
mod tables;

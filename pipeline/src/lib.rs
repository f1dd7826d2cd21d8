//! EcoSight keeps wildlife-sound classifiers up to date: labelled recordings in, a trained and evaluated model out.
//!
//! [`engine`] executes the pipeline that `retrain.toml` declares; [`cli`] is the command line. Audio and tensors are the business of
//! the crates below.

pub mod cli;
pub mod engine;
pub mod report;
mod exit;

pub use exit::ExitStatus;

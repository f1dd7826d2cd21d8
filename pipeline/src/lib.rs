//! EcoSight keeps wildlife-sound classifiers up to date: labelled recordings in, a trained and evaluated model out.
//!
//! [`engine`] executes the pipeline that `retrain.toml` declares; [`cli`] is the command line. Audio and tensors are the business of
//! the crates below.

pub mod cli;
pub mod engine;
mod exit;
pub mod report;

pub use exit::ExitStatus;

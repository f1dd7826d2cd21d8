//! The log-mel front end of YAMNet: 16 kHz mono samples in, windows of log-mel frames out.
//!
//! Guarantees: the windows do not depend on how the samples are cut into blocks, every short-time spectrum is computed
//! once although windows overlap, and memory stays bounded by one window whatever the length of the recording.

mod framer;
mod log_mel;
mod logarithm;
mod mel;
pub mod params;
mod spectrum;
mod window;

pub use framer::Framer;
pub use log_mel::LogMel;
pub use mel::{LANES, MelFilterbank};
pub use params::{MEL_BANDS, SAMPLE_RATE_HZ};
pub use window::{Tail, Window, Windowing};

//! From the bytes of a recording to 16 kHz mono samples, the only form in which the rest of the system hears audio.
//!
//! Guarantees: full scale is 1.0 and nothing is ever clipped; `n` frames at rate `r` become exactly
//! `round(n · 16000 / r)` samples, aligned in time with the recording; memory is bounded whatever the length of the file;
//! hostile bytes give a coded [`AudioError`], never a panic.

mod contain;
mod container;
mod error;
mod limits;
mod packets;
mod reader;
mod resample;
mod resample_plan;
mod source;
mod span;
mod wav;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile;

pub use container::{AUDIO_EXTENSIONS, Container, sniff};
pub use error::AudioError;
#[cfg(test)]
pub(crate) use limits::MAX_ABS;
pub use reader::{Info, MonoReader, decode};
pub(crate) use resample::Resampler;
pub use source::AudioSource;
pub use span::Span;

/// The sample rate of every waveform in the system, Hz (YAMNet `params.py`, `sample_rate`).
pub const SAMPLE_RATE_HZ: u32 = 16_000;

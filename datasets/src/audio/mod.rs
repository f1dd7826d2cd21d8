//! From the bytes of a recording to 16 kHz mono samples, the only form in which the rest of the system hears audio.
//!
//! Guarantees: full scale is 1.0 and nothing is ever clipped; `n` frames at rate `r` become exactly
//! `round(n · 16000 / r)` samples, aligned in time with the recording; memory is bounded whatever the length of the file;
//! hostile bytes give a coded [`AudioError`], never a panic.
//!
//! Sample 0 is the first sample of the sound. What an encoder adds before and behind it is left out where the file gives its
//! length: M4A (`elst`, `iTunSMPB`), MP3 (LAME tag), Ogg Vorbis (granule positions), ADPCM in WAV (`fact`). ADTS has no such
//! field.
//!
//! A file that was cut short is `truncated`, wherever that can be known, once its end is read (a span before it can be used):
//!
//! | format | truncated if |
//! |---|---|
//! | WAV, RF64, BW64, AIFF, FLAC | fewer frames than declared, by more than 1 % or 1 s, whichever is less |
//! | Ogg | the last page is incomplete or lacks the end-of-stream flag |
//! | MP3 | the last frame is cut, or, where a Xing, Info or VBRI header gives the number of frames, as WAV |
//! | ADTS | the last frame is cut |
//! | MP4, M4A | a box reaches beyond the end of the file, a packet is incomplete, or as WAV |
//!
//! Streams without a header that are cut between two frames cannot be told from whole ones. A length that is a placeholder (0,
//! 2³²−1 and others that streaming programs write) means "to the end of the file", and so does a length in WAV that samples
//! follow.

mod contain;
mod container;
mod error;
mod frames;
mod limits;
mod mp4;
mod ogg;
mod packets;
mod reader;
mod resample;
mod source;
mod span;
mod wav;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod span_tests;

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

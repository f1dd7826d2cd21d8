//! Why a recording gave no samples, as a word that a table can hold.

use std::io;

use symphonia::core::errors::Error as Symphonia;

use super::source::SourceFailure;

/// A recording that could not be decoded.
///
/// Only `io` says something about the machine or the store; every other code is a property of the bytes and will be the
/// same next time.
#[derive(Debug, thiserror::Error)]
#[error("{fault}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct AudioError {
    fault: Fault,
    detail: String,
    source: Option<io::Error>,
}

/// What is wrong, one per code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the file is empty")]
    Empty,
    #[error("not a known audio format")]
    NotAudio,
    #[error("the format or codec is not supported")]
    Unsupported,
    #[error("the file ends early")]
    Truncated,
    #[error("the file is damaged")]
    Corrupt,
    #[error("the file holds no samples")]
    NoSamples,
    #[error("the sample rate is outside 4000..=384000 Hz")]
    SampleRate,
    #[error("more than 64 channels")]
    TooManyChannels,
    #[error("a sample is not a finite number")]
    NonFinite,
    #[error("the span lies outside the recording")]
    Span,
    #[error("reading failed")]
    Io,
}

impl AudioError {
    pub(super) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into(), source: None }
    }

    pub(super) fn io(error: io::Error) -> Self {
        Self { fault: Fault::Io, detail: String::new(), source: Some(error) }
    }

    /// The stable word for tables and reports, for example `truncated`.
    pub const fn code(&self) -> &'static str {
        match self.fault {
            Fault::Empty => "empty",
            Fault::NotAudio => "not_audio",
            Fault::Unsupported => "unsupported",
            Fault::Truncated => "truncated",
            Fault::Corrupt => "corrupt",
            Fault::NoSamples => "no_samples",
            Fault::SampleRate => "sample_rate",
            Fault::TooManyChannels => "too_many_channels",
            Fault::NonFinite => "non_finite",
            Fault::Span => "span",
            Fault::Io => "io",
        }
    }
}

impl From<Symphonia> for AudioError {
    fn from(error: Symphonia) -> Self {
        match error {
            Symphonia::IoError(error) if SourceFailure::caused(&error) => Self::io(error),
            Symphonia::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::new(Fault::Truncated, "")
            }
            Symphonia::IoError(error) => Self::new(Fault::Corrupt, error.to_string()),
            Symphonia::DecodeError(detail) => Self::new(Fault::Corrupt, detail),
            Symphonia::SeekError(_) => Self::new(Fault::Span, error.to_string()),
            Symphonia::Unsupported(detail) | Symphonia::LimitError(detail) => Self::new(Fault::Unsupported, detail),
            Symphonia::ResetRequired => Self::new(Fault::Unsupported, "a second stream follows the first"),
            other => Self::new(Fault::Corrupt, other.to_string()),
        }
    }
}

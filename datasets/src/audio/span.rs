//! A part of a recording, and the frames it covers.

use std::ops::Range;

use super::error::{AudioError, Fault};

/// How far a span may reach beyond the end of the recording, seconds: annotation tools round the end of the file.
const OVERHANG_S: f64 = 0.1;

/// A labelled part of a recording, in seconds from its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where it begins, seconds.
    pub start_s: f64,
    /// Where it ends, seconds; `None` is the end of the recording. It may lie up to 0.1 s behind it.
    pub end_s: Option<f64>,
}

impl Span {
    /// The frames of the span at `rate_hz`; an open end is `u64::MAX`. An empty or negative span is a `span` error.
    pub(super) fn frames(self, rate_hz: u32) -> Result<Range<u64>, AudioError> {
        let at = |time_s: f64| (time_s * f64::from(rate_hz)).round();
        let start = at(self.start_s);
        let end = self.end_s.map(at);
        let sane = (0.0..1e15).contains(&start) && end.is_none_or(|end| end > start && end < 1e15);
        if !sane {
            return Err(AudioError::new(Fault::Span, format!("{self:?} is empty or negative")));
        }
        Ok(start as u64..end.map_or(u64::MAX, |end| end as u64))
    }

    /// Whether a recording of `frames` at `rate_hz` reaches far enough to hold the frames of `wanted`.
    pub(super) fn held_by(wanted: &Range<u64>, frames: u64, rate_hz: u32) -> bool {
        let overhang = (OVERHANG_S * f64::from(rate_hz)) as u64;
        wanted.start < frames && (wanted.end == u64::MAX || wanted.end <= frames.saturating_add(overhang))
    }
}

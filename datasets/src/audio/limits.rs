//! What can be a recording, and the checks that keep everything else out.

use std::ops::RangeInclusive;

use super::error::{AudioError, Fault};

/// The most channels that are mixed down.
pub(super) const MAX_CHANNELS: usize = 64;
/// Sample rates that can be recordings, Hz: from early digital recorders to bat detectors.
const RATES_HZ: RangeInclusive<u32> = 4_000..=384_000;
/// Samples beyond this are no sound. The longest transforms sum some 10⁶ of them, and the squares of such sums are finite.
pub(crate) const MAX_ABS: f32 = 1e12;

/// Fails where a sample is NaN, infinite, or so large that the transforms behind would overflow.
pub(super) fn check_finite(wave: &[f32]) -> Result<(), AudioError> {
    if wave.iter().fold(true, |fine, x| fine & (x.abs() <= MAX_ABS)) {
        Ok(())
    } else {
        Err(AudioError::new(Fault::NonFinite, ""))
    }
}

/// Fails where no recorder samples at `rate_hz`.
pub(super) fn check_rate(rate_hz: u32) -> Result<(), AudioError> {
    if RATES_HZ.contains(&rate_hz) { Ok(()) } else { Err(AudioError::new(Fault::SampleRate, format!("{rate_hz} Hz"))) }
}

/// Fails on no channels or too many.
pub(super) fn check_channels(channels: usize) -> Result<(), AudioError> {
    match channels {
        1..=MAX_CHANNELS => Ok(()),
        0 => Err(AudioError::new(Fault::Corrupt, "no channels")),
        _ => Err(AudioError::new(Fault::TooManyChannels, format!("{channels} channels"))),
    }
}

//! Panics of the decoders, turned into errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{AudioError, Fault};

/// Runs `work`, and calls the recording corrupt if it panics.
///
/// Symphonia 0.6.1 multiplies unchecked numbers from file headers (the AIFF reader: channels by bits), which panics where
/// overflow checks are on, as they are in tests. A stranger's file must not end the run. What panicked is used no further.
pub(super) fn contain<T>(work: impl FnOnce() -> Result<T, AudioError>) -> Result<T, AudioError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(AudioError::new(Fault::Corrupt, "the decoder could not cope with it")))
}

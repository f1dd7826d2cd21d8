//! A waveform on its way into several effects.

use std::cell::OnceCell;
use std::fmt;

use super::spectra::Spectra;

/// A waveform that several effects are applied to: what stretching and pitch shifting have to know about it is computed by
/// the first effect that asks and kept for the others, about 6 kB for each 16 ms.
pub struct Source<'a> {
    wave: &'a [f32],
    analysis: Analysis,
}

/// What is known of the waveform of a [`Source`]; empty at first.
#[derive(Default)]
pub struct Analysis(OnceCell<Spectra>);

impl<'a> Source<'a> {
    /// The waveform `wave` `[n]` at 16 kHz.
    pub fn new(wave: &'a [f32]) -> Self {
        Self::resume(wave, Analysis::default())
    }

    /// The same with what an earlier source of the same waveform has found out.
    pub fn resume(wave: &'a [f32], analysis: Analysis) -> Self {
        Self { wave, analysis }
    }

    /// What has been found out, to [`resume`](Self::resume) with.
    pub fn into_analysis(self) -> Analysis {
        self.analysis
    }

    /// The waveform `[n]` at 16 kHz.
    pub fn wave(&self) -> &'a [f32] {
        self.wave
    }

    /// The short-time spectra of the waveform.
    pub(super) fn spectra(&self) -> &Spectra {
        self.analysis.0.get_or_init(|| Spectra::of(self.wave))
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("samples", &self.wave.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Analysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analysis").finish_non_exhaustive()
    }
}

//! The embedder on top of statistics and modulation.

use std::fmt;

use super::modulation::{MODULATIONS, Modulation};
use super::statistics::{STATISTICS, statistics};
use crate::embedder::{Dtype, EmbedError, Embedder, EmbedderId, Precision};
use crate::frontend::{MEL_BANDS, Window, Windowing};

/// Values of an embedding: nine statistics and five modulations of each band, and the mean of all.
pub const LOGMEL_DIM: usize = (STATISTICS + MODULATIONS) * MEL_BANDS + 1;

/// Raised when the values of an embedding change.
const VERSION: u32 = 1;

/// Frames of a window.
const WINDOW_FRAMES: usize = Windowing::LOGMEL.frames;

/// Statistics and modulation of the log-mel bands of a window, 897 values; no weights. The layout is by statistic,
/// then by band: mean, standard deviation, percentiles 5, 25, 50, 75, 95, standard deviation and mean magnitude of the
/// frame-to-frame difference, five modulation ranges; last the mean over all bands.
pub struct LogMelEmbedder {
    id: EmbedderId,
    modulation: Modulation,
}

impl LogMelEmbedder {
    /// Plans the transform.
    pub fn new() -> Self {
        Self { id: identity(), modulation: Modulation::new() }
    }
}

/// The identity of this embedder.
pub(crate) fn identity() -> EmbedderId {
    let (precision, dtype) = (Precision::F32, Dtype::F32);
    EmbedderId { name: "logmel".to_owned(), version: VERSION, weights: None, precision, dtype }
}

impl Default for LogMelEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LogMelEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMelEmbedder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Embedder for LogMelEmbedder {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn dim(&self) -> usize {
        LOGMEL_DIM
    }

    fn windowing(&self) -> Windowing {
        Windowing::LOGMEL
    }

    fn batch(&self) -> usize {
        // A window is ten times as long as a patch, and has nothing to share with the others.
        2
    }

    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError> {
        // Two frames are the least that have a difference.
        EmbedError::check(windows, 2..=WINDOW_FRAMES)?;
        let (mut buffers, mut sorted, mut band) = (self.modulation.scratch(), Vec::new(), Vec::new());
        let mut rows = vec![0.0; windows.len() * LOGMEL_DIM];
        for (window, row) in windows.iter().zip(rows.chunks_exact_mut(LOGMEL_DIM)) {
            let mut total = 0.0;
            for index in 0..MEL_BANDS {
                band.clear();
                band.extend(window.logmel.iter().skip(index).step_by(MEL_BANDS).map(|&value| f64::from(value)));
                let statistics = statistics(&band, &mut sorted);
                let modulations = self.modulation.bands(&band, statistics[0], &mut buffers);
                for (slot, value) in statistics.iter().chain(&modulations).enumerate() {
                    row[slot * MEL_BANDS + index] = *value as f32;
                }
                total += statistics[0];
            }
            row[LOGMEL_DIM - 1] = (total / MEL_BANDS as f64) as f32;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_one_frame_is_refused() {
        let window = Window { start_s: 0.0, frames: 1, logmel: vec![0.0; MEL_BANDS] };
        assert!(matches!(LogMelEmbedder::new().embed(&[window]), Err(EmbedError::Window { index: 0, frames: 1, .. })));
    }

    #[test]
    fn a_window_that_is_not_finite_spoils_its_own_row_only() {
        let embedder = LogMelEmbedder::new();
        let good = Window { start_s: 0.0, frames: 3, logmel: (0..192u16).map(f32::from).collect() };
        let bad = Window { logmel: vec![f32::NAN; 192], ..good.clone() };
        let rows = embedder.embed(&[bad, good.clone()]).unwrap();
        assert!(rows[..LOGMEL_DIM].iter().any(|value| value.is_nan()));
        assert_eq!(rows[LOGMEL_DIM..], embedder.embed(&[good]).unwrap());
    }
}

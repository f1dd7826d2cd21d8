//! Embeddings in half precision.
//!
//! This is the one place where they are rounded: the table and `predict` both get their rows from here, so they agree bit for bit.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::embedder::{Dtype, EmbedError, Embedder, EmbedderId};
use crate::frontend::{Window, Windowing};

/// An embedder whose values are those of another, rounded to the nearest half-precision number, ties to even. A value beyond 65,504
/// becomes infinite, and so is treated like any other row that is not finite.
pub(crate) struct Rounded {
    inner: Box<dyn Embedder>,
    id: EmbedderId,
}

impl Rounded {
    pub(crate) fn new(inner: Box<dyn Embedder>) -> Self {
        let id = EmbedderId { dtype: Dtype::F16, ..inner.id().clone() };
        Self { inner, id }
    }
}

impl Embedder for Rounded {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn windowing(&self) -> Windowing {
        self.inner.windowing()
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError> {
        let mut rows = self.inner.embed(windows)?;
        let mut halves = vec![f16::ZERO; self.dim()];
        for row in rows.chunks_exact_mut(self.dim()) {
            halves.convert_from_f32_slice(row);
            halves.convert_to_f32_slice(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logmel::LogMelEmbedder;

    #[test]
    fn values_are_rounded_to_the_nearest_half_with_ties_to_even() {
        let window = Window { start_s: 0.0, frames: 3, logmel: (0..192u8).map(|i| f32::from(i) * 0.37).collect() };
        let plain = LogMelEmbedder::new();
        let rounded = Rounded::new(Box::new(LogMelEmbedder::new()));
        let windows = [window];
        let (exact, halves) = (plain.embed(&windows).unwrap(), rounded.embed(&windows).unwrap());
        assert!(exact != halves && rounded.id().slug() == "logmel-v1-f32-f16");
        for (exact, half) in exact.iter().zip(&halves) {
            assert_eq!(f16::from_f32(*exact).to_f32().to_bits(), half.to_bits());
        }
        // Both neighbours are equally near: the even one wins.
        let mut tie = [f16::ZERO; 2];
        tie.convert_from_f32_slice(&[1.0 + 0.5 * f16::EPSILON.to_f32(), 1.0 + 1.5 * f16::EPSILON.to_f32()]);
        assert_eq!(tie.map(f16::to_bits), [0x3c00, 0x3c02]);
    }
}

//! Standardisation of pooled rows, fitted on the train rows and carried inside the model.

/// Mean and scale of each column; `(x − mean) / scale` has mean 0 and deviation 1 over the rows it was fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Normaliser {
    /// Mean of each column, `[dim]`.
    pub mean: Vec<f32>,
    /// Population standard deviation of each column, `[dim]`; 1 for a column that does not vary.
    pub scale: Vec<f32>,
}

/// A deviation below this share of the mean is the rounding of `f32` values (2⁻²⁴ ≈ 6e-8), not a signal.
const NOISE: f64 = 1e-6;

/// Below this a column is constant whatever its mean: dividing by it would leave the range of `f32`.
const TINY: f64 = 1e-12;

impl Normaliser {
    /// Fits on `x`, `[n, dim]` row-major with finite values; sums are carried in `f64` in the order of the rows.
    ///
    /// # Panics
    ///
    /// When `x` is empty or is not made of whole rows.
    pub fn fit(x: &[f32], dim: usize) -> Self {
        assert!(dim > 0 && !x.is_empty() && x.len().is_multiple_of(dim), "a normaliser is fitted on whole rows");
        let n = (x.len() / dim) as f64;
        let mut mean = vec![0.0_f64; dim];
        for row in x.chunks_exact(dim) {
            for (sum, &value) in mean.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        for sum in &mut mean {
            *sum /= n;
        }
        let mut variance = vec![0.0_f64; dim];
        for row in x.chunks_exact(dim) {
            for ((sum, &value), &mean) in variance.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(value) - mean).powi(2);
            }
        }
        let scale = variance
            .iter()
            .zip(&mean)
            .map(|(&sum, &mean)| {
                let deviation = (sum / n).sqrt();
                if deviation > (NOISE * mean.abs()).max(TINY) { deviation as f32 } else { 1.0 }
            })
            .collect();
        Self { mean: mean.iter().map(|&m| m as f32).collect(), scale }
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Standardises `x`, `[n, dim]` row-major, into a new buffer of the same shape.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut out = x.to_vec();
        self.apply_in_place(&mut out);
        out
    }

    /// Standardises `x`, `[n, dim]` row-major.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn apply_in_place(&self, x: &mut [f32]) {
        assert!(x.len().is_multiple_of(self.dim()), "rows of {} values were expected", self.dim());
        for row in x.chunks_exact_mut(self.dim()) {
            for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *value = (*value - mean) / scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_column_becomes_zero_and_not_noise() {
        let normaliser = Normaliser::fit(&[0.1, 1.0, 0.1, 3.0, 0.1, 5.0], 2);
        assert_eq!(normaliser.scale[0].to_bits(), 1.0_f32.to_bits());
        assert!(normaliser.apply(&[0.1, 3.0]).iter().all(|v| v.abs() < 1e-6));
    }

    proptest! {
        #[test]
        fn the_rows_it_was_fitted_on_get_mean_zero_and_deviation_one(
            x in prop::collection::vec(-100.0_f32..100.0, 3 * 8..3 * 40)
        ) {
            let x = &x[..x.len() / 3 * 3];
            let normalised = Normaliser::fit(x, 3).apply(x);
            let n = (x.len() / 3) as f64;
            for column in 0..3 {
                let values = || normalised.iter().skip(column).step_by(3).map(|&v| f64::from(v));
                let mean = values().sum::<f64>() / n;
                let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                prop_assert!(mean.abs() < 1e-4, "mean {mean}");
                prop_assert!((variance.sqrt() - 1.0).abs() < 1e-4, "deviation {}", variance.sqrt());
            }
        }
    }
}

//! From the patches of a clip to one row.

use serde::{Deserialize, Serialize};

/// How the patch embeddings of a clip become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean of each value over the patches: `[dim]`.
    Mean,
    /// The means, then the population standard deviations (division by `k`): `[2 · dim]`.
    MeanStd,
}

impl Pooling {
    /// Length of a pooled row made of patches of `dim` values.
    pub fn dim(self, dim: usize) -> usize {
        match self {
            Self::Mean => dim,
            Self::MeanStd => 2 * dim,
        }
    }

    /// Pools `patches` (`[k, dim]`, row-major) into a row of [`Pooling::dim`] values.
    ///
    /// Sums are carried in `f64` in the order of the patches, so the result has the same bits everywhere.
    ///
    /// # Panics
    ///
    /// When `patches` is empty or its length is not a multiple of `dim`: a clip without patches has no embedding, and
    /// belongs into quarantine before it comes here.
    pub fn pool(self, patches: &[f32], dim: usize) -> Vec<f32> {
        assert!(
            dim > 0 && !patches.is_empty() && patches.len().is_multiple_of(dim),
            "pooling needs whole patches of {dim} values and got {} values",
            patches.len()
        );
        let k = (patches.len() / dim) as f64;
        let mut mean = vec![0.0_f64; dim];
        for patch in patches.chunks_exact(dim) {
            for (sum, &value) in mean.iter_mut().zip(patch) {
                *sum += f64::from(value);
            }
        }
        for sum in &mut mean {
            *sum /= k;
        }
        let mut row: Vec<f32> = mean.iter().map(|&m| m as f32).collect();
        if self == Self::MeanStd {
            let mut variance = vec![0.0_f64; dim];
            for patch in patches.chunks_exact(dim) {
                for ((sum, &value), &mean) in variance.iter_mut().zip(patch).zip(&mean) {
                    *sum += (f64::from(value) - mean).powi(2);
                }
            }
            row.extend(variance.iter().map(|&sum| (sum / k).sqrt() as f32));
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_population_deviation_are_those_of_numpy() {
        // numpy: [[1, 2], [3, 6], [8, 1]] → mean [4, 3], std [2.943920, 2.160247]
        let patches = [1.0, 2.0, 3.0, 6.0, 8.0, 1.0];
        assert_eq!(Pooling::Mean.pool(&patches, 2), [4.0, 3.0]);
        assert_eq!(Pooling::MeanStd.pool(&patches, 2), [4.0, 3.0, 2.943_920_3, 2.160_246_8]);
    }

    #[test]
    fn one_patch_is_its_own_mean_and_has_no_deviation() {
        assert_eq!(Pooling::MeanStd.pool(&[0.5, -0.25], 2), [0.5, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn names_in_files_are_snake_case() {
        assert_eq!(serde_json::to_string(&Pooling::MeanStd).unwrap(), "\"mean_std\"");
    }

    #[test]
    #[should_panic(expected = "whole patches of 3 values")]
    fn half_a_patch_is_refused() {
        Pooling::Mean.pool(&[1.0, 2.0], 3);
    }
}

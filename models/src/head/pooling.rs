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

    /// Pools `patches` (`[k, dim]`, row-major) into a row of [`Pooling::dim`] values; see [`Pooler`].
    ///
    /// # Panics
    ///
    /// When `patches` is empty or its length is not a multiple of `dim`: a clip without patches has no embedding, and
    /// belongs into quarantine before it comes here.
    pub fn pool(self, patches: &[f32], dim: usize) -> Vec<f32> {
        let mut pooler = Pooler::new(self, dim);
        pooler.push(patches);
        pooler.finish().expect("a clip has at least one patch")
    }
}

/// Pools patches as they come, in memory of one row however many there are.
///
/// Means and squared deviations are carried in `f64` in the order of the patches (Welford 1962), so the result has the same bits
/// everywhere and however the patches are cut into runs.
#[derive(Debug, Clone)]
pub struct Pooler {
    pooling: Pooling,
    patches: u64,
    mean: Vec<f64>,
    /// Sums of squared deviations from the mean; empty where they are not asked for.
    squares: Vec<f64>,
}

impl Pooler {
    /// For patches of `dim` values, at least one.
    pub fn new(pooling: Pooling, dim: usize) -> Self {
        let squares = if pooling == Pooling::MeanStd { vec![0.0; dim] } else { Vec::new() };
        Self { pooling, patches: 0, mean: vec![0.0; dim], squares }
    }

    /// Takes the next patches, `[k, dim]`, row-major.
    ///
    /// # Panics
    ///
    /// When the length is not a multiple of `dim`.
    pub fn push(&mut self, patches: &[f32]) {
        let dim = self.mean.len();
        assert!(
            patches.len().is_multiple_of(dim),
            "pooling needs whole patches of {dim} values, not {}",
            patches.len()
        );
        for patch in patches.chunks_exact(dim) {
            self.patches += 1;
            let share = 1.0 / self.patches as f64;
            if self.pooling == Pooling::Mean {
                for (mean, value) in self.mean.iter_mut().zip(patch) {
                    *mean += (f64::from(*value) - *mean) * share;
                }
                continue;
            }
            for ((mean, sum), value) in self.mean.iter_mut().zip(&mut self.squares).zip(patch) {
                let before = f64::from(*value) - *mean;
                *mean += before * share;
                *sum += before * (f64::from(*value) - *mean);
            }
        }
    }

    /// The pooled row `[Pooling::dim]`; nothing if there was no patch.
    pub fn finish(self) -> Option<Vec<f32>> {
        let k = (self.patches > 0).then_some(self.patches as f64)?;
        let deviations = self.squares.iter().map(|sum| (sum / k).sqrt() as f32);
        Some(self.mean.iter().map(|mean| *mean as f32).chain(deviations).collect())
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
    fn the_runs_in_which_patches_come_do_not_matter() {
        let patches: Vec<f32> = (0..60).map(|i| (i as f32 * 1.7).sin() + 100.0).collect();
        for pooling in [Pooling::Mean, Pooling::MeanStd] {
            let mut pooler = Pooler::new(pooling, 3);
            for run in [0..3, 3..3, 3..51, 51..60] {
                pooler.push(&patches[run]);
            }
            assert_eq!(pooler.finish().unwrap(), pooling.pool(&patches, 3));
        }
        assert!(Pooler::new(Pooling::Mean, 3).finish().is_none());
    }

    #[test]
    fn what_never_changes_has_no_deviation() {
        assert_eq!(Pooling::MeanStd.pool(&[0.1; 999], 1), [0.1, 0.0]);
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

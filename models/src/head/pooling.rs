//! From the patches of a clip to one row.

use serde::{Deserialize, Serialize};

use super::Features;
use super::features::Contrast;

/// How the patch embeddings of a clip become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean of each value over the patches: `[dim]`.
    Mean,
    /// The means, then the population standard deviations (division by `k`): `[2 · dim]`.
    MeanStd,
}

/// How the patches of a clip become a row: what each of them is described by, and how the descriptions become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Summary {
    /// What each patch is described by.
    pub features: Features,
    /// How the descriptions become one.
    pub pooling: Pooling,
    /// Patches of which a row is made; 0 for all of the clip. What is left at the end of a clip is a row if it is at least half as long, or all there is.
    pub window: usize,
}

impl From<Pooling> for Summary {
    /// Of the embeddings as they are.
    fn from(pooling: Pooling) -> Self {
        Self { features: Features::Embedding, pooling, window: 0 }
    }
}

impl Summary {
    /// Length of a row made of patches of `dim` values.
    pub fn dim(self, dim: usize) -> usize {
        let described = self.features.dim(dim);
        match self.pooling {
            Pooling::Mean => described,
            Pooling::MeanStd => 2 * described,
        }
    }

    /// Pools `patches` (`[k, dim]`, row-major) into rows of [`Summary::dim`] values, `[rows, Summary::dim]`; see [`Pooler`].
    ///
    /// # Panics
    ///
    /// When `patches` is empty or its length is not a multiple of `dim`: a clip without patches has no embedding, and
    /// belongs into quarantine before it comes here.
    pub fn pool(self, patches: &[f32], dim: usize) -> Vec<f32> {
        let mut pooler = Pooler::new(self, dim);
        pooler.push(patches);
        let rows = pooler.finish();
        assert!(!rows.is_empty(), "a clip has at least one patch");
        rows.concat()
    }
}

/// Pools patches as they come, in memory of a few rows however many there are.
///
/// Means and squared deviations are carried in `f64` in the order of the patches (Welford 1962), so the result has the same bits
/// everywhere and however the patches are cut into runs.
#[derive(Debug, Clone)]
pub struct Pooler {
    dim: usize,
    contrast: Option<Contrast>,
    windows: Windows,
}

impl Pooler {
    /// For patches of `dim` values, at least one.
    pub fn new(summary: Summary, dim: usize) -> Self {
        let contrast = (summary.features == Features::Contrast).then(Contrast::default);
        Self { dim, contrast, windows: Windows::new(summary, summary.features.dim(dim)) }
    }

    /// Takes the next patches, `[k, dim]`, row-major.
    ///
    /// # Panics
    ///
    /// When the length is not a multiple of `dim`.
    pub fn push(&mut self, patches: &[f32]) {
        let dim = self.dim;
        assert!(
            patches.len().is_multiple_of(dim),
            "pooling needs whole patches of {dim} values, not {}",
            patches.len()
        );
        let windows = &mut self.windows;
        for patch in patches.chunks_exact(dim) {
            match &mut self.contrast {
                None => windows.push(patch.iter().map(|&value| f64::from(value))),
                Some(contrast) => contrast.push(patch, &mut |row| windows.push(row.iter().copied())),
            }
        }
    }

    /// The pooled rows in order of time, `[Summary::dim]` each; none if there was no patch.
    pub fn finish(mut self) -> Vec<Vec<f32>> {
        if let Some(contrast) = &mut self.contrast {
            contrast.finish(&mut |row| self.windows.push(row.iter().copied()));
        }
        self.windows.finish()
    }
}

/// Rows of as many patches each as a window has.
#[derive(Debug, Clone)]
struct Windows {
    summary: Summary,
    dim: usize,
    current: Moments,
    rows: Vec<Vec<f32>>,
}

impl Windows {
    fn new(summary: Summary, dim: usize) -> Self {
        Self { summary, dim, current: Moments::new(summary.pooling, dim), rows: Vec::new() }
    }

    fn push(&mut self, row: impl Iterator<Item = f64>) {
        self.current.push(row);
        if self.current.rows == self.summary.window as u64 {
            let complete = std::mem::replace(&mut self.current, Moments::new(self.summary.pooling, self.dim));
            self.rows.extend(complete.finish());
        }
    }

    fn finish(mut self) -> Vec<Vec<f32>> {
        if self.rows.is_empty() || 2 * self.current.rows >= self.summary.window as u64 {
            self.rows.extend(self.current.finish());
        }
        self.rows
    }
}

/// Means and deviations of rows as they come.
#[derive(Debug, Clone)]
struct Moments {
    rows: u64,
    mean: Vec<f64>,
    /// Sums of squared deviations from the mean; empty where they are not asked for.
    squares: Vec<f64>,
}

impl Moments {
    fn new(pooling: Pooling, dim: usize) -> Self {
        let squares = if pooling == Pooling::MeanStd { vec![0.0; dim] } else { Vec::new() };
        Self { rows: 0, mean: vec![0.0; dim], squares }
    }

    fn push(&mut self, row: impl Iterator<Item = f64>) {
        self.rows += 1;
        let share = 1.0 / self.rows as f64;
        if self.squares.is_empty() {
            for (mean, value) in self.mean.iter_mut().zip(row) {
                *mean += (value - *mean) * share;
            }
            return;
        }
        for ((mean, sum), value) in self.mean.iter_mut().zip(&mut self.squares).zip(row) {
            let before = value - *mean;
            *mean += before * share;
            *sum += before * (value - *mean);
        }
    }

    fn finish(self) -> Option<Vec<f32>> {
        let n = (self.rows > 0).then_some(self.rows as f64)?;
        let deviations = self.squares.iter().map(|sum| (sum / n).sqrt() as f32);
        Some(self.mean.iter().map(|mean| *mean as f32).chain(deviations).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(pooling: Pooling, patches: &[f32], dim: usize) -> Vec<f32> {
        Summary::from(pooling).pool(patches, dim)
    }

    const CONTRAST: Summary = Summary { features: Features::Contrast, pooling: Pooling::MeanStd, window: 0 };

    #[test]
    fn mean_and_population_deviation_are_those_of_numpy() {
        // numpy: [[1, 2], [3, 6], [8, 1]] → mean [4, 3], std [2.943920, 2.160247]
        let patches = [1.0, 2.0, 3.0, 6.0, 8.0, 1.0];
        assert_eq!(pool(Pooling::Mean, &patches, 2), [4.0, 3.0]);
        assert_eq!(pool(Pooling::MeanStd, &patches, 2), [4.0, 3.0, 2.943_920_3, 2.160_246_8]);
    }

    #[test]
    fn one_patch_is_its_own_mean_and_has_no_deviation() {
        assert_eq!(pool(Pooling::MeanStd, &[0.5, -0.25], 2), [0.5, -0.25, 0.0, 0.0]);
        assert_eq!(CONTRAST.pool(&[0.5, -0.25], 2), [0.5, -0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_runs_in_which_patches_come_do_not_matter() {
        let patches: Vec<f32> = (0..60).map(|i| (i as f32 * 1.7).sin() + 100.0).collect();
        for summary in [Pooling::Mean.into(), Pooling::MeanStd.into(), CONTRAST] {
            let mut pooler = Pooler::new(summary, 3);
            for run in [0..3, 3..3, 3..51, 51..60] {
                pooler.push(&patches[run]);
            }
            assert_eq!(pooler.finish().concat(), summary.pool(&patches, 3));
        }
        assert!(Pooler::new(CONTRAST, 3).finish().is_empty());
        assert!(Pooler::new(Pooling::Mean.into(), 3).finish().is_empty());
    }

    #[test]
    fn what_never_changes_has_no_deviation() {
        assert_eq!(pool(Pooling::MeanStd, &[0.1; 999], 1), [0.1, 0.0]);
        assert_eq!(CONTRAST.pool(&[0.1; 999], 1), [0.1, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn contrast_tells_a_sound_that_comes_and_goes_from_one_that_stays() {
        // Half of the patches are 0 and half are 1, in halves of the clip or in turn: mean and deviation are the same.
        let halves: Vec<f32> = (0..40).map(|patch| f32::from(u8::from(patch >= 20))).collect();
        let turns: Vec<f32> = (0..40).map(|patch| f32::from(u8::from(patch % 2 == 1))).collect();
        let ([_, _, a, of_halves], [_, _, b, of_turns]) =
            (CONTRAST.pool(&halves, 1).try_into().unwrap(), CONTRAST.pool(&turns, 1).try_into().unwrap());
        assert_eq!((a, b), (0.5, 0.5));
        assert!(of_halves < 0.2 && of_turns > 0.45, "{of_halves} and {of_turns}");
    }

    #[test]
    fn names_in_files_are_snake_case() {
        assert_eq!(serde_json::to_string(&Pooling::MeanStd).unwrap(), "\"mean_std\"");
    }

    #[test]
    #[should_panic(expected = "whole patches of 3 values")]
    fn half_a_patch_is_refused() {
        pool(Pooling::Mean, &[1.0, 2.0], 3);
    }

    #[test]
    fn windows_are_rows_and_a_short_rest_is_none() {
        let rows = |window: usize, k: usize| {
            let summary = Summary { window, ..Pooling::Mean.into() };
            summary.pool(&(0..k).map(|i| i as f32).collect::<Vec<_>>(), 1)
        };
        assert_eq!(rows(0, 7), [3.0]);
        assert_eq!(rows(2, 6), [0.5, 2.5, 4.5]);
        assert_eq!(rows(3, 7), [1.0, 4.0]);
        assert_eq!(rows(3, 8), [1.0, 4.0, 6.5]);
        assert_eq!(rows(5, 1), [0.0]);
    }
}

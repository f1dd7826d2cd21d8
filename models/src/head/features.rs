//! What a patch is described by, before the patches of a clip become one row.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Patches on each side that a patch is compared with: about a second, with patches that follow each other by half of one.
pub(crate) const REACH: usize = 2;

/// What each patch is described by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// Its embedding: `[dim]`.
    #[default]
    Embedding,
    /// Its embedding, then what of it the mean of its neighbours has not: `[e, e − mean]`, `[2 · dim]`. Neighbours are the patches beside it in the
    /// clip, two on each side as far as there are; a clip of one patch has zeros.
    Contrast,
}

impl Features {
    /// Values of a patch whose embedding has `dim`.
    pub(super) fn dim(self, dim: usize) -> usize {
        match self {
            Self::Embedding => dim,
            Self::Contrast => 2 * dim,
        }
    }
}

/// Compares patches with their neighbours as they come. Holds the patches within reach, however many there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Contrast {
    near: VecDeque<Vec<f32>>,
    /// Patches in front of the next one to be described.
    described: usize,
    out: Vec<f64>,
}

impl Contrast {
    /// Takes the next patch; `each` gets `[e, e − mean]` of the patch whose neighbours are complete with it, if there is one.
    pub(super) fn push(&mut self, patch: &[f32], each: &mut dyn FnMut(&[f64])) {
        let mut kept = Vec::new();
        if self.near.len() == 2 * REACH + 1 {
            // Its memory serves again.
            kept = self.near.pop_front().unwrap_or_default();
            self.described -= 1;
        }
        kept.clear();
        kept.extend_from_slice(patch);
        self.near.push_back(kept);
        if self.near.len() - self.described > REACH {
            self.describe(each);
        }
    }

    /// Ends the clip; `each` gets the patches that are left.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(&[f64])) {
        while self.described < self.near.len() {
            self.describe(each);
        }
    }

    fn describe(&mut self, each: &mut dyn FnMut(&[f64])) {
        let at = self.described;
        let (first, last) = (at.saturating_sub(REACH), self.near.len().min(at + REACH + 1));
        let neighbours = || (first..last).filter(|&other| other != at).map(|other| &self.near[other]);
        let count = neighbours().count();
        let patch = &self.near[at];
        self.out.clear();
        self.out.extend(patch.iter().map(|&value| f64::from(value)));
        self.out.resize(2 * patch.len(), 0.0);
        let (embedding, contrast) = self.out.split_at_mut(patch.len());
        for row in neighbours() {
            contrast.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        if count > 0 {
            contrast.iter_mut().zip(embedding).for_each(|(sum, value)| *sum = *value - *sum / count as f64);
        }
        each(&self.out);
        self.described += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrasts(values: &[f32]) -> Vec<f64> {
        let (mut contrast, mut found) = (Contrast::default(), Vec::new());
        let mut each = |row: &[f64]| {
            assert_eq!(row.len(), 2);
            found.push((row[0], row[1]));
        };
        for value in values {
            contrast.push(&[*value], &mut each);
        }
        contrast.finish(&mut each);
        // Every patch once, in order.
        assert!(found.iter().map(|(embedding, _)| *embedding).eq(values.iter().map(|&value| f64::from(value))));
        found.into_iter().map(|(_, contrast)| contrast).collect()
    }

    #[test]
    fn a_patch_is_compared_with_two_on_each_side_as_far_as_there_are() {
        assert!(contrasts(&[]).is_empty());
        assert_eq!(contrasts(&[7.0]), [0.0]);
        assert_eq!(contrasts(&[1.0, 3.0]), [-2.0, 2.0]);
        assert_eq!(contrasts(&[1.0, 3.0, 8.0]), [-4.5, -1.5, 6.0]);
        assert_eq!(contrasts(&[0.0, 0.0, 0.0, 12.0, 0.0, 0.0, 0.0]), [0.0, -4.0, -3.0, 12.0, -3.0, -4.0, 0.0]);
    }
}

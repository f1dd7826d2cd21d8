//! Folds of whole groups, every class in every fold as far as it goes.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::coverage::covered;
use super::targets::Targets;

/// Folds where there are groups enough.
const FOLDS: usize = 5;

/// Rows dealt out to folds; rows of one group (a recording, a site) are in one fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFolds {
    /// The fold of each row, `[n]`.
    pub of_row: Vec<usize>,
    /// Number of folds, 2 to 5.
    pub count: usize,
}

impl GroupFolds {
    /// Deals out rows with these `groups` and labels `y`, `[n]` each; none where no two folds can be filled.
    ///
    /// Groups are shuffled within the class of their first row and dealt out in turn. Equal inputs give equal folds.
    pub fn deal(groups: &[u32], y: &[usize], seed: u64) -> Option<Self> {
        let mut class_of = BTreeMap::new();
        for (&group, &class) in groups.iter().zip(y) {
            class_of.entry(group).or_insert(class);
        }
        let count = FOLDS.min(class_of.len());
        if count < 2 {
            return None;
        }
        let mut by_class: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (&group, &class) in &class_of {
            by_class.entry(class).or_default().push(group);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut fold_of = BTreeMap::new();
        // Where one class ends the next goes on, so that small classes do not all end up in the first fold.
        let mut next = 0;
        for members in by_class.values_mut() {
            members.shuffle(&mut rng);
            for &group in members.iter() {
                fold_of.insert(group, next % count);
                next += 1;
            }
        }
        Some(Self { of_row: groups.iter().map(|group| fold_of[group]).collect(), count })
    }

    /// Indices of the originals, ascending, whose classes all have rows in other folds than theirs: a head fitted on those can
    /// be judged by them.
    pub fn judged(&self, y: &[usize], is_original: &[bool], targets: Targets<'_>) -> Vec<usize> {
        let mut judged: Vec<usize> = (0..self.count)
            .flat_map(|number| {
                let fitted =
                    y.iter().zip(&self.of_row).filter(move |(_, fold)| **fold != number).map(|(&label, _)| label);
                let held_out: Vec<usize> =
                    (0..y.len()).filter(|&row| self.of_row[row] == number && is_original[row]).collect();
                covered(fitted, held_out, y, targets)
            })
            .collect();
        judged.sort_unstable();
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_stay_together_and_classes_are_spread() {
        let groups: Vec<u32> = (0..60).map(|row| row / 2).collect();
        let y: Vec<usize> = groups.iter().map(|&group| (group % 3) as usize).collect();
        let folds = GroupFolds::deal(&groups, &y, 7).unwrap();
        assert_eq!(folds.count, 5);
        for row in (0..60).step_by(2) {
            assert_eq!(folds.of_row[row], folds.of_row[row + 1]);
        }
        for class in 0..3 {
            for number in 0..5 {
                let rows = (0..60).filter(|&row| y[row] == class && folds.of_row[row] == number).count();
                assert_eq!(rows, 4, "class {class}, fold {number}");
            }
        }
        assert_ne!(folds, GroupFolds::deal(&groups, &y, 8).unwrap());
        assert!(GroupFolds::deal(&[3, 3, 3], &[0, 0, 1], 0).is_none());
    }

    #[test]
    fn rows_of_a_class_with_one_recording_judge_no_head() {
        // The last two rows are the only recording of class 2.
        let groups: Vec<u32> = (0..10).chain([10, 10]).collect();
        let y: Vec<usize> = (0..10).map(|row| row % 2).chain([2, 2]).collect();
        let is_original: Vec<bool> = (0..12).map(|row| row != 3).collect();
        let folds = GroupFolds::deal(&groups, &y, 0).unwrap();
        assert_eq!(folds.judged(&y, &is_original, Targets::One(3)), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }
}

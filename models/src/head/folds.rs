//! Folds of the inner cross-validation: whole recordings, every class in every fold as far as it goes.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Folds where there are recordings enough.
const FOLDS: usize = 5;

/// The fold of each row, and how many there are; none where no two folds could be filled.
///
/// Recordings are shuffled within the class of their first row and dealt out in turn, so that a recording is in one fold.
pub(super) fn folds(groups: &[u32], y: &[usize], seed: u64) -> Option<(Vec<usize>, usize)> {
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
    Some((groups.iter().map(|group| fold_of[group]).collect(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_stay_together_and_classes_are_spread() {
        let groups: Vec<u32> = (0..60).map(|row| row / 2).collect();
        let y: Vec<usize> = groups.iter().map(|&group| (group % 3) as usize).collect();
        let (fold, count) = folds(&groups, &y, 7).unwrap();
        assert_eq!(count, 5);
        for row in (0..60).step_by(2) {
            assert_eq!(fold[row], fold[row + 1]);
        }
        for class in 0..3 {
            for number in 0..5 {
                let rows = (0..60).filter(|&row| y[row] == class && fold[row] == number).count();
                assert_eq!(rows, 4, "class {class}, fold {number}");
            }
        }
        assert_ne!(fold, folds(&groups, &y, 8).unwrap().0);
        assert!(folds(&[3, 3, 3], &[0, 0, 1], 0).is_none());
    }
}

//! Which rows an epoch of the MLP goes through, and in which batches.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What an epoch of the MLP goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every row once.
    #[default]
    All,
    /// As many rows of each class, about as many as there are rows in all: those of rare classes several times, those of common ones in turn.
    Balanced,
}

/// The rows of an epoch of balanced classes, given the classes `y` of all rows.
pub(super) fn balanced(y: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &class) in y.iter().enumerate() {
        members.entry(class).or_default().push(row);
    }
    let each = y.len().div_ceil(members.len().max(1));
    let mut drawn = Vec::with_capacity(each * members.len());
    for rows in members.values_mut() {
        rows.shuffle(rng);
        drawn.extend(rows.iter().cycle().take(each));
    }
    drawn.shuffle(rng);
    drawn
}

/// Batches of `size` rows; a last batch of one row, whose variance is zero, joins the one before it.
pub(super) fn batches(order: &[usize], size: usize) -> impl Iterator<Item = &[usize]> {
    let n = order.len();
    let count = if n > size && n % size == 1 { n / size } else { n.div_ceil(size) };
    (0..count).map(move |batch| {
        let end = if batch + 1 == count { n } else { (batch + 1) * size };
        &order[batch * size..end]
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_row_is_in_one_batch_and_no_batch_of_several_has_one_row() {
        for n in 1..=140 {
            let order: Vec<usize> = (0..n).collect();
            let batches: Vec<&[usize]> = batches(&order, 64).collect();
            assert_eq!(batches.concat(), order);
            assert!(batches.len() == 1 || batches.iter().all(|b| b.len() > 1), "{n}");
        }
    }

    #[test]
    fn each_class_is_drawn_as_often_and_its_rows_evenly() {
        // 90 rows of class 0, 10 of class 2, none of class 1.
        let y: Vec<usize> = (0..100).map(|row| if row % 10 == 3 { 2 } else { 0 }).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (drawn, next) = (balanced(&y, &mut rng), balanced(&y, &mut rng));
        let mut times = [0; 100];
        for &row in &drawn {
            times[row] += 1;
        }
        assert_eq!(drawn.len(), 100);
        for (row, times) in times.into_iter().enumerate() {
            assert!(if y[row] == 2 { times == 5 } else { times <= 1 }, "row {row}: {times}");
        }
        assert_ne!(drawn, next, "each epoch draws anew");
        assert_eq!(drawn, balanced(&y, &mut ChaCha8Rng::seed_from_u64(1)));
    }
}

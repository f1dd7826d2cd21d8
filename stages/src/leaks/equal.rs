//! Rows that are equal bit by bit.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::nominate::Clips;

/// The sets of clips whose rows are equal bit by bit and that lie on more than one side, whatever their groups. Each set
/// is in ascending order, and the sets are in the order of their first clips.
///
/// Clips without any sound have equal rows, too: see [`Fingerprints::is_silent`](super::Fingerprints::is_silent).
///
/// # Panics
/// When the parts of `clips` differ in length.
pub(crate) fn equal_rows(clips: &Clips<'_>) -> Vec<Vec<usize>> {
    clips.check();
    let bits = |row: usize| clips.row(row).iter().map(|x| x.to_bits());
    let compare = |&a: &usize, &b: &usize| -> Ordering { bits(a).cmp(bits(b)) };
    let mut order: Vec<usize> = (0..clips.sides.len()).collect();
    order.par_sort_unstable_by(|a, b| compare(a, b).then(a.cmp(b)));
    let leaks = |set: &&[usize]| set.iter().any(|&row| clips.sides[row] != clips.sides[set[0]]);
    let mut sets: Vec<Vec<usize>> =
        order.chunk_by(|a, b| compare(a, b).is_eq()).filter(leaks).map(<[usize]>::to_vec).collect();
    sets.sort_unstable();
    sets
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::tables::Side::{Test, Train, Val};

    use super::*;

    #[test]
    fn equal_rows_are_sets_that_touch_two_sides() {
        let rows = [5.0, 1.0, 2.0, 2.0, 5.0, 1.0, 2.0, 2.0, 5.0, 1.0, 5.0, 1.000_000_1];
        let clips = |sides| Clips { rows: &rows, dim: 2, groups: &[0, 1, 2, 3, 4, 5], sides };
        assert_eq!(equal_rows(&clips(&[Train, Val, Test, Val, Train, Val])), [vec![0, 2, 4]]);
        assert_eq!(equal_rows(&clips(&[Test, Val, Test, Train, Train, Val])), [vec![0, 2, 4], vec![1, 3]]);
        assert!(equal_rows(&clips(&[Train; 6])).is_empty());
        assert!(equal_rows(&Clips { rows: &[], dim: 2, groups: &[], sides: &[] }).is_empty());
    }

    #[test]
    fn rows_that_are_no_numbers_are_equal_where_their_bits_are() {
        let rows = [f32::NAN, f32::NAN, 0.0, -0.0];
        let clips = Clips { rows: &rows, dim: 1, groups: &[0, 1, 2, 3], sides: &[Train, Val, Train, Val] };
        assert_eq!(equal_rows(&clips), [[0, 1]]);
    }
}

//! Which held-out rows a head can be judged by: those of classes that it was fitted on.
//!
//! A head gives a class that it has never seen next to no probability. One clip of such a class costs more cross-entropy than hundreds of others
//! together, and would decide penalty, temperature and thresholds for all classes.

use std::collections::BTreeSet;

use super::targets::Targets;

/// Those of the rows `held_out` whose classes are all among the classes of the labels `fitted`; `y` are the labels of all rows.
pub(super) fn covered(
    fitted: impl Iterator<Item = usize>,
    held_out: Vec<usize>,
    y: &[usize],
    targets: Targets<'_>,
) -> Vec<usize> {
    let labels: BTreeSet<usize> = fitted.collect();
    let seen: BTreeSet<usize> = labels.iter().flat_map(|&label| targets.present(label)).collect();
    let is_covered: Vec<bool> =
        (0..targets.labels()).map(|label| targets.present(label).iter().all(|class| seen.contains(class))).collect();
    held_out.into_iter().filter(|&row| is_covered[y[row]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::LabelSets;

    #[test]
    fn a_row_is_covered_where_each_of_its_classes_was_fitted_on() {
        let (yes, no) = (Some(true), Some(false));
        // cat; dog; both; nothing; no cat, and otherwise unknown.
        let sets = LabelSets::new(2, vec![yes, no, no, yes, yes, yes, no, no, no, None]);
        let y: Vec<usize> = (0..5).collect();
        let found = |fitted: &[usize]| covered(fitted.iter().copied(), y.clone(), &y, Targets::Any(&sets));
        assert_eq!(found(&[0]), [0, 4]);
        assert_eq!(found(&[0, 1]), [0, 1, 2, 4]);
        assert_eq!(found(&[2, 3]), [0, 1, 2, 3, 4]);
        assert_eq!(covered([1, 1].into_iter(), vec![0, 1], &[0, 1], Targets::One(2)), [1]);
    }
}

//! Parts of the test side, as `evaluate` has measured them.

use std::collections::BTreeMap;

use ecosight_datasets::tables::SliceRow;

use crate::report::{Interval, Slice};

/// Slices of one kind that are shown, the largest; of hundreds of sites the others say too little each.
const SHOWN: usize = 40;

/// What is shown of them, in their order.
pub(super) fn shown(rows: &[SliceRow]) -> Vec<Slice> {
    let mut by: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for row in rows {
        by.entry(&row.by).or_default().push(row.clips);
    }
    let least: BTreeMap<&str, u64> = by
        .into_iter()
        .map(|(by, mut clips)| {
            clips.sort_unstable_by(|a, b| b.cmp(a));
            (by, clips.get(SHOWN - 1).copied().unwrap_or(0))
        })
        .collect();
    let slice = |row: &SliceRow| Slice {
        by: row.by.clone(),
        name: row.slice.clone(),
        clips: row.clips,
        accuracy: Interval {
            value: row.accuracy,
            ci95: row.accuracy_low.zip(row.accuracy_high).map(|(low, high)| [low, high]),
        },
    };
    rows.iter().filter(|row| row.clips >= least[row.by.as_str()]).map(slice).collect()
}

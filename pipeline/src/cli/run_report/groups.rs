//! How many clips of each site, device and other group there are on each side.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::tables::{Side, SplitRow};

use crate::report::GroupCount;

/// Groups of one kind that are shown, the largest.
const SHOWN: usize = 40;

/// The counts; none of a kind that all clips share, or that nobody has told.
pub(super) fn counts(clips: &[&SplitRow]) -> Vec<GroupCount> {
    // Of recordings that are copies of each other, one gives the group its name.
    let groups: BTreeSet<&str> = clips.iter().filter_map(|row| group(row)).collect();
    let mut counts = Vec::new();
    for by in ["site", "device", "group"] {
        let mut of_kind: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
        for row in clips {
            let name = match by {
                "site" => row.site.as_deref(),
                "device" => row.device.as_deref(),
                _ => Some(row.group_id.as_str()).filter(|name| groups.contains(name)),
            };
            if let Some(name) = name {
                of_kind.entry(name).or_default()[row.side as usize] += 1;
            }
        }
        let mut of_kind: Vec<(&str, [u64; 3])> = of_kind.into_iter().collect();
        if of_kind.len() < 2 {
            continue;
        }
        of_kind.sort_by_key(|(_, sides)| std::cmp::Reverse(sides.iter().sum::<u64>()));
        of_kind.truncate(SHOWN);
        let count = |(name, sides): (&str, [u64; 3])| {
            let [train, val, test] = [Side::Train, Side::Val, Side::Test].map(|side| sides[side as usize]);
            GroupCount { by: by.to_owned(), name: name.to_owned(), train, val, test }
        };
        counts.extend(of_kind.into_iter().map(count));
    }
    counts
}

/// What the split has kept together, where that is neither a recording nor a site nor a device.
fn group(row: &SplitRow) -> Option<&str> {
    let is_known = [Some(&row.recording_id), row.site.as_ref(), row.device.as_ref()].contains(&Some(&row.group_id));
    (!is_known).then_some(row.group_id.as_str())
}

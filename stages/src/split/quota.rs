//! Recordings, dealt out by quota.
//!
//! Recordings are ranked within their class by a seeded hash of their name (the class is not in it) and cut by quota, so adding one
//! recording moves at most two others across a boundary. Recordings that are copies of each other count as one, with the name of the first.

use std::collections::BTreeMap;

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::{ClipRow, Side, SplitRow};

use super::Split;

/// Groups that are named.
const NAMED: usize = 5;

impl Split {
    /// The side of each group of copies, most of which are single recordings.
    pub(super) fn by_quota(
        &self,
        clips: &[ClipRow],
        rows: &[SplitRow],
        given: &BTreeMap<String, Side>,
    ) -> BTreeMap<String, Side> {
        let mut labels: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (clip, row) in clips.iter().zip(rows) {
            *labels.entry(&row.group_id).or_default().entry(&clip.label).or_insert(0) += 1;
        }
        let mut sides = given.clone();
        let mut ranked: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for (name, labels) in &labels {
            if !given.contains_key(*name) {
                ranked.entry(class(labels)).or_default().push((self.rank(name), name));
            }
        }
        for (_, mut names) in ranked {
            names.sort_unstable();
            let (test, val) = self.cuts(names.len());
            for (position, (_, name)) in names.into_iter().enumerate() {
                let side = if position < test {
                    Side::Test
                } else if position < val {
                    Side::Val
                } else {
                    Side::Train
                };
                sides.insert(name.to_owned(), side);
            }
        }
        sides
    }

    /// The side of each group that has clips in folds which stand for one. Where they stand for several it is test before val before train, so that
    /// official test clips stay test clips; these groups are named in the second value.
    pub(super) fn given_sides(&self, rows: &[SplitRow]) -> (BTreeMap<String, Side>, Option<String>) {
        let mut sides: BTreeMap<String, Side> = BTreeMap::new();
        let mut moved: BTreeMap<&str, Side> = BTreeMap::new();
        for row in rows {
            let Some(side) = row.fold.as_deref().and_then(|fold| self.given(fold)) else { continue };
            let found = *sides.entry(row.group_id.clone()).or_insert(side);
            if found != side {
                let most = found.max(side);
                sides.insert(row.group_id.clone(), most);
                moved.insert(&row.group_id, most);
            }
        }
        let named: Vec<_> =
            moved.iter().take(NAMED).map(|(name, side)| format!("`{name}` ({})", side.word())).collect();
        let (n, more) = (moved.len(), if moved.len() > NAMED { ", …" } else { "" });
        let warning = format!(
            "copies of recordings lie in folds of different sides; all of their clips are on the test side before val before train ({n}): \
             {}{more}",
            named.join(", ")
        );
        (sides, (n > 0).then_some(warning))
    }

    /// The side that a fold stands for, if it stands for one.
    pub(super) fn given(&self, fold: &str) -> Option<Side> {
        let listed = |folds: &[String]| folds.iter().any(|f| f == fold);
        if listed(&self.test_folds) {
            Some(Side::Test)
        } else if listed(&self.val_folds) {
            Some(Side::Val)
        } else if self.val_folds.is_empty() || self.test_folds.is_empty() {
            Side::of_word(fold)
        } else {
            // Both are named, so all others are there to be trained on.
            Some(Side::of_word(fold).unwrap_or(Side::Train))
        }
    }

    /// The place of a recording, or of a group, in an order that nobody has chosen.
    pub(super) fn rank(&self, recording: &str) -> u64 {
        KeyHasher::new("split").u64(self.seed).str(recording).finish().to_u64()
    }

    /// Of `n` ranked recordings the first `.0` are test, those up to `.1` are val. From three recordings on each side has one.
    pub(super) fn cuts(&self, n: usize) -> (usize, usize) {
        let at = |share: f64| (n as f64 * share).round() as usize;
        if n < 3 {
            return (0, 0);
        }
        let test = at(self.test).clamp(1, n - 2);
        (test, at(self.test + self.val).clamp(test + 1, n - 1))
    }
}

/// The label of most clips; of equals the first by name.
fn class<'a>(labels: &BTreeMap<&'a str, usize>) -> &'a str {
    let most = labels.values().max();
    labels.iter().find(|(_, n)| Some(*n) == most).map_or("", |(label, _)| label)
}

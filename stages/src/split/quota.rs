//! Recordings, dealt out by quota.
//!
//! Recordings are ranked within their class by a seeded hash of their name (the class is not in it) and cut by quota, so adding one
//! recording moves at most two others across a boundary.

use std::collections::BTreeMap;

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::{ClipRow, Side, SplitRow};

use super::Split;
use crate::StageErrorKind;

impl Split {
    /// The side of each recording; an error where folds of different sides part one.
    pub(super) fn by_quota(
        &self,
        clips: &[ClipRow],
        rows: &[SplitRow],
    ) -> Result<BTreeMap<String, Side>, StageErrorKind> {
        self.check_sides_of_folds(rows)?;
        let mut recordings: BTreeMap<&str, Recording<'_>> = BTreeMap::new();
        for (clip, row) in clips.iter().zip(rows) {
            let recording = recordings.entry(&row.recording_id).or_default();
            *recording.labels.entry(&clip.label).or_insert(0) += 1;
            recording.given = recording.given.or_else(|| row.fold.as_deref().and_then(|fold| self.given(fold)));
        }
        let mut sides = BTreeMap::new();
        let mut ranked: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for (name, recording) in &recordings {
            match recording.given {
                Some(side) => drop(sides.insert((*name).to_owned(), side)),
                None => ranked.entry(recording.class()).or_default().push((self.rank(name), name)),
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
        Ok(sides)
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

#[derive(Default)]
struct Recording<'a> {
    labels: BTreeMap<&'a str, usize>,
    given: Option<Side>,
}

impl<'a> Recording<'a> {
    /// The label of most of its clips; of equals the first by name.
    fn class(&self) -> &'a str {
        let most = self.labels.values().max();
        self.labels.iter().find(|(_, n)| Some(*n) == most).map_or("", |(label, _)| label)
    }
}

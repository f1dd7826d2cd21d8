//! Groups in the order of time: the oldest are trained on, the newest judged by, as a model in use meets only what comes after it.

use std::collections::BTreeMap;

use ecosight_datasets::moment::Moment;
use ecosight_datasets::tables::{Side, SplitRow};

use super::known::TIMES;
use super::{GroupBy, Split};
use crate::StageErrorKind;

/// A group with its first and last time, and its number of clips.
struct Dated<'a> {
    from: Moment,
    to: Moment,
    name: &'a str,
    clips: usize,
}

impl Split {
    /// The side of each group, and what a person should know. Shares are of clips. Groups that begin at the same time are not parted; those without a
    /// time are trained on.
    pub(super) fn by_time(
        &self,
        rows: &[SplitRow],
        times: &[Option<Moment>],
    ) -> Result<(BTreeMap<String, Side>, Vec<String>), StageErrorKind> {
        let mut sides: BTreeMap<String, Side> = rows.iter().map(|row| (row.group_id.clone(), Side::Train)).collect();
        let groups = dated(rows, times);
        let mut warnings = Vec::new();
        let without: usize = rows.len() - groups.iter().map(|group| group.clips).sum::<usize>();
        if without > 0 && !groups.is_empty() {
            let n = rows.len();
            warnings
                .push(format!("{without} of {n} clips have no time and are on the train side; it is told by {TIMES}"));
        }
        let moments: Vec<&[Dated<'_>]> = groups.chunk_by(|a, b| a.from == b.from).collect();
        if moments.len() < Side::ALL.len() {
            let n = moments.len();
            let message = format!(
                "to split by time, recordings of at least three times are needed; {n} different ones are known of {} clips",
                rows.len()
            );
            return Err(StageErrorKind::data(message, format!("a time is told by {TIMES}")));
        }
        let cuts = self.borders(&moments, &mut warnings);
        for (number, groups) in moments.iter().enumerate() {
            let side = Side::ALL[cuts.iter().filter(|cut| number >= **cut).count()];
            for group in *groups {
                sides.insert(group.name.to_owned(), side);
            }
        }
        warnings.extend(self.overlap(rows, times, &sides));
        Ok((sides, warnings))
    }

    /// How many moments come before val, and before test: as near to the shares as whole moments permit.
    fn borders(&self, moments: &[&[Dated<'_>]], warnings: &mut Vec<String>) -> [usize; 2] {
        let mut before = vec![0];
        for groups in moments {
            before.push(before[before.len() - 1] + groups.iter().map(|group| group.clips).sum::<usize>());
        }
        let all = before[moments.len()] as f64;
        let mut cut = |share: f64, least: usize, most: usize, sides: &str| {
            let wanted = share * all;
            if let Some(at) =
                (0..moments.len()).find(|&at| (before[at] as f64) < wanted && wanted < before[at + 1] as f64)
                && moments[at].len() > 1
            {
                let (n, from, word) = (moments[at].len(), moments[at][0].from, self.group_by.word());
                warnings
                    .push(format!("{n} {word}s begin at {from}, where {sides} should be parted, and stay on one side"));
            }
            let distance = |at: &usize| (before[*at] as f64 - wanted).abs();
            (least..=most).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(least)
        };
        let val = cut(self.train, 1, moments.len() - 2, "train and val");
        [val, cut(self.train + self.val, val + 1, moments.len() - 1, "val and test")]
    }

    /// Says how many clips are judged by although older ones are not trained on alone: sites are not left behind each other.
    fn overlap(&self, rows: &[SplitRow], times: &[Option<Moment>], sides: &BTreeMap<String, Side>) -> Option<String> {
        let on = |row: &SplitRow| sides[&row.group_id];
        let dated = || rows.iter().zip(times).filter_map(|(row, time)| Some((on(row), (*time)?)));
        let newest = dated().filter(|(side, _)| *side == Side::Train).map(|(_, time)| time).max()?;
        let judged: Vec<Moment> = dated().filter(|(side, _)| *side != Side::Train).map(|(_, time)| time).collect();
        let (n, older) = (judged.len(), judged.iter().filter(|time| **time < newest).count());
        let word = self.group_by.word();
        let hint = if self.group_by == GroupBy::Day { "" } else { "; `split.group_by = \"day\"` parts better" };
        (older > 0).then(|| {
            format!("{older} of {n} val and test clips are older than the newest train clip: whole {word}s overlap in time{hint}")
        })
    }
}

/// The groups that have times, in the order of the first of them.
fn dated<'a>(rows: &'a [SplitRow], times: &[Option<Moment>]) -> Vec<Dated<'a>> {
    let mut of_group: BTreeMap<&str, Vec<Option<Moment>>> = BTreeMap::new();
    for (row, time) in rows.iter().zip(times) {
        of_group.entry(&row.group_id).or_default().push(*time);
    }
    let dated = |(name, times): (&'a str, Vec<Option<Moment>>)| {
        let known = times.iter().copied().flatten();
        Some(Dated { from: known.clone().min()?, to: known.max()?, name, clips: times.len() })
    };
    let mut groups: Vec<Dated<'a>> = of_group.into_iter().filter_map(dated).collect();
    groups.sort_by(|a, b| (a.from, a.to, a.name).cmp(&(b.from, b.to, b.name)));
    groups
}

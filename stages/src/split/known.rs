//! What is known of each clip before it has a side: its recording, where and when that was made, and by what.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ecosight_datasets::moment::Moment;
use ecosight_datasets::tables::{ClipRow, Side, SplitRow};
use regex::{Captures, Regex};

use super::groups::Groups;
use super::{GroupBy, Split};
use crate::copies::Pair;

/// The named groups of `split.pattern` that mean something.
pub(super) const NAMES: [&str; 6] = ["recording", "fold", "site", "device", "day", "time"];

/// What is known of all clips, in their order.
pub(crate) struct Told {
    /// Their rows, all of them on the train side as yet.
    pub(crate) rows: Vec<SplitRow>,
    /// When they were recorded; not asked for unless sides or groups go by it.
    pub(super) times: Vec<Option<Moment>>,
    /// Clips without a value of `split.group_by`: no site, device or day. Always 0 where recordings are kept together.
    pub(crate) ungrouped: usize,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
    /// The recordings that were joined because they are copies, in words.
    pub(crate) joined: Option<String>,
    /// The group that each clip would be in without its copies; empty where nothing was joined.
    pub(crate) unjoined: Vec<String>,
}

/// Groups of copies that are named.
const NAMED: usize = 3;

impl Split {
    /// What is known of `clips`, and the groups they are in: with `copies` of each other in one. A column of a manifest goes before the pattern, and that before the
    /// name of the file.
    pub(crate) fn tell(&self, clips: &[ClipRow], copies: &[Pair]) -> Told {
        let pattern = (!self.pattern.is_empty()).then(|| Regex::new(&self.pattern).ok()).flatten();
        let (mut rows, mut times, mut unmatched) = (Vec::with_capacity(clips.len()), Vec::new(), Vec::new());
        let mut values = Vec::with_capacity(clips.len());
        for clip in clips {
            let captures = pattern.as_ref().and_then(|pattern| pattern.captures(&clip.uri));
            if pattern.is_some() && captures.is_none() {
                unmatched.push(&clip.uri);
            }
            let named = |name| named(captures.as_ref(), name);
            let recording = clip.recording_id.clone().or_else(|| named("recording"));
            let mut row = SplitRow::new(clip.clip_id, recording.unwrap_or(clip.file_id.to_string()), Side::Train);
            row.fold = clip.fold.clone().or_else(|| named("fold"));
            row.site = clip.site.clone().or_else(|| named("site"));
            row.device = clip.device.clone().or_else(|| named("device"));
            let time = if self.asks_for_times() { when(clip, captures.as_ref()) } else { None };
            values.push(match self.group_by {
                GroupBy::Recording => None,
                GroupBy::Site => row.site.clone(),
                GroupBy::Device => row.device.clone(),
                GroupBy::Day => day(clip, captures.as_ref(), time),
            });
            rows.push(row);
            times.push(time);
        }
        let mut warnings: Vec<String> =
            unmatched.first().map(|first| not_matched(&unmatched, first, clips)).into_iter().collect();
        let mut ungrouped = 0;
        if self.group_by != GroupBy::Recording {
            let (alone, told) = self.group(&mut rows, &values);
            ungrouped = alone;
            warnings.extend(told);
        }
        let mut told = Told { rows, times, ungrouped, warnings, joined: None, unjoined: Vec::new() };
        self.join(&mut told, clips, &values, copies);
        told
    }

    /// Puts recordings that are copies of each other into one group. For recordings, that has the name of the first, so that the ranks of all others stay.
    fn join(&self, told: &mut Told, clips: &[ClipRow], values: &[Option<String>], copies: &[Pair]) {
        if copies.is_empty() {
            return;
        }
        let recordings: Vec<String> = told.rows.iter().map(|row| row.recording_id.clone()).collect();
        let of_clip: HashMap<_, usize> = clips.iter().enumerate().map(|(at, clip)| (clip.clip_id, at)).collect();
        let pairs: Vec<[usize; 2]> = copies
            .iter()
            .filter_map(|[a, b]| Some([*of_clip.get(a)?, *of_clip.get(b)?]))
            .filter(|[a, b]| recordings[*a] != recordings[*b])
            .collect();
        if pairs.is_empty() {
            return;
        }
        let groups = Groups::join(
            recordings.iter().map(String::as_str).zip(values.iter().map(Option::as_deref)),
            pairs.iter().map(|pair| pair.map(|clip| recordings[clip].as_str())),
        );
        told.unjoined = told.rows.iter().map(|row| row.group_id.clone()).collect();
        for (row, recording) in told.rows.iter_mut().zip(&recordings) {
            let group = groups.of(recording);
            row.group_id = if self.group_by == GroupBy::Recording { group.recording.to_owned() } else { group.name() };
        }
        // By group, each of its copied recordings with the first of its copied clips.
        let mut copied: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for &clip in pairs.iter().flatten() {
            let first = copied.entry(&told.rows[clip].group_id).or_default().entry(&recordings[clip]).or_insert(clip);
            *first = clip.min(*first);
        }
        told.joined = Some(joined(&copied, clips));
    }

    /// Puts the rows into their groups by `values`; how many have none, and what a person should know.
    fn group(&self, rows: &mut [SplitRow], values: &[Option<String>]) -> (usize, Vec<String>) {
        let recordings: Vec<String> = rows.iter().map(|row| row.recording_id.clone()).collect();
        let clips = recordings.iter().map(String::as_str).zip(values.iter().map(Option::as_deref));
        let groups = Groups::join(clips, std::iter::empty());
        let (word, mut alone, mut first, mut joined) = (self.group_by.word(), 0, None, BTreeSet::new());
        for (row, recording) in rows.iter_mut().zip(&recordings) {
            let group = groups.of(recording);
            if group.values.is_empty() {
                alone += 1;
                first = first.or(Some(recording));
            }
            if group.values.len() > 1 {
                joined.insert(group.name());
            }
            row.group_id = group.name();
        }
        let mut warnings = Vec::new();
        if let Some(first) = first {
            let n = rows.len();
            warnings.push(format!(
                "{alone} of {n} clips have no {word}, and each of their recordings counts as a {word} of its own (first: `{first}`); {}",
                told_by(self.group_by)
            ));
        }
        if let Some(first) = joined.first() {
            let n = joined.len();
            warnings.push(format!(
                "recordings that lie in several {word}s join them, which makes {n} larger group(s) (first: `{first}`)"
            ));
        }
        (alone, warnings)
    }
}

/// The recordings that were joined, in words; each is called by the path of one of its clips.
fn joined(copied: &BTreeMap<&str, BTreeMap<&str, usize>>, clips: &[ClipRow]) -> String {
    let recordings: usize = copied.values().map(BTreeMap::len).sum();
    let mut groups: Vec<Vec<usize>> = copied.values().map(|group| group.values().copied().collect()).collect();
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort_unstable();
    let n = groups.len();
    let group = |group: &Vec<usize>| {
        let names: Vec<_> = group.iter().take(NAMED).map(|&clip| format!("`{}`", clips[clip].uri)).collect();
        let more = if group.len() > NAMED { format!(" and {} more", group.len() - NAMED) } else { String::new() };
        format!("{}{more}", names.join(" + "))
    };
    let named: Vec<String> = groups.iter().take(NAMED).map(group).collect();
    let more = if n > NAMED { format!("; and {} more", n - NAMED) } else { String::new() };
    let into = if n == 1 { "a group".to_owned() } else { format!("{n} groups") };
    format!(
        "{recordings} recordings are copies of others, wholly or in part, and were joined into {into}: {}{more}",
        named.join("; ")
    )
}

/// Where groups of this kind come from, in words.
pub(crate) fn told_by(group_by: GroupBy) -> String {
    match group_by {
        GroupBy::Recording | GroupBy::Site | GroupBy::Device => {
            let word = group_by.word();
            format!("it is told by the column `{word}` of a manifest or the group `(?<{word}>…)` of `split.pattern`")
        }
        GroupBy::Day => format!("it is told by {TIMES}"),
    }
}

/// Where times come from, in words.
pub(super) const TIMES: &str = "the column `recorded_at` of a manifest, the group `(?<time>…)` or `(?<day>…)` of `split.pattern`, or a date in \
                                the name of the file (`20260301_070509.WAV`)";

fn not_matched(unmatched: &[&String], first: &str, clips: &[ClipRow]) -> String {
    let (n, all) = (unmatched.len(), clips.len());
    format!("{n} of {all} files do not match `split.pattern` and count as recordings of their own (first: `{first}`)")
}

/// What the pattern's group `name` holds.
fn named(captures: Option<&Captures<'_>>, name: &str) -> Option<String> {
    captures?.name(name).map(|found| found.as_str().to_owned()).filter(|found| !found.is_empty())
}

/// When a clip was recorded.
fn when(clip: &ClipRow, captures: Option<&Captures<'_>>) -> Option<Moment> {
    let read = |text: String| Moment::parse(&text).or_else(|| Moment::in_name(&text));
    let column = clip.recorded_at.as_deref().and_then(Moment::parse);
    let pattern = || ["time", "day"].into_iter().find_map(|name| named(captures, name).and_then(read));
    column.or_else(pattern).or_else(|| Moment::in_name(&clip.uri))
}

/// The day of a clip: a pattern may call it anything.
fn day(clip: &ClipRow, captures: Option<&Captures<'_>>, time: Option<Moment>) -> Option<String> {
    let named = if clip.recorded_at.is_some() { None } else { named(captures, "day") };
    match named {
        Some(day) => Some(Moment::parse(&day).map_or(day, |moment| moment.day())),
        None => time.map(|time| time.day()),
    }
}

//! What is known of each clip before it has a side: its recording, where and when that was made, and by what.

use std::collections::BTreeSet;

use ecosight_datasets::moment::Moment;
use ecosight_datasets::tables::{ClipRow, Side, SplitRow};
use regex::{Captures, Regex};

use super::groups::Groups;
use super::{GroupBy, Split};

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
}

impl Split {
    /// What is known of `clips`. A column of a manifest goes before the pattern, and that before the name of the file.
    pub(crate) fn tell(&self, clips: &[ClipRow]) -> Told {
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
        Told { rows, times, ungrouped, warnings }
    }

    /// Puts the rows into their groups by `values`; how many have none, and what a person should know.
    fn group(&self, rows: &mut [SplitRow], values: &[Option<String>]) -> (usize, Vec<String>) {
        let recordings: Vec<String> = rows.iter().map(|row| row.recording_id.clone()).collect();
        let groups = Groups::join(recordings.iter().map(String::as_str).zip(values.iter().map(Option::as_deref)));
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

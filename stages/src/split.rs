//! `split`: the side (train, val, test) of every recording, before anything is derived from it.
//!
//! Recordings are ranked within their class by a seeded hash of their name (the class is not in it) and cut by quota, so adding one
//! recording moves at most two others across a boundary. All clips of a recording are on one side.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::{ClipRow, Row, Side, SplitRow, column_digests, read_rows};
use regex::Regex;
use serde::Deserialize;

use crate::error::InStage;
use crate::foresee::Foreseen;
use crate::labels::parts_there;
use crate::params::{Params, Problem, parse, within};
use crate::rows::{read_before, replace};
use crate::stage::{Context, Definition, Event, Forecast, Input, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "assign each recording to train, val or test",
    inputs: &["manifest"],
    parameters: Split::KEYS,
    configure: |table| Ok(Box::new(parse::<Split>(table)?)),
};

const NAME: &str = "split";

/// The stage's parameters.
#[derive(Deserialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    /// Share of the recordings of each class that is fitted on.
    pub train: f64,
    /// Share that is selected on.
    pub val: f64,
    /// Share that is reported on.
    pub test: f64,
    /// Seed of the ranking.
    pub seed: u64,
    /// Regular expression over the path with the named groups `recording` and, if wanted, `fold`; empty: each file is a recording.
    pub pattern: String,
    /// Folds whose recordings are on the val side.
    pub val_folds: Vec<String>,
    /// Folds whose recordings are on the test side.
    pub test_folds: Vec<String>,
}

impl Default for Split {
    fn default() -> Self {
        let (val_folds, test_folds) = (Vec::new(), Vec::new());
        Self { train: 0.70, val: 0.15, test: 0.15, seed: 42, pattern: String::new(), val_folds, test_folds }
    }
}

impl Params for Split {
    const KEYS: &'static [&'static str] = &["train", "val", "test", "seed", "pattern", "val_folds", "test_folds"];

    fn problems(&self) -> Vec<Problem> {
        let shares = [("train", self.train), ("val", self.val), ("test", self.test)];
        let mut problems: Vec<_> = shares.iter().filter_map(|(at, share)| within(at, *share, 0.01, 0.98)).collect();
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if problems.is_empty() && (sum - 1.0).abs() > 1e-6 {
            problems.push(Problem::new("train", format!("`train`, `val` and `test` add up to {sum}, not to 1")));
        }
        match Regex::new(&self.pattern) {
            Err(error) => problems.push(Problem::new("pattern", format!("no regular expression: {error}"))),
            Ok(regex) => {
                let named: Vec<_> = regex.capture_names().flatten().collect();
                if !self.pattern.is_empty() && !named.iter().any(|name| *name == "recording" || *name == "fold") {
                    problems.push(Problem::new("pattern", "it has neither a group `(?<recording>…)` nor `(?<fold>…)`"));
                }
            }
        }
        if let Some(both) = self.val_folds.iter().find(|fold| self.test_folds.contains(fold)) {
            problems.push(Problem::new("val_folds", format!("fold `{both}` is in `test_folds` too")));
        }
        problems
    }
}

impl Stage for Split {
    fn reads(&self) -> Vec<Input> {
        // The name of a file matters only to a pattern.
        let columns = ["clip_id", "file_id", "label", "recording_id", "fold", "uri"];
        let named = if self.pattern.is_empty() { 5 } else { 6 };
        vec![Input::of("manifest", &columns[..named])]
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let (rows, _) = self.assign(foreseen.clips(context.layout)?);
        let counts = RowCounts::between(&read_before(context.layout), &rows, |row: &SplitRow| row.clip_id);
        let columns = Some(column_digests(&SplitRow::batch(&rows)?));
        foreseen.split = Some(rows);
        Ok(Forecast { rows: Some(counts), columns, ..Forecast::default() })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let (rows, unmatched) = self.assign(&clips);
        warn_unmatched(context, NAME, &unmatched, clips.len());
        self.check_folds(&rows).in_stage(NAME)?;
        check_sides(&clips, &rows).in_stage(NAME)?;
        let on = |side| rows.iter().filter(|row| row.side == side).count();
        let mut recordings: Vec<_> = rows.iter().map(|row| &row.recording_id).collect();
        recordings.sort_unstable();
        recordings.dedup();
        let counts = [
            ("recordings", recordings.len()),
            ("train", on(Side::Train)),
            ("val", on(Side::Val)),
            ("test", on(Side::Test)),
        ];
        context.emit(Event::counted(NAME, counts));
        replace(context.layout, &rows, |row| row.clip_id).in_stage(NAME)
    }
}

/// Warns about files that `pattern` does not match, on behalf of `stage`.
pub(crate) fn warn_unmatched(context: &Context<'_>, stage: &'static str, unmatched: &[String], clips: usize) {
    if let Some(first) = unmatched.first() {
        let n = unmatched.len();
        let message = format!(
            "{n} of {clips} files do not match `split.pattern` and count as recordings of their own (first: `{first}`)"
        );
        context.emit(Event::Warning { stage, message });
    }
}

impl Split {
    /// One row per clip in the order of `clips`, and the uris that the pattern does not match. Pure.
    pub fn assign(&self, clips: &[ClipRow]) -> (Vec<SplitRow>, Vec<String>) {
        let pattern = (!self.pattern.is_empty()).then(|| Regex::new(&self.pattern).ok()).flatten();
        let mut unmatched = Vec::new();
        let mut rows = Vec::with_capacity(clips.len());
        for clip in clips {
            let captures = pattern.as_ref().and_then(|pattern| pattern.captures(&clip.uri));
            if pattern.is_some() && captures.is_none() {
                unmatched.push(clip.uri.clone());
            }
            let group = |name| captures.as_ref().and_then(|c| c.name(name)).map(|m| m.as_str().to_owned());
            rows.push(SplitRow {
                clip_id: clip.clip_id,
                recording_id: clip
                    .recording_id
                    .clone()
                    .or_else(|| group("recording"))
                    .unwrap_or(clip.file_id.to_string()),
                fold: clip.fold.clone().or_else(|| group("fold")),
                side: Side::Train,
            });
        }
        let sides = self.sides(clips, &rows);
        for row in &mut rows {
            row.side = sides[&row.recording_id];
        }
        (rows, unmatched)
    }

    /// The side of each recording.
    fn sides(&self, clips: &[ClipRow], rows: &[SplitRow]) -> BTreeMap<String, Side> {
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
        sides
    }

    /// An error if a fold is named that no clip has: its clips would be dealt out like all others, and nobody would know.
    fn check_folds(&self, rows: &[SplitRow]) -> Result<(), StageErrorKind> {
        let there: BTreeSet<&str> = rows.iter().filter_map(|row| row.fold.as_deref()).collect();
        let Some(lost) = self.val_folds.iter().chain(&self.test_folds).find(|fold| !there.contains(fold.as_str()))
        else {
            return Ok(());
        };
        let names: Vec<_> = there.iter().map(|name| format!("`{name}`")).collect();
        let there_are =
            if names.is_empty() { "no clip has any".to_owned() } else { format!("there are {}", names.join(", ")) };
        let hint = "folds come from the group `(?<fold>…)` of `split.pattern`, or from the column `fold` of a manifest";
        Err(StageErrorKind::data(format!("no clip has the fold `{lost}`; {there_are}"), hint))
    }

    /// The side that a fold stands for, if it stands for one.
    fn given(&self, fold: &str) -> Option<Side> {
        let listed = |folds: &[String]| folds.iter().any(|f| f == fold);
        if listed(&self.test_folds) {
            Some(Side::Test)
        } else if listed(&self.val_folds) {
            Some(Side::Val)
        } else {
            Side::of_word(fold)
        }
    }

    fn rank(&self, recording: &str) -> u64 {
        KeyHasher::new("split").u64(self.seed).str(recording).finish().to_u64()
    }

    /// Of `n` ranked recordings the first `.0` are test, those up to `.1` are val. From three recordings on each side has one.
    fn cuts(&self, n: usize) -> (usize, usize) {
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

/// An error unless a classifier can be trained and judged on this split.
fn check_sides(clips: &[ClipRow], rows: &[SplitRow]) -> Result<(), StageErrorKind> {
    let mut classes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (clip, row) in clips.iter().zip(rows) {
        // Where a clip is of several classes, each must be there.
        for class in parts_there(&clip.label) {
            classes.entry(class).or_default()[row.side as usize] += 1;
        }
    }
    if classes.len() < 2 {
        let found = classes.keys().next().map_or("none".to_owned(), |class| format!("only `{class}`"));
        return Err(StageErrorKind::data(
            format!("a classifier needs clips of at least two classes, there is {found}"),
            "the first folder below the source is the class; add another class, or a folder of background noise",
        ));
    }
    let without_train: Vec<_> =
        classes.iter().filter(|(_, n)| n[0] == 0).map(|(class, _)| format!("`{class}`")).collect();
    if !without_train.is_empty() {
        return Err(StageErrorKind::data(
            format!("no train clips in class {}", without_train.join(", ")),
            "all its recordings are on the val or test side, given by their folds: add recordings, or change the folds",
        ));
    }
    for (side, word) in [(1, "val"), (2, "test")] {
        if classes.values().all(|n| n[side] == 0) {
            return Err(StageErrorKind::data(
                format!("the {word} side of the split is empty"),
                "a class needs at least three recordings (not clips of one recording) to be on every side; add recordings, \
                 or check `split.pattern`",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;

//! `split`: the side (train, val, test) of every recording, before anything is derived from it.
//!
//! All clips of a recording are on one side, and, if so asked, all of a site, a device or a day (`known`, `groups`). Recordings that are known to be copies of
//! each other are one group. Recordings are dealt out by `quota`, wider groups so that the classes are `spread`, and both, if so asked, in the order of `time`.

mod check;
mod contradictions;
mod groups;
mod known;
mod quota;
mod spread;
mod time;

pub(crate) use known::{Told, told_by};
pub(crate) use spread::{deal, wholes};

use std::collections::BTreeSet;

use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::moment::Moment;
use ecosight_datasets::tables::{ClipRow, Row, Side, SplitRow, column_digests, read_rows};
use regex::Regex;
use serde::Deserialize;

use crate::copies::{self, Pair};
use crate::error::InStage;
use crate::foresee::Foreseen;
use crate::params::{Params, Problem, parse, within};
use crate::rows::{read_before, replace};
use crate::stage::{Context, Definition, Event, Forecast, Input, KeyPart, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 3,
    about: "assign each recording, site, device or day to train, val or test",
    inputs: &["manifest"],
    parameters: Split::KEYS,
    configure: |table| Ok(Box::new(parse::<Split>(table)?)),
};

const NAME: &str = "split";

/// What is never parted over sides.
#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// A recording.
    #[default]
    Recording,
    /// All recordings of a place.
    Site,
    /// All recordings of a recorder.
    Device,
    /// All recordings of a day.
    Day,
}

impl GroupBy {
    /// Its word, which is also that of the pattern's group.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Site => "site",
            Self::Device => "device",
            Self::Day => "day",
        }
    }
}

/// How groups come to their sides.
#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Any group on any side, classes in the wanted shares.
    #[default]
    Share,
    /// The oldest on the train side, the newest on the test side.
    Time,
}

/// What becomes of recordings that are copies of each other.
#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Copies {
    /// They are one group.
    #[default]
    Join,
    /// Each goes its own way, and the audit stops where they come to different sides.
    Stop,
}

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
    /// What is never parted over sides.
    pub group_by: GroupBy,
    /// How groups come to their sides.
    pub by: By,
    /// What becomes of recordings that are copies of each other.
    pub copies: Copies,
    /// Regular expression over the path with any of the named groups `recording`, `fold`, `site`, `device`, `day` and `time`; empty: each file is a recording.
    pub pattern: String,
    /// Folds whose recordings are on the val side.
    pub val_folds: Vec<String>,
    /// Folds whose recordings are on the test side.
    pub test_folds: Vec<String>,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            train: 0.70,
            val: 0.15,
            test: 0.15,
            seed: 42,
            group_by: GroupBy::Recording,
            by: By::Share,
            copies: Copies::Join,
            pattern: String::new(),
            val_folds: Vec::new(),
            test_folds: Vec::new(),
        }
    }
}

impl Params for Split {
    const KEYS: &'static [&'static str] =
        &["train", "val", "test", "seed", "group_by", "by", "copies", "pattern", "val_folds", "test_folds"];

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
                if !self.pattern.is_empty() && !named.iter().any(|name| known::NAMES.contains(name)) {
                    let names = known::NAMES.map(|name| format!("`(?<{name}>…)`")).join(", ");
                    problems.push(Problem::new("pattern", format!("it has none of the groups {names}")));
                }
            }
        }
        if let Some(both) = self.val_folds.iter().find(|fold| self.test_folds.contains(fold)) {
            problems.push(Problem::new("val_folds", format!("fold `{both}` is in `test_folds` too")));
        }
        if self.by == By::Time && !(self.val_folds.is_empty() && self.test_folds.is_empty()) {
            problems.push(Problem::new(
                "by",
                "sides go by time or by folds, not by both: `val_folds` and `test_folds` must be empty",
            ));
        }
        problems
    }
}

impl Stage for Split {
    fn reads(&self) -> Vec<Input> {
        let mut columns = vec!["clip_id", "file_id", "label", "recording_id", "fold", "site", "device"];
        // When it was recorded, and what the file is called, matters only to those who ask.
        if self.asks_for_times() {
            columns.push("recorded_at");
        }
        if self.asks_for_times() || !self.pattern.is_empty() {
            columns.push("uri");
        }
        vec![Input::of("manifest", &columns)]
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        let pairs = self.joined_pairs(context.layout);
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        // Before the first run there is no clip.
        let clips: Vec<ClipRow> = read_before(context.layout);
        let part = |(n, digest)| KeyPart::new("copies", format!("{n} pairs, {digest}"));
        Ok(copies::digest(&pairs, &clips).map(part).into_iter().collect())
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let rows = self.assign(foreseen.clips(context.layout)?, &self.joined_pairs(context.layout)).rows;
        let counts = RowCounts::between(&read_before(context.layout), &rows, |row: &SplitRow| row.clip_id);
        let columns = Some(column_digests(&SplitRow::batch(&rows)?));
        foreseen.split = Some(rows);
        Ok(Forecast { rows: Some(counts), columns, ..Forecast::default() })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let Assigned { rows, warnings, times, joined, problem } =
            self.assign(&clips, &self.joined_pairs(context.layout));
        let unlikely = check::unlikely_times(context, &clips, &times);
        for message in warnings.into_iter().chain(unlikely) {
            context.emit(Event::Warning { stage: NAME, message });
        }
        let has_joined = joined.is_some();
        if let Some(line) = joined {
            context.emit(Event::Told { stage: NAME, line: format!("{line}; `ecosight audit leaks` lists them") });
        }
        self.check_folds(&rows).in_stage(NAME)?;
        problem.map_or(Ok(()), Err).in_stage(NAME)?;
        check::check_names(context, &clips).in_stage(NAME)?;
        self.check_sides(&clips, &rows).in_stage(NAME)?;
        let on = |side| rows.iter().filter(|row| row.side == side).count();
        let distinct = |of: fn(&SplitRow) -> &str| rows.iter().map(of).collect::<BTreeSet<_>>().len();
        let mut counts = vec![("recordings", distinct(|row| &row.recording_id))];
        if self.group_by != GroupBy::Recording || has_joined {
            counts.push(("groups", distinct(|row| &row.group_id)));
        }
        counts.extend(Side::ALL.map(|side| (side.word(), on(side))));
        context.emit(Event::counted(NAME, counts));
        replace(context.layout, &rows, |row| row.clip_id).in_stage(NAME)
    }
}

/// What became of the clips.
pub struct Assigned {
    /// One row per clip, in their order.
    pub rows: Vec<SplitRow>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// When each clip was recorded, where that was asked for.
    pub times: Vec<Option<Moment>>,
    /// The recordings that were joined because they are copies, in words.
    pub joined: Option<String>,
    /// Why recordings or groups cannot be dealt out; then all rows are on the train side.
    pub problem: Option<StageErrorKind>,
}

impl Split {
    /// The side of each clip, with `copies` of each other on one side. Pure.
    pub fn assign(&self, clips: &[ClipRow], copies: &[[ClipId; 2]]) -> Assigned {
        let known::Told { mut rows, times, mut warnings, joined, unjoined, .. } = self.tell(clips, copies);
        let sides = match self.by {
            By::Time => self.by_time(&rows, &times).map(|(sides, told)| {
                warnings.extend(told);
                sides
            }),
            By::Share => {
                let (given, told) = self.given_sides(&rows);
                let sides = self.check_sides_of_folds(&rows, &unjoined).and_then(|()| match self.group_by {
                    GroupBy::Recording => Ok(self.by_quota(clips, &rows, &given)),
                    _ => self.spread(clips, &rows, &given),
                });
                warnings.extend(told.filter(|_| sides.is_ok()));
                sides
            }
        };
        let problem = match sides {
            Ok(sides) => {
                for row in &mut rows {
                    row.side = sides[&row.group_id];
                }
                None
            }
            Err(problem) => Some(problem),
        };
        Assigned { rows, warnings, times, joined, problem }
    }

    /// The pairs of copies whose recordings are to be joined.
    fn joined_pairs(&self, layout: &Layout) -> Vec<Pair> {
        match self.copies {
            Copies::Join => copies::known(layout).into_iter().map(|row| row.clips).collect(),
            Copies::Stop => Vec::new(),
        }
    }

    fn asks_for_times(&self) -> bool {
        self.by == By::Time || self.group_by == GroupBy::Day
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;

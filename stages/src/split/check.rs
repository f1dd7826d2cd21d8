//! Whether a classifier can be trained and judged on a split.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration};
use ecosight_datasets::layout::RESERVED_CLASS;
use ecosight_datasets::moment::Moment;
use ecosight_datasets::tables::{ClipRow, SplitRow};

use super::{By, GroupBy, Split};
use crate::StageErrorKind;
use crate::labels::parts_there;
use crate::stage::Context;

/// What to say of clips that were recorded before 2000 or after tomorrow, by what their names or the manifest say: a clock was not set.
pub(super) fn unlikely_times(context: &Context<'_>, clips: &[ClipRow], times: &[Option<Moment>]) -> Option<String> {
    let now = DateTime::parse_from_rfc3339(context.started_at).ok()?.to_utc();
    let is_unlikely = |time: &Moment| time.year() < 2000 || time.is_after(now + Duration::days(1));
    let mut unlikely = clips.iter().zip(times).filter_map(|(clip, time)| Some((clip, time.filter(is_unlikely)?)));
    let (first, time) = unlikely.next()?;
    let n = unlikely.count() + 1;
    Some(format!(
        "{n} clip(s) were recorded before 2000 or after tomorrow, as far as is known (first: `{}`, {time}): the recorder's clock was probably not set, and \
         their days and order are wrong",
        first.uri
    ))
}

/// An error if a class has the name of what is no class. Where a clip may be of several classes, the name is a label that says so.
pub(super) fn check_names(context: &Context<'_>, clips: &[ClipRow]) -> Result<(), StageErrorKind> {
    let is_multi_label = context.setting("train.multi_label") == Some("true");
    let found = clips.iter().map(|clip| &clip.label).find(|label| label.eq_ignore_ascii_case(RESERVED_CLASS));
    let Some(label) = found.filter(|_| !is_multi_label) else { return Ok(()) };
    Err(StageErrorKind::data(
        format!("a class is called `{label}`, which is what answers say where no class fits"),
        "give its folder or its labels another name, such as `background`, or set `train.multi_label = true`, where this label stands for no class",
    ))
}

impl Split {
    /// An error if a fold is named that no clip has: its clips would be dealt out like all others, and nobody would know.
    pub(super) fn check_folds(&self, rows: &[SplitRow]) -> Result<(), StageErrorKind> {
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

    /// An error unless a classifier can be trained and judged on this split.
    pub(super) fn check_sides(&self, clips: &[ClipRow], rows: &[SplitRow]) -> Result<(), StageErrorKind> {
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
            let message = format!("no train clips in class {}", without_train.join(", "));
            return Err(StageErrorKind::data(message, self.hint_for_train()));
        }
        for (side, word) in [(1, "val"), (2, "test")] {
            if classes.values().all(|n| n[side] == 0) {
                return Err(StageErrorKind::data(
                    format!("the {word} side of the split is empty"),
                    self.hint_for_sides(),
                ));
            }
        }
        Ok(())
    }

    fn hint_for_train(&self) -> String {
        match (self.by, self.group_by) {
            (By::Time, _) => "it was recorded only lately: wait until there is more of it, or let sides go by share (`split.by`)".to_owned(),
            (By::Share, GroupBy::Recording) => {
                "all its recordings are on the val or test side, given by their folds: add recordings, or change the folds".to_owned()
            }
            (By::Share, group_by) => {
                let word = group_by.word();
                format!("three sides need three {word}s, and the train side needs all classes: add recordings of another {word}, or let \
                         `split.group_by` be \"recording\"")
            }
        }
    }

    fn hint_for_sides(&self) -> String {
        match self.group_by {
            GroupBy::Recording => "a class needs at least three recordings (clips of one recording, and copies, count as one) to be on every \
                                   side; add recordings, or check `split.pattern`"
                .to_owned(),
            _ => self.hint_for_train(),
        }
    }
}

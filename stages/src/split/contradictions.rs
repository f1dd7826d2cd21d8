//! Folds that part what must stay together.

use std::collections::BTreeMap;

use ecosight_datasets::tables::SplitRow;

use super::{GroupBy, Split};
use crate::StageErrorKind;

impl Split {
    /// An error if a recording, or what `group_by` keeps together, has clips in folds that stand for different sides.
    pub(super) fn check_sides_of_folds(&self, rows: &[SplitRow], unjoined: &[String]) -> Result<(), StageErrorKind> {
        let instead = "or correct what tells them (`split.pattern`, or the columns of a manifest)";
        self.check_contradictions(rows, unjoined, instead, |fold| self.given(fold))
    }

    /// An error if a recording, or what `group_by` keeps together, has clips in folds that `meaning` tells apart; folds that mean nothing contradict none.
    /// `unjoined` names the group of each clip without its copies, where any were joined; `instead` is the end of the hint.
    pub(crate) fn check_contradictions<M: PartialEq>(
        &self,
        rows: &[SplitRow],
        unjoined: &[String],
        instead: &str,
        meaning: impl Fn(&str) -> Option<M>,
    ) -> Result<(), StageErrorKind> {
        let mut first: BTreeMap<&str, (&str, M)> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let name = match self.group_by {
                GroupBy::Recording => &row.recording_id,
                _ => unjoined.get(at).unwrap_or(&row.group_id),
            };
            let Some((fold, found)) = row.fold.as_deref().and_then(|fold| Some((fold, meaning(fold)?))) else {
                continue;
            };
            match first.get(name.as_str()) {
                Some((other, meant)) if *meant != found => {
                    let word = self.group_by.word();
                    let message = format!("{word} `{name}` has clips in the folds `{other}` and `{fold}`");
                    let hint = format!("put all clips of a {word} into one fold, {instead}");
                    return Err(StageErrorKind::data(message, hint));
                }
                Some(_) => {}
                None => drop(first.insert(name, (fold, found))),
            }
        }
        Ok(())
    }
}

//! What happens to objects by themselves: those of areas that expire are removed, unfinished uploads too, and originals may move to cheaper
//! storage, never away.

use serde_json::{Value, json};

use super::Wishes;
use crate::layout::Area;

/// Days after which the parts of uploads that were never completed are removed, where nobody says otherwise.
const ABORT_AFTER_DAYS: u32 = 7;

/// A rule of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its name.
    pub(super) id: String,
    /// Keys that it is about begin with this.
    pub(super) prefix: String,
    /// What it does.
    pub(super) action: Action,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Removes objects after so many days.
    Expire(u32),
    /// Removes the parts of uploads that were never completed.
    AbortUploads(u32),
    /// Moves objects to other classes of storage after so many days.
    Move(Vec<(u32, String)>),
}

/// The rules that are wanted.
pub(super) fn rules(wishes: &Wishes) -> Vec<Rule> {
    let expiring = Area::ALL.into_iter().filter_map(|area| Some((area, area.expires_after_days()?)));
    let mut rules: Vec<Rule> = expiring
        .map(|(area, days)| Rule {
            id: wishes.name(&format!("expire-{}", area.name())),
            prefix: wishes.prefix_of(area),
            action: Action::Expire(days),
        })
        .collect();
    let own = &wishes.place.prefix;
    let prefix = if own.is_empty() { String::new() } else { format!("{own}/") };
    let action = Action::AbortUploads(wishes.abort_after_days.unwrap_or(ABORT_AFTER_DAYS));
    rules.push(Rule { id: wishes.name("abort-uploads"), prefix, action });
    let moves = moves(wishes);
    if !moves.is_empty() {
        let prefix = wishes.prefix_of(Area::ExtractedAudio);
        rules.push(Rule { id: wishes.name("move-originals"), prefix, action: Action::Move(moves) });
    }
    rules
}

/// Where originals are to move, and after how many days.
pub(super) fn moves(wishes: &Wishes) -> Vec<(u32, String)> {
    let moves = [
        (wishes.intelligent_tiering_days, "INTELLIGENT_TIERING"),
        (wishes.standard_ia_days, "STANDARD_IA"),
        (wishes.glacier_days, "GLACIER"),
    ];
    moves.into_iter().filter_map(|(days, class)| Some((days?, class.to_owned()))).collect()
}

/// Why S3 would not take these moves, where Glacier comes too soon behind another class, and when it may come.
pub(super) fn too_early(moves: &[(u32, String)]) -> Option<(String, u32)> {
    let days_of = |class: &str| moves.iter().find(|(_, found)| found == class).map(|(days, _)| *days);
    let glacier = days_of("GLACIER")?;
    let before = [("STANDARD_IA", 30), ("INTELLIGENT_TIERING", 1)];
    before.into_iter().find_map(|(class, apart)| {
        let days = days_of(class)?;
        let earliest = days + apart;
        let why = format!(
            "what moves to {class} after {days} day(s) can move to GLACIER after {earliest} at the earliest, not after {glacier}"
        );
        (glacier < earliest).then_some((why, earliest))
    })
}

/// Moves for people.
#[cfg(feature = "aws-admin")]
pub(super) fn told_moves(moves: &[(u32, String)]) -> String {
    let moves = moves.iter().map(|(days, class)| format!("to {class} after {days} day(s)"));
    moves.collect::<Vec<_>>().join(", ")
}

impl Rule {
    /// As the AWS command line takes it.
    pub(super) fn json(&self) -> Value {
        let mut rule = json!({ "ID": self.id, "Filter": { "Prefix": self.prefix }, "Status": "Enabled" });
        match &self.action {
            Action::Expire(days) => rule["Expiration"] = json!({ "Days": days }),
            Action::AbortUploads(days) => {
                rule["AbortIncompleteMultipartUpload"] = json!({ "DaysAfterInitiation": days });
            }
            Action::Move(moves) => {
                let moves = moves.iter().map(|(days, class)| json!({ "Days": days, "StorageClass": class }));
                rule["Transitions"] = moves.collect();
            }
        }
        rule
    }

    /// Its name, and what it does to which keys, for people.
    #[cfg(feature = "aws-admin")]
    pub(super) fn told(&self) -> String {
        let below = if self.prefix.is_empty() { "everywhere".to_owned() } else { format!("below `{}`", self.prefix) };
        let what = match &self.action {
            Action::Expire(days) => format!("objects go after {days} day(s)"),
            Action::AbortUploads(days) => format!("unfinished uploads go after {days} day(s)"),
            Action::Move(moves) => format!("objects move {}", told_moves(moves)),
        };
        format!("{} ({below} {what})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wishes::tests::wishes;

    #[test]
    fn only_areas_that_expire_are_ever_removed() {
        let wishes = Wishes { glacier_days: Some(90), ..wishes("clips/pre") };
        let rules = rules(&wishes);
        let removed: Vec<_> =
            rules.iter().filter(|rule| matches!(rule.action, Action::Expire(_))).map(|rule| &*rule.prefix).collect();
        assert_eq!(removed, ["pre/temp/", "pre/processed/"]);
        assert_eq!(rules[3].json()["Transitions"], json!([{ "Days": 90, "StorageClass": "GLACIER" }]));
        assert!(rules.iter().all(|rule| rule.id.starts_with("EcoSight-pre-")), "{rules:?}");
        assert!(rules.iter().all(|rule| rule.json().get("NoncurrentVersionExpiration").is_none()), "{rules:?}");
    }
}

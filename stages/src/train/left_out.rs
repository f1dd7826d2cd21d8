//! Clips that say nothing of the head because their class is in no other fold: a class with one recording.

use std::collections::{BTreeSet, HashSet};

use ecosight_datasets::tables::Unit;
use ecosight_models::head::{HeadKind, TrainConfig};

use crate::calibration::Calibration;
use crate::labels::Labels;
use crate::pooled::{Rows, Sides};
use crate::stage::Context;

/// What is known of one class on the train and val sides.
#[derive(Default)]
struct Class {
    /// Original clips.
    clips: BTreeSet<Unit>,
    /// Those that the head was not calibrated on.
    left_out: BTreeSet<Unit>,
    /// What is kept together: recordings, or sites, devices, days.
    groups: BTreeSet<u32>,
}

/// A warning for each class with clips that took no part in choosing settings and calibration.
pub(super) fn warnings(
    config: &TrainConfig,
    context: &Context<'_>,
    sides: &Sides,
    labels: &Labels,
    calibration: &Calibration,
) -> Vec<String> {
    let calibrated_on: HashSet<&Unit> = calibration.clips.units.iter().collect();
    let targets = labels.targets();
    // The last one is background, where clips can be of several classes.
    let mut classes: Vec<Class> = (0..=labels.classes.len()).map(|_| Class::default()).collect();
    let both = || originals(&sides.train).chain(originals(&sides.val));
    for (rows, row) in both() {
        for class in targets.present(rows.y[row]) {
            classes[class].clips.insert(rows.units[row]);
            classes[class].groups.insert(rows.kept[row]);
        }
    }
    for (rows, row) in both().filter(|(rows, row)| !calibrated_on.contains(&rows.units[*row])) {
        // Of several classes of a clip, the one in the fewest groups is the one that is missing elsewhere.
        let present = targets.present(rows.y[row]);
        let fewest = present.iter().map(|&class| classes[class].groups.len()).min();
        for class in present {
            if Some(classes[class].groups.len()) == fewest {
                classes[class].left_out.insert(rows.units[row]);
            }
        }
    }
    let word = context.setting("split.group_by").unwrap_or("recording");
    let background = config.background.first().map_or("none", String::as_str);
    let names = labels.classes.iter().map(String::as_str).chain([background]);
    let named = names.zip(&classes).filter(|(_, class)| !class.left_out.is_empty());
    named.map(|(name, class)| class.warning(name, config, word)).collect()
}

/// The original rows of a side.
fn originals(rows: &Rows) -> impl Iterator<Item = (&Rows, usize)> {
    (0..rows.len()).filter(|&row| rows.is_original[row]).map(move |row| (rows, row))
}

impl Class {
    fn warning(&self, name: &str, config: &TrainConfig, word: &str) -> String {
        let n = self.groups.len();
        let plural = if n == 1 { "" } else { "s" };
        let from = if word == "recording" {
            format!("has {n} recording{plural}")
        } else {
            format!("has recordings of {n} {word}{plural}")
        };
        let (all, left_out) = (self.clips.len(), self.left_out.len());
        let who = if all == left_out {
            "its clips take".to_owned()
        } else {
            format!("{left_out} of its {all} clips, whose class is in no other fold, take")
        };
        let setting = match config.head {
            HeadKind::Linear => "penalty",
            HeadKind::Mlp => "number of epochs",
        };
        let never = if config.multi_label && all == left_out {
            "; without a threshold the class is never predicted"
        } else {
            ""
        };
        format!("class `{name}` {from}: {who} no part in choosing {setting}, temperature and thresholds{never}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_tells_how_many_recordings_and_what_was_chosen_without_them() {
        let unit = |n: u32| Unit {
            clip_id: ecosight_datasets::key::ClipId::of_file(
                &ecosight_datasets::key::ContentHash::of_reader(&n.to_le_bytes()[..]).unwrap(),
            ),
            variant: 0,
        };
        let units = |n: u32| (0..n).map(unit).collect();
        let class = Class { clips: units(4), left_out: units(4), groups: [7].into() };
        let linear = TrainConfig::default();
        assert_eq!(
            class.warning("x", &linear, "recording"),
            "class `x` has 1 recording: its clips take no part in choosing penalty, temperature and thresholds"
        );
        let mlp = TrainConfig { head: HeadKind::Mlp, multi_label: true, ..linear.clone() };
        let told = class.warning("x", &mlp, "site");
        assert!(told.starts_with("class `x` has recordings of 1 site: its clips take no part"), "{told}");
        assert!(told.contains("number of epochs") && told.ends_with("the class is never predicted"), "{told}");
        let class = Class { left_out: units(3), groups: [7, 9].into(), ..class };
        let told = class.warning("x", &linear, "recording");
        assert!(told.contains("has 2 recordings: 3 of its 4 clips, whose class is in no other fold, take"), "{told}");
    }
}

//! What the labels of clips say of classes, and what models say of clips in the same words.
//!
//! A label is a class. Where clips can be of several classes (`train.multi_label`), a label is made of parts, `dog;rain`: each part is a class that is
//! there, and the others are not; a class of background stands for none of them. A part `!gunshot` says that there is no gunshot; a label of such
//! parts alone says nothing of the other classes. Where a clip is of one class, `!gunshot` is background.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, SplitRow, read_rows};
use ecosight_models::decision::{Answer, Decision, NO_CLASS, SEPARATOR};
use ecosight_models::head::{LabelSets, Targets, TrainConfig};

use crate::StageErrorKind;
use crate::stage::Context;

/// In front of a class that is not there.
const NOT: char = '!';

/// A clip as training sees it.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Its label, an index into the names of the labels.
    pub label: usize,
    /// Its recording, an index into the recordings in the order of their names.
    pub group: u32,
    /// What is never parted over sides, an index into these groups in the order of their names.
    pub kept: u32,
    /// Its side, recording and fold.
    pub split: SplitRow,
}

/// What the tables say about clips: classes and sides.
#[derive(Debug)]
pub struct Labels {
    /// Names of the classes, sorted.
    pub classes: Vec<String>,
    /// Names of the labels, sorted; where each clip is of one class, those of the classes.
    pub names: Vec<String>,
    /// What the labels say, where a clip can be of several classes.
    sets: Option<LabelSets>,
    /// Classes of background that no clip is of.
    unheard: Vec<String>,
    /// By clip.
    pub clips: HashMap<ClipId, Labelled>,
}

/// What a label says, in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    there: BTreeSet<&'a str>,
    absent: BTreeSet<&'a str>,
    /// Whether it says that nothing else is there.
    is_background: bool,
}

impl<'a> Parts<'a> {
    fn of(label: &'a str, background: &[String]) -> Self {
        let mut parts = Self::default();
        for part in label.split(SEPARATOR).map(str::trim).filter(|part| !part.is_empty()) {
            match part.strip_prefix(NOT) {
                Some(class) => drop(parts.absent.insert(class.trim())),
                None if part == NO_CLASS || background.iter().any(|class| class == part) => parts.is_background = true,
                None => drop(parts.there.insert(part)),
            }
        }
        parts
    }

    /// Whether `class` is there; none where nobody knows.
    fn answer(&self, class: &str) -> Option<bool> {
        match self.there.contains(class) {
            true => Some(true),
            false if self.absent.contains(class) || self.is_background || !self.there.is_empty() => Some(false),
            false => None,
        }
    }

    /// The label, written as every other with this meaning.
    fn name(&self, background: &[String]) -> String {
        if !self.there.is_empty() {
            return joined(self.there.iter().copied());
        }
        if self.is_background {
            return background.first().map_or(NO_CLASS, String::as_str).to_owned();
        }
        self.absent.iter().map(|class| format!("{NOT}{class}")).collect::<Vec<_>>().join(&SEPARATOR.to_string())
    }
}

/// The parts of a label that say what is there.
pub(crate) fn parts_there(label: &str) -> impl Iterator<Item = &str> {
    label.split(SEPARATOR).map(str::trim).filter(|part| !part.is_empty() && !part.starts_with(NOT))
}

fn joined<'a>(classes: impl Iterator<Item = &'a str>) -> String {
    classes.collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

impl Labels {
    /// Joins `manifest` and `split`, and reads labels as the settings say.
    pub fn read(context: &Context<'_>, settings: &TrainConfig) -> Result<Self, StageErrorKind> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest"))?;
        let split: Vec<SplitRow> = read_rows(&context.layout.table("split"))?;
        Ok(Self::join(&clips, split, settings))
    }

    /// Joins clips and sides.
    pub fn join(clips: &[ClipRow], split: Vec<SplitRow>, settings: &TrainConfig) -> Self {
        let background = &settings.background;
        // What each label means, written in one way.
        let mut meaning: BTreeMap<&str, String> = BTreeMap::new();
        for clip in clips {
            meaning.entry(&clip.label).or_insert_with(|| meant(&clip.label, settings));
        }
        let names: BTreeSet<&String> = meaning.values().collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let parts: Vec<Parts<'_>> = names.iter().map(|name| Parts::of(name, background)).collect();
        let (classes, sets) = if settings.multi_label {
            let classes: BTreeSet<&str> = parts.iter().flat_map(|parts| parts.there.iter().copied()).collect();
            let answers = parts.iter().flat_map(|parts| classes.iter().map(|class| parts.answer(class))).collect();
            let sets = (!classes.is_empty()).then(|| LabelSets::new(classes.len(), answers));
            (classes.into_iter().map(str::to_owned).collect(), sets)
        } else {
            (names.clone(), None)
        };
        let heard: BTreeSet<&str> = clips.iter().flat_map(|clip| parts_there(&clip.label)).collect();
        let unheard = background.iter().filter(|class| !heard.contains(class.as_str())).cloned().collect();
        let label: HashMap<ClipId, usize> = clips
            .iter()
            .filter_map(|clip| Some((clip.clip_id, names.binary_search(&meaning[clip.label.as_str()]).ok()?)))
            .collect();
        let numbered = |of: fn(&SplitRow) -> &str| -> HashMap<String, u32> {
            let names: BTreeSet<&str> = split.iter().map(of).collect();
            names.into_iter().map(str::to_owned).zip(0..).collect()
        };
        let groups = numbered(|row| &row.recording_id);
        let kept = numbered(|row| &row.group_id);
        let labelled = |row: SplitRow| {
            let (group, kept) = (groups[&row.recording_id], kept[&row.group_id]);
            Some((row.clip_id, Labelled { label: *label.get(&row.clip_id)?, group, kept, split: row }))
        };
        let clips = split.into_iter().filter_map(labelled).collect();
        Self { classes, names, sets, unheard, clips }
    }

    /// What a training on them aims at.
    pub fn targets(&self) -> Targets<'_> {
        self.sets.as_ref().map_or(Targets::One(self.classes.len()), Targets::Any)
    }

    /// What the labels say, where a clip can be of several classes.
    pub fn sets(&self) -> Option<&LabelSets> {
        self.sets.as_ref()
    }

    /// The classes that are there where a clip has this label.
    pub fn classes_of(&self, label: usize) -> Vec<usize> {
        match &self.sets {
            None => vec![label],
            Some(sets) => (0..sets.classes()).filter(|&class| sets.of(label)[class] == Some(true)).collect(),
        }
    }

    /// The label that says of a clip what a model answers of it: `label`, which it has, if that is right.
    pub fn said(&self, label: usize, answer: &Answer, decision: &Decision) -> String {
        let is_right = self.sets.as_ref().is_some_and(|sets| {
            let known = sets.of(label).iter().enumerate();
            known.fold(true, |right, (class, known)| right && known.is_none_or(|yes| yes == answer.contains(class)))
        });
        if is_right { self.names[label].clone() } else { decision.name(answer) }
    }

    /// The classes of which there is none among the labels `y` of rows: their clips were quarantined, or there are none.
    pub(crate) fn missing(&self, y: impl IntoIterator<Item = usize>) -> Vec<String> {
        let labels: BTreeSet<usize> = y.into_iter().collect();
        let present: BTreeSet<usize> = labels.into_iter().flat_map(|label| self.classes_of(label)).collect();
        let missing = self.classes.iter().enumerate().filter(|(class, _)| !present.contains(class));
        missing.map(|(_, name)| format!("`{name}`")).collect()
    }

    /// What is probably not meant.
    pub(crate) fn doubt(&self) -> Option<String> {
        if let Some(class) = self.unheard.first() {
            return Some(format!("no clip is of the class `{class}`, which `train.background` names"));
        }
        let several = self.sets.is_none().then(|| self.names.iter().find(|name| name.contains(SEPARATOR))).flatten()?;
        Some(format!(
            "`{several}` counts as one class; where clips can be of several, `train.multi_label = true` says so"
        ))
    }

    /// Why nothing can be trained on them.
    pub(crate) fn problem(&self) -> Option<StageErrorKind> {
        let negative = self.sets.is_none().then(|| self.names.iter().find(|name| name.starts_with(NOT))).flatten();
        if let Some(negative) = negative {
            let message = format!("the label `{negative}` says what a clip is not, but nothing says what it is");
            let hint = "name the class that such clips are of (`train.background = [\"background\"]`), or let clips be of several classes \
                        (`train.multi_label = true`)";
            return Some(StageErrorKind::data(message, hint));
        }
        (self.classes.len() < 2).then(|| {
            let message = format!("a model of {} class is asked for, and there must be two", self.classes.len());
            StageErrorKind::data(
                message,
                "with one sound to look for, leave `train.multi_label` out, and name background as a class",
            )
        })
    }
}

/// A label as all with its meaning are written.
fn meant(label: &str, settings: &TrainConfig) -> String {
    let parts = Parts::of(label, &settings.background);
    if settings.multi_label {
        return parts.name(&settings.background);
    }
    let is_negative = label.starts_with(NOT) && parts.there.is_empty() && !parts.is_background;
    match settings.background.first() {
        Some(background) if is_negative => background.clone(),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(multi_label: bool, background: &[&str]) -> TrainConfig {
        let background = background.iter().map(|&name| name.to_owned()).collect();
        TrainConfig { multi_label, background, ..TrainConfig::default() }
    }

    #[test]
    fn parts_say_what_is_there_what_is_not_and_what_nobody_knows() {
        let background = ["rain".to_owned()];
        let answers = |label: &str| {
            let parts = Parts::of(label, &background);
            (["cat", "dog", "gun"].map(|class| parts.answer(class)), parts.name(&background))
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(answers("gun; dog;"), ([no, yes, yes], "dog;gun".to_owned()));
        assert_eq!(answers("rain"), ([no; 3], "rain".to_owned()));
        assert_eq!(answers("dog;rain"), ([no, yes, no], "dog".to_owned()));
        assert_eq!(answers("!gun"), ([None, None, no], "!gun".to_owned()));
        assert_eq!(answers("dog;!gun").0, [no, yes, no]);
    }

    #[test]
    fn where_a_clip_is_of_one_class_what_it_is_not_is_background() {
        assert_eq!(meant("!gun", &settings(false, &["rain", "wind"])), "rain");
        assert_eq!(meant("!gun", &settings(false, &[])), "!gun");
        assert_eq!(meant("dog;rain", &settings(false, &["rain"])), "dog;rain");
        assert_eq!(meant("rain; dog", &settings(true, &[])), "dog;rain");
    }
}

//! From the probabilities of a clip or window to an answer: one rule for prediction, evaluation, the gate, reports and exports.
//!
//! [`Labelling::Single`], a clip is of exactly one class:
//!
//! 1. Where the `unknown` limit excludes the logits, the answer is `unknown`.
//! 2. The candidate is the most probable class, the first of equals. It is the answer if its probability reaches its threshold.
//! 3. Otherwise the answer is the fallback: the first name of `background` that is a class of the model, or `unknown` where there is none.
//!
//! [`Labelling::Multi`], a clip is of any number of classes: the answer are all classes whose probabilities reach their thresholds. There is no
//! fallback; a clip of no class is called by the first name of `background`, or `none`.
//!
//! In JSON, a threshold is a number, or `null` for a class that is never answered.

use serde::{Deserialize, Serialize};

use crate::head::{UNKNOWN, UnknownLimit, argmax};

/// Between the class names of an answer of several classes, and between the parts of a label.
pub const SEPARATOR: char = ';';

/// What a clip of no class is called where no background is named.
pub const NO_CLASS: &str = "none";

/// Threshold of classes that are answered or not each by itself, where none was chosen.
const HALF: f32 = 0.5;

/// How many classes a clip can be of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labelling {
    /// Exactly one.
    #[default]
    Single,
    /// Any number, or none.
    Multi,
}

impl Labelling {
    /// What the share of right rows is called in JSON.
    pub const fn accuracy_key(self) -> &'static str {
        match self {
            Self::Single => "accuracy",
            Self::Multi => "subset_accuracy",
        }
    }

    /// What the accuracy in which each class counts the same is called in JSON.
    pub const fn balanced_accuracy_key(self) -> &'static str {
        match self {
            Self::Single => "balanced_accuracy",
            Self::Multi => "mean_balanced_accuracy",
        }
    }

    /// What the share of right rows is called for people.
    pub const fn accuracy_name(self) -> &'static str {
        match self {
            Self::Single => "accuracy",
            Self::Multi => "subset accuracy",
        }
    }

    /// What the accuracy in which each class counts the same is called for people.
    pub const fn balanced_accuracy_name(self) -> &'static str {
        match self {
            Self::Single => "balanced accuracy",
            Self::Multi => "mean balanced accuracy",
        }
    }
}

/// The rule from probabilities to an answer; see the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// How many classes a clip can be of.
    pub labelling: Labelling,
    /// Class names in index order, `[classes]`.
    pub classes: Vec<String>,
    /// Lowest probability at which each class is answered, `[classes]`; none for a class that is never answered.
    pub thresholds: Vec<Option<f32>>,
    /// Names of sounds that are no alarm. With [`Labelling::Multi`] they are no classes of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<String>,
    /// Limit beyond which a clip is of no known class; none where it is not tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownLimit>,
}

/// What a model answers about a clip or window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Exactly this class.
    Class(usize),
    /// These classes, ascending; possibly none.
    Classes(Vec<usize>),
    /// None of the classes that the model knows.
    Unknown,
}

impl Answer {
    /// The one class that is answered; none for `unknown` and for answers of several classes.
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(*class),
            Self::Classes(_) | Self::Unknown => None,
        }
    }

    /// Whether `class` is answered.
    pub fn contains(&self, class: usize) -> bool {
        match self {
            Self::Class(answered) => *answered == class,
            Self::Classes(answered) => answered.contains(&class),
            Self::Unknown => false,
        }
    }
}

/// The class of each answer: what single-label metrics compare with the true classes.
pub fn classes_of(answers: &[Answer]) -> Vec<Option<usize>> {
    answers.iter().map(Answer::class).collect()
}

/// Whether each of `classes` classes is answered, `[n, classes]` row-major: what multi-label metrics compare with the labels.
pub fn patterns_of(answers: &[Answer], classes: usize) -> Vec<bool> {
    answers.iter().flat_map(|answer| (0..classes).map(|class| answer.contains(class))).collect()
}

impl Decision {
    /// The rule without chosen thresholds: the most probable class, or each class from a probability of a half.
    pub fn plain(labelling: Labelling, classes: &[String], background: &[String]) -> Self {
        let threshold = match labelling {
            Labelling::Single => 0.0,
            Labelling::Multi => HALF,
        };
        Self {
            labelling,
            classes: classes.to_vec(),
            thresholds: vec![Some(threshold); classes.len()],
            background: background.to_vec(),
            unknown: None,
        }
    }

    /// The answer to probabilities, `[classes]`, that were made from `logits`, `[classes]`.
    pub fn answer(&self, probabilities: &[f32], logits: &[f32]) -> Answer {
        match self.labelling {
            Labelling::Multi => {
                Answer::Classes((0..self.classes.len()).filter(|&class| self.passes(class, probabilities)).collect())
            }
            Labelling::Single if self.unknown.is_some_and(|limit| limit.excludes(logits)) => Answer::Unknown,
            Labelling::Single => {
                let best = argmax(probabilities);
                if self.passes(best, probabilities) { Answer::Class(best) } else { self.fallback() }
            }
        }
    }

    /// The answers to rows of probabilities and logits, `[n, classes]` row-major each.
    pub fn answers(&self, probabilities: &[f32], logits: &[f32]) -> Vec<Answer> {
        let width = self.classes.len();
        let rows = probabilities.chunks_exact(width).zip(logits.chunks_exact(width));
        rows.map(|(probabilities, logits)| self.answer(probabilities, logits)).collect()
    }

    /// The answer where the most probable class does not reach its threshold.
    pub fn fallback(&self) -> Answer {
        let index = |name: &String| self.classes.iter().position(|class| class == name);
        self.background.iter().find_map(index).map_or(Answer::Unknown, Answer::Class)
    }

    /// The answer for people: a class, classes with `;` between them, the background or `none` of no class, or `unknown`.
    pub fn name(&self, answer: &Answer) -> String {
        match answer {
            Answer::Unknown => UNKNOWN.to_owned(),
            Answer::Class(class) => self.classes[*class].clone(),
            Answer::Classes(classes) if classes.is_empty() => {
                self.background.first().map_or(NO_CLASS, String::as_str).to_owned()
            }
            Answer::Classes(classes) => {
                let names: Vec<&str> = classes.iter().map(|&class| self.classes[class].as_str()).collect();
                names.join(&SEPARATOR.to_string())
            }
        }
    }

    /// The class that an answer raises an alarm for: one that is no background, of several the most probable one. `unknown` raises none.
    pub fn alarm(&self, answer: &Answer, probabilities: &[f32]) -> Option<usize> {
        let is_alarm = |class: &usize| !self.is_background(*class);
        match answer {
            Answer::Unknown => None,
            Answer::Class(class) => Some(*class).filter(is_alarm),
            Answer::Classes(classes) => {
                let alarms = classes.iter().copied().filter(is_alarm);
                alarms.reduce(|best, class| if probabilities[class] > probabilities[best] { class } else { best })
            }
        }
    }

    /// Whether `class` is background.
    pub fn is_background(&self, class: usize) -> bool {
        self.background.contains(&self.classes[class])
    }

    /// Whether some clip could be answered `unknown`.
    pub fn can_be_unknown(&self) -> bool {
        let always_passes = |threshold: &Option<f32>| threshold.is_some_and(|threshold| threshold <= 0.0);
        let can_fall_back = !self.thresholds.iter().all(always_passes) && self.fallback() == Answer::Unknown;
        self.labelling == Labelling::Single && (self.unknown.is_some() || can_fall_back)
    }

    /// What contradicts itself, in words; none for a rule that can be applied.
    pub fn problem(&self) -> Option<String> {
        if self.thresholds.len() != self.classes.len() {
            return Some("`thresholds` are not one for each of `classes`".to_owned());
        }
        if self.thresholds.iter().flatten().any(|threshold| !threshold.is_finite()) {
            return Some("a threshold is not a finite number".to_owned());
        }
        if self.labelling == Labelling::Multi && self.unknown.is_some() {
            return Some("`unknown` is for clips of exactly one class".to_owned());
        }
        let is_ambiguous = self.can_be_unknown() && self.classes.iter().any(|class| class == UNKNOWN);
        is_ambiguous.then(|| format!("clips can be answered `{UNKNOWN}`, which is also a class"))
    }

    /// Whether a class reaches its threshold.
    fn passes(&self, class: usize, probabilities: &[f32]) -> bool {
        self.thresholds[class].is_some_and(|threshold| probabilities[class] >= threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn single(thresholds: [Option<f32>; 3], background: &[&str]) -> Decision {
        let plain = Decision::plain(Labelling::Single, &names(&["dog", "gun", "rain"]), &names(background));
        Decision { thresholds: thresholds.to_vec(), ..plain }
    }

    fn said(decision: &Decision, probabilities: [f32; 3]) -> String {
        decision.name(&decision.answer(&probabilities, &probabilities.map(f32::ln)))
    }

    #[test]
    fn without_thresholds_the_first_of_the_most_probable_classes_is_the_answer() {
        let plain = Decision::plain(Labelling::Single, &names(&["dog", "gun", "rain"]), &names(&["rain"]));
        assert_eq!(said(&plain, [0.2, 0.5, 0.3]), "gun");
        assert_eq!(said(&plain, [0.5, 0.5, 0.0]), "dog");
        assert_eq!(said(&plain, [0.0, 0.0, 0.0]), "dog");
        assert!(!plain.can_be_unknown());
    }

    #[test]
    fn below_the_threshold_of_the_most_probable_class_the_answer_is_the_background_or_unknown() {
        let thresholds = [Some(0.6), None, Some(0.0)];
        let with = single(thresholds, &["wind", "rain"]);
        let without = single(thresholds, &["wind"]);
        for (probabilities, expected) in [
            ([0.6, 0.4, 0.0], ["dog", "dog"]),
            ([0.59, 0.41, 0.0], ["rain", "unknown"]),
            ([0.0, 1.0, 0.0], ["rain", "unknown"]),
            ([0.3, 0.3, 0.4], ["rain", "rain"]),
        ] {
            assert_eq!([said(&with, probabilities), said(&without, probabilities)], expected, "{probabilities:?}");
        }
        assert!(!with.can_be_unknown() && without.can_be_unknown());
    }

    #[test]
    fn what_the_limit_excludes_is_unknown_whatever_the_thresholds() {
        let limit = Some(UnknownLimit::Probability(0.55));
        let decision = Decision { unknown: limit, ..single([Some(0.0); 3], &["rain"]) };
        assert_eq!(said(&decision, [0.5, 0.25, 0.25]), "unknown");
        assert_eq!(said(&decision, [0.6, 0.2, 0.2]), "dog");
        assert!(decision.can_be_unknown());
    }

    #[test]
    fn of_several_classes_all_that_reach_their_thresholds_are_answered() {
        let plain = Decision::plain(Labelling::Multi, &names(&["dog", "gun", "owl"]), &names(&["rain"]));
        let decision = Decision { thresholds: vec![Some(0.25), None, Some(0.5)], ..plain };
        assert_eq!(said(&decision, [0.3, 1.0, 0.5]), "dog;owl");
        assert_eq!(said(&decision, [0.2, 1.0, 0.4]), "rain");
        let bare = Decision { background: Vec::new(), ..decision.clone() };
        assert_eq!(said(&bare, [0.2, 1.0, 0.4]), "none");
        let answers = decision.answers(&[0.3, 1.0, 0.5, 0.2, 1.0, 0.4], &[0.0; 6]);
        assert_eq!(patterns_of(&answers, 3), [true, false, true, false, false, false]);
    }

    #[test]
    fn background_and_unknown_raise_no_alarm() {
        let decision = single([Some(0.6), Some(0.0), Some(0.0)], &["rain"]);
        let alarm =
            |probabilities: [f32; 3]| decision.alarm(&decision.answer(&probabilities, &[0.0; 3]), &probabilities);
        assert_eq!(alarm([0.2, 0.5, 0.3]), Some(1));
        assert_eq!((alarm([0.1, 0.2, 0.7]), alarm([0.5, 0.3, 0.2])), (None, None));
        assert_eq!(decision.alarm(&Answer::Unknown, &[1.0; 3]), None);
        let several = Decision::plain(Labelling::Multi, &names(&["dog", "gun"]), &[]);
        assert_eq!(several.alarm(&Answer::Classes(vec![0, 1]), &[0.6, 0.8]), Some(1));
        assert_eq!(several.alarm(&Answer::Classes(Vec::new()), &[0.6, 0.8]), None);
    }

    #[test]
    fn a_class_that_is_never_answered_is_null_in_json() {
        let decision = single([Some(0.5), None, Some(0.0)], &["rain"]);
        let json = serde_json::to_string(&decision).unwrap();
        let expected = r#"{"labelling":"single","classes":["dog","gun","rain"],"thresholds":[0.5,null,0.0],"background":["rain"]}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
    }

    #[test]
    fn rules_that_cannot_be_applied_are_named() {
        let good = single([Some(0.5); 3], &[]);
        assert_eq!(good.problem(), None);
        let short = Decision { thresholds: vec![None], ..good.clone() };
        assert!(short.problem().unwrap().contains("not one for each"));
        let infinite = Decision { thresholds: vec![Some(f32::INFINITY); 3], ..good.clone() };
        assert!(infinite.problem().unwrap().contains("finite"));
        let ambiguous = Decision { classes: names(&["dog", "gun", "unknown"]), ..good };
        assert!(ambiguous.problem().unwrap().contains("also a class"));
    }
}

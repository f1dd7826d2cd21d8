//! What the label of a row says of each class, and what that makes of logits.

use super::score::{argmax, softmax};

/// What a head makes of its logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// Probabilities of classes of which exactly one is right; they sum to 1.
    Softmax,
    /// Probabilities of classes that are right or wrong each by itself.
    Sigmoid,
}

impl Scores {
    /// Turns a row of logits into probabilities, in place.
    pub fn apply(self, row: &mut [f64]) {
        match self {
            Self::Softmax => {
                softmax(row);
            }
            Self::Sigmoid => row.iter_mut().for_each(|value| *value = sigmoid(*value)),
        }
    }
}

/// What each of several labels says of each class: it is there, it is not, or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSets {
    classes: usize,
    /// `[labels, classes]`.
    answers: Vec<Option<bool>>,
}

impl LabelSets {
    /// Takes `[labels, classes]` answers, row-major.
    ///
    /// # Panics
    ///
    /// When the answers are not whole rows.
    pub fn new(classes: usize, answers: Vec<Option<bool>>) -> Self {
        assert!(classes > 0 && answers.len().is_multiple_of(classes), "there is an answer for each label and class");
        Self { classes, answers }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.answers.len() / self.classes
    }

    /// What `label` says of each class, `[classes]`.
    pub fn of(&self, label: usize) -> &[Option<bool>] {
        &self.answers[label * self.classes..(label + 1) * self.classes]
    }
}

/// What a training aims at; the `y` of its examples are labels of these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Targets<'a> {
    /// A row is of one of so many classes; label `i` is class `i`.
    One(usize),
    /// A row is of any number of classes, or of none.
    Any(&'a LabelSets),
}

impl From<usize> for Targets<'_> {
    fn from(classes: usize) -> Self {
        Self::One(classes)
    }
}

impl Targets<'_> {
    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::One(classes) => classes,
            Self::Any(sets) => sets.classes,
        }
    }

    /// Number of labels.
    pub fn labels(self) -> usize {
        match self {
            Self::One(classes) => classes,
            Self::Any(sets) => sets.labels(),
        }
    }

    /// The classes that `label` says are there. A label that says of every class that it is not there stands for a class of its own, background,
    /// whose index is [`classes`](Self::classes).
    pub fn present(self, label: usize) -> Vec<usize> {
        match self {
            Self::One(_) => vec![label],
            Self::Any(sets) => {
                let answers = sets.of(label);
                if answers.iter().all(|answer| *answer == Some(false)) {
                    return vec![sets.classes];
                }
                (0..sets.classes).filter(|&class| answers[class] == Some(true)).collect()
            }
        }
    }

    /// What a head for them makes of its logits.
    pub fn scores(self) -> Scores {
        match self {
            Self::One(_) => Scores::Softmax,
            Self::Any(_) => Scores::Sigmoid,
        }
    }

    /// Whether a row of logits is right: the highest is that of its class, or each is on its side of 0.
    pub(super) fn is_right(self, logits: &[f64], label: usize) -> bool {
        match self {
            Self::One(_) => argmax(logits) == label,
            Self::Any(sets) => {
                logits.iter().zip(sets.of(label)).all(|(&z, answer)| answer.is_none_or(|yes| yes == (z > 0.0)))
            }
        }
    }

    /// Turns a row of logits into probabilities, in place; returns the cross-entropy, nats. Of several classes it is the sum, and what nobody
    /// knows costs nothing.
    pub(super) fn cross_entropy(self, row: &mut [f64], label: usize) -> f64 {
        match self {
            Self::One(_) => {
                let logit = row[label];
                softmax(row) - logit
            }
            Self::Any(sets) => {
                let mut loss = 0.0;
                for (value, answer) in row.iter_mut().zip(sets.of(label)) {
                    if let Some(yes) = *answer {
                        // −ln σ(±z), stable for large z.
                        let z = if yes { *value } else { -*value };
                        loss += (-z.abs()).exp().ln_1p() - z.min(0.0);
                    }
                    *value = sigmoid(*value);
                }
                loss
            }
        }
    }

    /// Turns a row of probabilities into the slope of the cross-entropy over the logits, in place.
    pub(super) fn slope(self, row: &mut [f64], label: usize) {
        match self {
            Self::One(_) => row[label] -= 1.0,
            Self::Any(sets) => {
                for (value, answer) in row.iter_mut().zip(sets.of(label)) {
                    *value = answer.map_or(0.0, |yes| *value - f64::from(u8::from(yes)));
                }
            }
        }
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_classes_cost_what_each_costs_and_what_nobody_knows_is_free() {
        let sets = LabelSets::new(3, vec![Some(true), Some(false), None, None, None, None]);
        let targets = Targets::Any(&sets);
        let mut row = [2.0, -1.0, 50.0];
        assert!(targets.is_right(&row, 0) && !targets.is_right(&[2.0, 1.0, 0.0], 0));
        let loss = targets.cross_entropy(&mut row, 0);
        assert!((loss - ((-2.0_f64).exp().ln_1p() + (-1.0_f64).exp().ln_1p())).abs() < 1e-12, "{loss}");
        targets.slope(&mut row, 0);
        assert!((row[0] + 1.0 / (1.0 + 2.0_f64.exp())).abs() < 1e-12 && row[2] == 0.0, "{row:?}");
        let mut row = [2.0, -1.0, 50.0];
        assert!(targets.cross_entropy(&mut row, 1).abs() < 1e-300);
    }

    #[test]
    fn huge_logits_stay_finite() {
        let sets = LabelSets::new(2, vec![Some(true), Some(false)]);
        let mut row = [-1e30, 1e30];
        assert!((Targets::Any(&sets).cross_entropy(&mut row, 0) - 2e30).abs() < 1e15);
        assert_eq!(row.map(f64::to_bits), [0.0, 1.0].map(f64::to_bits));
    }
}

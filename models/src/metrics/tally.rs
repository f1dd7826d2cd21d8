//! Counts of true and predicted classes, and the ratios between them.

/// What the confusion matrix says of each class: its diagonal and the sums of its rows and columns, `[classes]` each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    /// Rows of the class that are predicted as it.
    hits: Vec<u64>,
    /// Rows of the class.
    support: Vec<u64>,
    /// Rows predicted as the class.
    predicted: Vec<u64>,
}

impl Tally {
    pub(super) fn new(classes: usize) -> Self {
        Self { hits: vec![0; classes], support: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Counts `rows` rows of class `truth` that are predicted as `predicted`, or as no class.
    pub(super) fn add(&mut self, truth: usize, predicted: Option<usize>, rows: u64) {
        self.support[truth] += rows;
        let Some(predicted) = predicted else { return };
        self.predicted[predicted] += rows;
        if truth == predicted {
            self.hits[truth] += rows;
        }
    }

    fn classes(&self) -> std::ops::Range<usize> {
        0..self.support.len()
    }

    fn rows(&self) -> u64 {
        self.support.iter().sum()
    }

    pub(super) fn support(&self, class: usize) -> u64 {
        self.support[class]
    }

    pub(super) fn predicted(&self, class: usize) -> u64 {
        self.predicted[class]
    }

    pub(super) fn precision(&self, class: usize) -> f64 {
        ratio(self.hits[class], self.predicted[class])
    }

    pub(super) fn recall(&self, class: usize) -> f64 {
        ratio(self.hits[class], self.support[class])
    }

    pub(super) fn f1(&self, class: usize) -> f64 {
        ratio(2 * self.hits[class], self.support[class] + self.predicted[class])
    }

    pub(super) fn accuracy(&self) -> f64 {
        ratio(self.hits.iter().sum(), self.rows())
    }

    /// Mean recall over the classes that have rows.
    pub(super) fn balanced_accuracy(&self) -> f64 {
        mean(self.classes().filter(|&class| self.support[class] > 0).map(|class| self.recall(class)))
    }

    /// Mean F1 over the classes that are true or predicted somewhere.
    pub(super) fn macro_f1(&self) -> f64 {
        let occurs = |&class: &usize| self.support[class] + self.predicted[class] > 0;
        mean(self.classes().filter(occurs).map(|class| self.f1(class)))
    }

    /// Mean F1 over the rows, each counting with the F1 of its class.
    pub(super) fn weighted_f1(&self) -> f64 {
        self.classes().map(|class| self.support[class] as f64 * self.f1(class)).sum::<f64>() / self.rows() as f64
    }
}

/// `part / whole`, and 0 of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The mean of at least one value.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

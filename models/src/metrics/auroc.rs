//! Area under the ROC curve of one class.

use super::Ranking;

impl Ranking {
    /// Probability that a positive row scores above a negative one, ties counting half (scikit-learn `roc_auc_score`).
    ///
    /// The statistic of Mann and Whitney, counted in integers. None unless there are rows of both kinds.
    pub fn auroc(&self) -> Option<f64> {
        let (positives, negatives) = (u64::from(self.positives()), u64::from(self.negatives()));
        let (mut hits, mut alarms, mut twice) = (0, 0, 0);
        for step in &self.steps {
            let tied = u64::from(step.alarms) - alarms;
            alarms = u64::from(step.alarms);
            twice += (u64::from(step.hits) - hits) * (2 * (negatives - alarms) + tied);
            hits = u64::from(step.hits);
        }
        let pairs = positives * negatives;
        (pairs > 0).then(|| twice as f64 / (2.0 * pairs as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        let auroc = |scored: &[(f32, bool)]| Ranking::new(scored.to_vec()).auroc();
        assert_eq!(auroc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auroc(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), Some(0.75));
        assert_eq!(auroc(&[(0.5, true), (0.2, true)]), None);
        assert_eq!(auroc(&[]), None);
    }
}

//! Softmax, cross-entropy and the share of rows that are right, in `f64`.

use super::targets::Targets;

/// Loss and accuracy of a set of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Mean cross-entropy, nats.
    pub(super) loss: f64,
    /// Share of rows that are right.
    pub(super) accuracy: f64,
}

/// Turns a row of logits into probabilities in place; returns log Σ exp, so that `logit − it` is a log-probability.
pub fn softmax(row: &mut [f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - max).exp();
        sum += *value;
    }
    for value in row.iter_mut() {
        *value /= sum;
    }
    max + sum.ln()
}

/// Index of the largest value, the first of equals.
pub(crate) fn argmax<T: PartialOrd + Copy>(row: &[T]) -> usize {
    let mut best = 0;
    for (index, &value) in row.iter().enumerate().skip(1) {
        if value > row[best] {
            best = index;
        }
    }
    best
}

/// Scores logits, `[n, classes]` row-major, against the labels of the rows.
pub(super) fn score(logits: &[f32], labels: &[usize], targets: Targets<'_>) -> Score {
    let (mut loss, mut right) = (0.0, 0_usize);
    for (row, &label) in logits.chunks_exact(targets.classes()).zip(labels) {
        let mut row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        right += usize::from(targets.is_right(&row, label));
        loss += targets.cross_entropy(&mut row, label);
    }
    let n = labels.len() as f64;
    Score { loss: loss / n, accuracy: right as f64 / n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_number_of_classes() {
        let score = score(&[7.0; 8], &[0, 3], Targets::One(4));
        assert!((score.loss - 4.0_f64.ln()).abs() < 1e-12);
        assert!((score.accuracy - 0.5).abs() < 1e-12);
    }

    #[test]
    fn huge_logits_stay_finite() {
        let mut row = [1e30, -1e30, 1e30];
        assert!(softmax(&mut row).is_finite());
        assert_eq!(row.map(f64::to_bits), [0.5, 0.0, 0.5].map(f64::to_bits));
    }
}

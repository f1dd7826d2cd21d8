//! Mean surprise at the true classes.

/// Mean `−ln p` of the true class of each row in nats (scikit-learn `log_loss`), of rows that were checked.
///
/// Probabilities are taken as at least ε and at most 1 − ε with the ε of `f32`, 1.19e-7, as scikit-learn does with this
/// type: one row that is wrong for certain costs 15.9 and not infinity.
pub(super) fn log_loss(probabilities: &[f32], truth: &[usize], classes: usize) -> f64 {
    let epsilon = f64::from(f32::EPSILON);
    let cost = |(row, &class): (&[f32], &usize)| -f64::from(row[class]).clamp(epsilon, 1.0 - epsilon).ln();
    probabilities.chunks_exact(classes).zip(truth).map(cost).sum::<f64>() / truth.len() as f64
}

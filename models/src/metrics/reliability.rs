//! Whether rows with a probability of 0.8 are right four times out of five.

use serde::{Deserialize, Serialize};

use super::{MetricsError, check};
use crate::head::argmax;

/// Bins of the expected calibration error, as in Guo et al. 2017.
pub const BINS: usize = 15;

/// Rows with similar confidence, for a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    /// Mean probability of its rows.
    pub confidence: f64,
    /// Share of its rows that are right.
    pub accuracy: f64,
    /// Number of its rows.
    pub count: u64,
}

/// Reliability of the most probable class of each row; `probabilities` is `[n, classes]` row-major, `truth` `[n]`.
///
/// `bins` of equal width, each without its lower end (`(k/bins, (k+1)/bins]`); empty ones are left out.
pub fn reliability(
    probabilities: &[f32],
    truth: &[usize],
    classes: usize,
    bins: usize,
) -> Result<Vec<ReliabilityBin>, MetricsError> {
    check::rows(probabilities, truth, classes)?;
    Ok(top_reliability(probabilities, truth, classes, bins))
}

/// Reliability of one class where a row can be of several: its probability in each row, and whether the row is of it.
pub fn reliability_of(probabilities: &[f32], truth: &[bool], bins: usize) -> Result<Vec<ReliabilityBin>, MetricsError> {
    check::shape(probabilities, truth.len(), 1)?;
    check::finite(probabilities, 1)?;
    Ok(binned(probabilities.iter().copied().zip(truth.iter().copied()), bins))
}

/// Expected calibration error: mean `|accuracy − confidence|` of the bins, each counting with its rows (Naeini, Cooper and
/// Hauskrecht 2015; Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3). 0 without bins.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let rows: u64 = bins.iter().map(|bin| bin.count).sum();
    bins.iter().map(|bin| bin.count as f64 / rows as f64 * (bin.accuracy - bin.confidence).abs()).sum()
}

/// [`reliability`] of rows that were checked.
pub(super) fn top_reliability(
    probabilities: &[f32],
    truth: &[usize],
    classes: usize,
    bins: usize,
) -> Vec<ReliabilityBin> {
    let top = |(row, &class): (&[f32], &usize)| {
        let predicted = argmax(row);
        (row[predicted], predicted == class)
    };
    binned(probabilities.chunks_exact(classes).zip(truth).map(top), bins)
}

fn binned(scored: impl Iterator<Item = (f32, bool)>, bins: usize) -> Vec<ReliabilityBin> {
    let bins = bins.max(1);
    let mut sums = vec![(0.0, 0_u64, 0_u64); bins];
    for (probability, right) in scored {
        let probability = f64::from(probability);
        let bin = ((probability * bins as f64).ceil() - 1.0).clamp(0.0, bins as f64 - 1.0);
        let (confidence, hits, count) = &mut sums[bin as usize];
        *confidence += probability;
        *hits += u64::from(right);
        *count += 1;
    }
    sums.into_iter()
        .filter(|&(_, _, count)| count > 0)
        .map(|(confidence, hits, count)| ReliabilityBin {
            confidence: confidence / count as f64,
            accuracy: hits as f64 / count as f64,
            count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_holds_its_upper_end() {
        let bins = reliability_of(&[0.0, 0.5, 0.500_001, 1.0], &[false, true, false, true], 2).unwrap();
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 2]);
        assert_eq!((bins[0].confidence, bins[0].accuracy), (0.25, 0.5));
        assert!((expected_calibration_error(&bins) - 0.25).abs() < 1e-6);
    }

    #[test]
    fn empty_bins_are_left_out() {
        let bins = reliability(&[0.9, 0.1, 0.05, 0.95], &[0, 0], 2, BINS).unwrap();
        assert_eq!(bins.len(), 2);
        assert_eq!(bins.iter().map(|bin| bin.accuracy).collect::<Vec<_>>(), [1.0, 0.0]);
        assert_eq!(reliability(&[], &[], 2, BINS), Err(MetricsError::NoRows));
        assert!(expected_calibration_error(&[]).abs() < 1e-12);
    }
}

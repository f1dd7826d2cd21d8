//! What a bootstrap draws as a whole, and how far a figure at the edge can be trusted.

use std::collections::HashSet;

use super::proportion::clopper_pearson_edge;
use super::{MetricsError, check};

/// Clusters below which an interval says less than it seems to.
pub const FEW_CLUSTERS: u64 = 5;

/// Which rows are drawn together: those of one recording or, where the split keeps more together, of one site, device or day.
#[derive(Debug, Clone, Copy)]
pub struct Clusters<'a> {
    /// Cluster of each row, `[n]`, as any number.
    pub of_rows: &'a [u32],
    /// What a cluster is, as one word: `recording`, `site`.
    pub unit: &'a str,
}

impl Clusters<'_> {
    pub(super) fn check(&self, rows: usize) -> Result<(), MetricsError> {
        check::length("clusters", self.of_rows.len(), rows)
    }

    /// Number of distinct clusters of the rows for which `is_in` holds.
    pub(super) fn count(&self, is_in: impl Fn(usize) -> bool) -> u64 {
        let of = self.of_rows.iter().enumerate();
        of.filter(|(row, _)| is_in(*row)).map(|(_, cluster)| cluster).collect::<HashSet<_>>().len() as u64
    }

    /// A number of clusters in words: `4 sites`.
    pub(super) fn words(unit: &str, clusters: u64) -> String {
        if clusters == 1 { format!("1 {unit}") } else { format!("{clusters} {unit}s") }
    }

    /// By how many clusters intervals are, in words: `by 36 recordings`, `by 4 sites: too few to rely on`.
    pub(super) fn by(unit: &str, clusters: u64) -> String {
        let few = if clusters < FEW_CLUSTERS { ": too few to rely on" } else { "" };
        format!("by {}{few}", Self::words(unit, clusters))
    }
}

/// The lower end of each figure that is 1 in every resample, where resampling says nothing: accuracy, balanced accuracy, macro F1, then the recall of
/// each class. Where a figure is 0 in every resample, its upper end is one less this.
///
/// Each share takes its clusters as trials ([`clopper_pearson_edge`]): all of them for the accuracy, those of the class for its recall. Means over classes
/// have the mean of the ends. `positives` are the clusters with rows of each class, `negatives` those with rows that are not of it, where the balanced
/// accuracy has the specificity in it.
pub(super) fn edges(all: u64, positives: &[u64], negatives: Option<&[u64]>) -> Vec<f64> {
    let mean = |ends: Vec<f64>| if ends.is_empty() { 0.0 } else { ends.iter().sum::<f64>() / ends.len() as f64 };
    let recalls: Vec<f64> = positives.iter().map(|&clusters| clopper_pearson_edge(clusters)).collect();
    let present = |class: &usize| positives[*class] > 0;
    let over_recalls = mean((0..positives.len()).filter(present).map(|class| recalls[class]).collect());
    let balanced = negatives.map_or(over_recalls, |negatives| {
        let both = (0..positives.len()).filter(present).filter(|&class| negatives[class] > 0);
        mean(both.map(|class| f64::midpoint(recalls[class], clopper_pearson_edge(negatives[class]))).collect())
    });
    [clopper_pearson_edge(all), balanced, over_recalls].into_iter().chain(recalls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_classes_have_the_mean_of_the_ends() {
        // 0.025^(1/n) of 13, 9, 4 trials
        let found = edges(13, &[9, 4, 0], None);
        let expected = [0.752_947_0, 0.530_684_1, 0.530_684_1, 0.663_732_9, 0.397_635_4, 0.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        let found = edges(13, &[9, 4, 0], Some(&[4, 0, 9]));
        assert!((found[1] - 0.530_684_1).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn few_clusters_are_called_few() {
        assert_eq!(Clusters::by("recording", 36), "by 36 recordings");
        assert_eq!(Clusters::by("site", 4), "by 4 sites: too few to rely on");
        assert_eq!(Clusters { of_rows: &[7, 7, 3, 9], unit: "day" }.count(|row| row < 3), 2);
    }
}

//! The same metrics for parts of the rows: by source, by site, by length, by noise.

use std::collections::BTreeMap;

use super::{Metrics, MetricsError, check};

/// Rows below which a slice says too little to be shown.
pub const MIN_ROWS: usize = 5;

/// Edges of bands of durations, s.
pub const DURATION_EDGES_S: [f64; 5] = [1.0, 3.0, 5.0, 10.0, 30.0];

/// Edges of bands of signal-to-noise ratios, dB.
pub const SNR_EDGES_DB: [f64; 4] = [0.0, 10.0, 20.0, 30.0];

/// A band of values; bands sort from low to high.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Band {
    /// Number of edges at or below its values.
    index: usize,
    /// What it holds, in words.
    label: String,
}

impl std::fmt::Display for Band {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

/// The band of each value, `[n]`, between ascending `edges`; a value on an edge is in the band above. None for what is none
/// or NaN.
pub fn bucketed(values: &[Option<f64>], edges: &[f64], unit: &str) -> Vec<Option<Band>> {
    let band = |value: f64| {
        let index = edges.partition_point(|&edge| edge <= value);
        let label = match (index.checked_sub(1).map(|below| edges[below]), edges.get(index)) {
            (None, None) => "all".to_owned(),
            (None, Some(high)) => format!("below {high} {unit}"),
            (Some(low), Some(high)) => format!("{low} to {high} {unit}"),
            (Some(low), None) => format!("{low} {unit} and more"),
        };
        Band { index, label }
    };
    values.iter().map(|value| value.filter(|value| !value.is_nan()).map(band)).collect()
}

/// Metrics of the rows of each value, in the order of the values; slices below [`MIN_ROWS`] rows are left out.
///
/// `values`, `[n]`, says to which slice each row of `probabilities` (`[n, classes]` row-major) and `truth` (`[n]`) belongs;
/// rows with none belong to no slice.
pub fn by_slice<S: Ord + Clone>(
    values: &[Option<S>],
    probabilities: &[f32],
    truth: &[usize],
    classes: &[String],
) -> Result<Vec<(S, Metrics)>, MetricsError> {
    check::rows(probabilities, truth, classes.len())?;
    check::length("values of slices", values.len(), truth.len())?;
    let mut slices: BTreeMap<&S, Vec<usize>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value {
            slices.entry(value).or_default().push(row);
        }
    }
    let width = classes.len();
    slices
        .into_iter()
        .filter(|(_, rows)| rows.len() >= MIN_ROWS)
        .map(|(value, rows)| {
            let p: Vec<f32> =
                rows.iter().flat_map(|row| &probabilities[row * width..(row + 1) * width]).copied().collect();
            let truth: Vec<usize> = rows.iter().map(|&row| truth[row]).collect();
            Ok((value.clone(), Metrics::compute(&p, &truth, classes)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_named_and_sorted_by_their_values() {
        let values = [Some(0.5), Some(10.0), None, Some(f64::NAN), Some(1.0), Some(99.0)];
        let bands = bucketed(&values, &[1.0, 5.0, 10.0, 30.0], "s");
        let labels: Vec<Option<String>> = bands.iter().map(|band| band.as_ref().map(ToString::to_string)).collect();
        let expected = [Some("below 1 s"), Some("10 to 30 s"), None, None, Some("1 to 5 s"), Some("30 s and more")];
        assert_eq!(labels, expected.map(|label| label.map(str::to_owned)));
        assert!(bands[0] < bands[4] && bands[4] < bands[1] && bands[1] < bands[5]);
        assert_eq!(bucketed(&[Some(-3.0)], &SNR_EDGES_DB, "dB")[0].as_ref().unwrap().to_string(), "below 0 dB");
    }

    #[test]
    fn each_slice_has_the_metrics_of_its_own_rows() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let site = |name: &str| Some(name.to_owned());
        let mut values = vec![site("river"); 5];
        values.extend(vec![site("hill"); 6]);
        values.extend(vec![site("once"); 4]);
        values.push(None);
        let p = [0.9, 0.1].repeat(16);
        let truth = [vec![0; 5], vec![1; 6], vec![0; 5]].concat();
        let found = by_slice(&values, &p, &truth, &classes).unwrap();
        let figures: Vec<(&str, u64, f64)> = found.iter().map(|(site, m)| (site.as_str(), m.n, m.accuracy)).collect();
        assert_eq!(figures, [("hill", 6, 0.0), ("river", 5, 1.0)]);
        assert_eq!(
            by_slice(&values[1..], &p, &truth, &classes),
            Err(MetricsError::Length { what: "values of slices", found: 15, expected: 16 })
        );
    }
}

//! Parts of the rows that have something in common: by source, by site, by length, by noise.

use std::collections::BTreeMap;

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

impl Band {
    /// Number of edges at or below its values: its place among the bands.
    pub fn index(&self) -> usize {
        self.index
    }
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

/// The rows of each value, in the order of the values; `values` says to which slice each row belongs. Slices below [`MIN_ROWS`] rows are left out, and
/// rows with none belong to no slice.
pub fn rows_of_slices<S: Ord + Clone>(values: &[Option<S>]) -> Vec<(S, Vec<usize>)> {
    let mut slices: BTreeMap<&S, Vec<usize>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value {
            slices.entry(value).or_default().push(row);
        }
    }
    let large = slices.into_iter().filter(|(_, rows)| rows.len() >= MIN_ROWS);
    large.map(|(value, rows)| (value.clone(), rows)).collect()
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
    fn each_slice_has_its_own_rows_and_small_ones_are_left_out() {
        let site = |name: &str| Some(name.to_owned());
        let mut values = vec![site("river"); 5];
        values.extend(vec![site("hill"); 6]);
        values.extend(vec![site("once"); 4]);
        values.push(None);
        let found = rows_of_slices(&values);
        assert_eq!(found, [("hill".to_owned(), (5..11).collect()), ("river".to_owned(), (0..5).collect::<Vec<_>>())]);
    }
}

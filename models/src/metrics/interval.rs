//! Where a figure lies with 95 % confidence.

use serde::{Deserialize, Serialize};

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Of a share, given its values in at least one resample: percentiles, but where it is 1 (or 0) in all of them, from `edge` to 1 (or from 0 to
    /// `1 − edge`): what never varied among the rows may vary among others.
    pub(super) fn of_share(values: Vec<f64>, edge: f64) -> Self {
        let is_always = |share: f64| values.iter().all(|value| (value - share).abs() < f64::EPSILON);
        match () {
            () if is_always(1.0) => Self { low: edge, high: 1.0 },
            () if is_always(0.0) => Self { low: 0.0, high: 1.0 - edge },
            () => Self::percentiles(values),
        }
    }

    /// From the 2.5th to the 97.5th percentile of at least one value, none of them NaN.
    ///
    /// Percentiles between two values are interpolated linearly (NumPy `percentile`).
    pub(super) fn percentiles(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let percentile = |share: f64| {
            let at = share * (values.len() - 1) as f64;
            let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Self { low: percentile(0.025), high: percentile(0.975) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_never_varies_has_an_interval_all_the_same() {
        assert_eq!(Interval::of_share(vec![1.0; 9], 0.75), Interval { low: 0.75, high: 1.0 });
        assert_eq!(Interval::of_share(vec![0.0; 9], 0.75), Interval { low: 0.0, high: 0.25 });
        assert_eq!(Interval::of_share(vec![0.5; 9], 0.75), Interval { low: 0.5, high: 0.5 });
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        let found = Interval::percentiles((0..=10).rev().map(f64::from).collect());
        assert_eq!(found, Interval { low: 0.25, high: 9.75 });
        assert_eq!(Interval::percentiles(vec![0.3]), Interval { low: 0.3, high: 0.3 });
    }
}

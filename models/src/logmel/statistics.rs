//! Statistics of one mel band over the frames of a window.

/// Quantiles that describe a band, in per cent.
const PERCENTILES: [f64; 5] = [5.0, 25.0, 50.0, 75.0, 95.0];

/// Statistics of a band.
pub(super) const STATISTICS: usize = 4 + PERCENTILES.len();

/// Mean, standard deviation, percentiles 5, 25, 50, 75 and 95, and of the difference between neighbouring frames the
/// standard deviation and the mean magnitude. Standard deviations divide by the count; percentiles interpolate linearly
/// (NumPy's defaults). `band` has at least two values; `sorted` is scratch.
pub(super) fn statistics(band: &[f64], sorted: &mut Vec<f64>) -> [f64; STATISTICS] {
    let (mean, deviation) = moments(band.iter().copied());
    let (_, step_deviation) = moments(steps(band));
    let step_size = steps(band).map(f64::abs).sum::<f64>() / (band.len() - 1) as f64;
    sorted.clear();
    sorted.extend_from_slice(band);
    sorted.sort_unstable_by(f64::total_cmp);
    let [p5, p25, p50, p75, p95] = PERCENTILES.map(|percent| percentile(sorted, percent));
    [mean, deviation, p5, p25, p50, p75, p95, step_deviation, step_size]
}

fn steps(band: &[f64]) -> impl Iterator<Item = f64> + Clone {
    band.windows(2).map(|pair| pair[1] - pair[0])
}

/// Mean and population standard deviation.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * percent / 100.0;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_has_the_statistics_of_a_ramp() {
        let band: Vec<f64> = (0..=100).map(f64::from).collect();
        let values = statistics(&band, &mut Vec::new());
        let expected = [50.0, 850.0f64.sqrt(), 5.0, 25.0, 50.0, 75.0, 95.0, 0.0, 1.0];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
        }
    }
}

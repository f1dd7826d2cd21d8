//! What a count of rare events says of their rate.

use super::Interval;

/// Halvings of the bracket, which leave nothing of an `f64`.
const HALVINGS: u32 = 200;

/// The exact 95 % interval of the mean of a Poisson distribution of which `count` events were seen.
///
/// Garwood 1936, "Fiducial Limits for the Poisson Distribution": half the quantiles `χ²(0.025; 2k)` and
/// `χ²(0.975; 2k + 2)`, which are the quantiles of gamma distributions of shape `k` and `k + 1`. From 0 for no event.
pub fn poisson_interval(count: u64) -> Interval {
    let shape = count as f64;
    let low = if count == 0 { 0.0 } else { gamma_quantile(shape, 0.025) };
    Interval { low, high: gamma_quantile(shape + 1.0, 0.975) }
}

/// Where the gamma distribution of this shape, a positive integer, and scale 1 has reached `share`.
fn gamma_quantile(shape: f64, share: f64) -> f64 {
    // Ten standard deviations, and more than the quantile of the smallest shapes, 3.7 for shape 1.
    let (mut low, mut high) = (0.0, shape + 10.0 * shape.sqrt());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if lower_gamma(shape, middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Regularised lower incomplete gamma function of an integer shape: the series of positive terms
/// `xᵃ e⁻ˣ / a! · Σ xⁿ / ((a + 1) … (a + n))` (Abramowitz and Stegun 6.5.29).
fn lower_gamma(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, shape);
    // Terms grow until n reaches x, and the tail is about a term once they are below half of those before.
    while term > f64::EPSILON * sum * 0.01 || n < x {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    (shape * x.ln() - x - ln_factorial(shape) + sum.ln()).exp()
}

/// `ln k!` of a positive integer: the sum of logarithms, or Stirling's series (Abramowitz and Stegun 6.1.41) from 32, where its
/// next term is below 1e-14.
fn ln_factorial(k: f64) -> f64 {
    if k < 32.0 {
        return (2..=k as u64).map(|i| (i as f64).ln()).sum();
    }
    let square = k * k;
    (k + 0.5) * k.ln() - k
        + 0.5 * std::f64::consts::TAU.ln()
        + (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * square)) / square) / k
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts and ends of the interval.
    const GOLDEN: [(u64, f64, f64); 8] = [
        (0, 0.0, 3.688_879_454_11),
        (1, 0.025_317_807_984_3, 5.571_643_390_94),
        (2, 0.242_209_278_544, 7.224_687_667_72),
        (10, 4.795_388_696_13, 18.390_356_042),
        (31, 21.062_995_979_1, 44.002_025_503_2),
        (32, 21.887_976_311_3, 45.174_452_079_4),
        (1_000, 938.973_018_408, 1_063.952_136_02),
        (1_000_000, 998_040.983_34, 1_001_961.911_95),
    ];

    #[test]
    fn intervals_are_those_of_scipy() {
        // SciPy 1.17.1: chi2.ppf(0.025, 2 * k) / 2, chi2.ppf(0.975, 2 * k + 2) / 2
        for (count, low, high) in GOLDEN {
            let found = poisson_interval(count);
            assert!((found.low - low).abs() <= 1e-9 * low, "{count}: {found:?}");
            assert!((found.high - high).abs() <= 1e-9 * high, "{count}: {found:?}");
        }
    }
}

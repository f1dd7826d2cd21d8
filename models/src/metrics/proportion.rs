//! What a share that was seen says of the share that is to be expected.

/// Quantile of the standard normal distribution at 0.95: one-sided 95 % (SciPy `norm.ppf(0.95)`).
const Z_ONE_SIDED: f64 = 1.644_853_626_951_472_2;

/// One-sided 95 % lower bound of a share that was seen in `n` independent trials; 0 of none.
///
/// E. B. Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference":
/// `(p + z²/2n − z · √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)`. Clips of one recording are no independent trials, so `n` is the number of
/// recordings (or whatever is kept together), and `share` is that of the clips.
pub(super) fn wilson_lower(share: f64, n: usize) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let n = n as f64;
    let z2 = Z_ONE_SIDED * Z_ONE_SIDED;
    let spread = Z_ONE_SIDED * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((share + z2 / (2.0 * n) - spread) / (1.0 + z2 / n)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_bounds_are_those_of_scipy() {
        // SciPy 1.17.1: binomtest(k, n, alternative="greater").proportion_ci(0.95, method="wilson").low
        for (hits, n, low) in WILSON {
            let found = wilson_lower(f64::from(hits) / f64::from(n), n as usize);
            assert!((found - low).abs() < 1e-12, "{hits} of {n}: {found}");
        }
        assert!(wilson_lower(1.0, 0).abs() < 1e-12);
    }

    /// Hits, trials, lower bound.
    const WILSON: [(u32, u32, f64); 7] = [
        (0, 5, 0.0),
        (3, 4, 0.356_168_008_598_506_4),
        (9, 9, 0.768_866_480_680_243_4),
        (52, 52, 0.950_543_522_954_567),
        (51, 51, 0.949_622_640_791_113_8),
        (95, 100, 0.900_838_914_720_947_2),
        (7, 20, 0.202_260_040_056_761_04),
    ];
}

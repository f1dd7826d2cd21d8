//! What a share that was seen says of the share that is to be expected.

/// Quantile of the standard normal distribution at 0.95: one-sided 95 % (`scipy.stats.norm.ppf(0.95)`).
const Z_ONE_SIDED: f64 = 1.644_853_626_951_472_2;

/// Half of what a two-sided 95 % interval leaves out.
const TAIL: f64 = 0.025;

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

/// Lower end of the two-sided 95 % interval of a share, where all of `n` independent trials succeeded; 0 of none.
///
/// Clopper and Pearson 1934, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", which at the edge has the closed
/// form `0.025^(1/n)`. Where all trials failed, the upper end is one less this.
pub(super) fn clopper_pearson_edge(n: u64) -> f64 {
    if n == 0 { 0.0 } else { TAIL.powf(1.0 / n as f64) }
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

    #[test]
    fn ends_at_the_edge_are_those_of_scipy() {
        // SciPy 1.17.1: binomtest(n, n).proportion_ci(0.95, method="exact").low
        for (n, low) in EXACT {
            assert!((clopper_pearson_edge(n) - low).abs() < 1e-12, "{n}");
        }
        assert!(clopper_pearson_edge(0).abs() < 1e-12);
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

    /// Trials, lower end.
    const EXACT: [(u64, f64); 6] = [
        (1, 0.025),
        (2, 0.158_113_883_008_393_05),
        (4, 0.397_635_364_383_514_2),
        (9, 0.663_732_883_120_057_1),
        (36, 0.902_606_244_085_407_3),
        (1000, 0.996_317_916_103_360_8),
    ];
}

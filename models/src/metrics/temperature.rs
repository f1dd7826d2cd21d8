//! Temperature scaling: one number that makes a classifier as sure as it is right.
//!
//! Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. Dividing all logits by one temperature changes
//! no order of classes, so no prediction.

use rayon::prelude::*;

use super::{MetricsError, check};

/// Temperatures that are looked at; sharper or flatter than tenfold is no calibration but a broken model.
const COLDEST: f64 = 0.1;
const HOTTEST: f64 = 10.0;

/// How far below the highest of its row a logit counts: the logarithm of the smallest normal `f32`, 87.3 nats. A probability
/// that was rounded to 0 is therefore not impossible.
const DEPTH: f64 = 87.336_544_750_553_1;

/// Rows whose sums are made by one thread; a fixed number, so that sums do not depend on the number of threads.
const ROWS: usize = 1024;

/// Iterations at most; Newton needs about ten.
const ITERATIONS: u32 = 100;

/// First and second derivative of the loss with respect to 1/T, over all rows.
#[derive(Clone, Copy)]
struct Slope {
    first: f64,
    second: f64,
}

/// The temperature, 0.1 to 10, that minimises the cross-entropy of `softmax(logits / T)` with the true class of each row.
///
/// `logits`, `[n, classes]` row-major, are logits or logarithms of probabilities (only differences within a row count, and
/// −∞ is allowed); `truth` is `[n]`. The loss is convex in 1/T; its minimum is found by Newton's method with bisection
/// where a step leaves the bracket or shrinks it too slowly.
///
/// 1 where no row is wrong: the loss then falls without end as T falls, and what the rows say of the next ones is nothing.
pub fn temperature(logits: &[f32], truth: &[usize], classes: usize) -> Result<f64, MetricsError> {
    check::shape(logits, truth.len(), classes)?;
    if let Some((row, &class)) = truth.iter().enumerate().find(|&(_, &class)| class >= classes) {
        return Err(MetricsError::Truth { row, class, classes });
    }
    check_logits(logits, classes)?;
    let rows = || logits.chunks_exact(classes).zip(truth);
    if rows().all(|(row, &class)| row[class] >= highest(row)) {
        return Ok(1.0);
    }
    let (mut low, mut high) = (1.0 / HOTTEST, 1.0 / COLDEST);
    if slope(logits, truth, classes, low).first >= 0.0 {
        return Ok(HOTTEST);
    }
    if slope(logits, truth, classes, high).first <= 0.0 {
        return Ok(COLDEST);
    }
    let (mut inverse, mut step) = (1.0_f64, high - low);
    for _ in 0..ITERATIONS {
        let at = slope(logits, truth, classes, inverse);
        if at.first < 0.0 {
            low = inverse;
        } else {
            high = inverse;
        }
        let newton = inverse - at.first / at.second;
        let next = if newton > low && newton < high && (newton - inverse).abs() < 0.5 * step {
            newton
        } else {
            (low * high).sqrt()
        };
        step = (next - inverse).abs();
        inverse = next;
        if step <= 1e-12 * inverse {
            break;
        }
    }
    Ok(1.0 / inverse)
}

/// `softmax(ln p / T)` of each row of `probabilities`, `[n, classes]` row-major: calibrated probabilities.
///
/// The temperature is above 0. The order of classes stays, but for probabilities so close that they round to equal ones.
pub fn tempered(probabilities: &[f32], classes: usize, temperature: f64) -> Result<Vec<f32>, MetricsError> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(MetricsError::Range { what: "the temperature", value: temperature, range: "finite and above 0" });
    }
    check::unlabelled(probabilities, classes)?;
    let logits: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
    check_logits(&logits, classes)?;
    let mut calibrated = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let powers = depths(row).map(|depth| (depth / temperature).exp());
        let sum: f64 = powers.clone().sum();
        calibrated.extend(powers.map(|power| (power / sum) as f32));
    }
    Ok(calibrated)
}

/// No NaN, no +∞, and something above −∞ in each row.
fn check_logits(logits: &[f32], classes: usize) -> Result<(), MetricsError> {
    let is_broken = |row: &[f32]| row.iter().any(|logit| logit.is_nan()) || !highest(row).is_finite();
    match logits.chunks_exact(classes).position(is_broken) {
        Some(row) => Err(MetricsError::NotANumber { row }),
        None => Ok(()),
    }
}

fn highest(row: &[f32]) -> f32 {
    row.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// How far each logit lies below the highest of its row, `-DEPTH` to 0.
fn depths(row: &[f32]) -> impl Iterator<Item = f64> + Clone {
    let highest = f64::from(highest(row));
    row.iter().map(move |&logit| (f64::from(logit) - highest).max(-DEPTH))
}

/// Derivatives of `Σ −ln softmax(β · logits)[truth]` at β: the mean logit less the true one, and the variance of the logits.
fn slope(logits: &[f32], truth: &[usize], classes: usize, beta: f64) -> Slope {
    let parts: Vec<Slope> = logits
        .par_chunks(ROWS * classes)
        .zip(truth.par_chunks(ROWS))
        .map(|(logits, truth)| {
            let mut part = Slope { first: 0.0, second: 0.0 };
            for (row, &class) in logits.chunks_exact(classes).zip(truth) {
                let (mut weight, mut sum, mut squares, mut label) = (0.0, 0.0, 0.0, 0.0);
                for (index, depth) in depths(row).enumerate() {
                    let power = (beta * depth).exp();
                    weight += power;
                    sum += power * depth;
                    squares += power * depth * depth;
                    if index == class {
                        label = depth;
                    }
                }
                let mean = sum / weight;
                part.first += mean - label;
                part.second += squares / weight - mean * mean;
            }
            part
        })
        .collect();
    let sum = |a: Slope, b: &Slope| Slope { first: a.first + b.first, second: a.second + b.second };
    parts.iter().fold(Slope { first: 0.0, second: 0.0 }, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::argmax;

    #[derive(serde::Deserialize)]
    struct Golden {
        temperature: Vec<GoldenTemperature>,
    }

    #[derive(serde::Deserialize)]
    struct GoldenTemperature {
        classes: usize,
        logits: Vec<f32>,
        truth: Vec<usize>,
        temperature: f64,
        loss: f64,
    }

    #[test]
    fn temperatures_are_those_that_scipy_finds() {
        let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/calibration.json"));
        let golden: Golden = serde_json::from_str(golden).unwrap();
        assert_eq!(golden.temperature.len(), 3);
        for case in golden.temperature {
            let found = temperature(&case.logits, &case.truth, case.classes).unwrap();
            // Brent's method cannot tell temperatures whose losses differ by less than rounding.
            assert!((found / case.temperature - 1.0).abs() < 1e-7, "{found} instead of {}", case.temperature);
            let probabilities: Vec<f32> = case
                .logits
                .chunks_exact(case.classes)
                .flat_map(|row| row.iter().map(|l| (l - highest(row)).exp()))
                .collect();
            let calibrated = tempered(&probabilities, case.classes, found).unwrap();
            let loss = crate::metrics::log_loss::log_loss(&calibrated, &case.truth, case.classes);
            assert!((loss - case.loss).abs() < 1e-6, "{loss} instead of {}", case.loss);
        }
    }

    #[test]
    fn any_number_of_threads_finds_the_same_bits() {
        let logits: Vec<f32> = (0..30_000).map(|i| ((i * 7919 + 13) % 1009) as f32 / 100.0).collect();
        let truth: Vec<usize> = (0..10_000).map(|row| row * 31 % 3).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| temperature(&logits, &truth, 3)).unwrap().to_bits()
        };
        assert_eq!(on(1), on(4));
    }

    #[test]
    fn a_model_three_times_too_sure_has_temperature_three() {
        // Four rows in five are right; their logit should be ln 4 and is thrice that.
        let logits = [3.0 * 4.0_f32.ln(), 0.0].repeat(5);
        let found = temperature(&logits, &[0, 0, 0, 0, 1], 2).unwrap();
        assert!((found - 3.0).abs() < 1e-6, "{found}");
        let probability = 64.0 / 65.0;
        let calibrated = tempered(&[probability, 1.0 - probability], 2, found).unwrap();
        assert!((calibrated[0] - 0.8).abs() < 1e-5, "{calibrated:?}");
    }

    #[test]
    fn rows_without_a_mistake_and_single_classes_leave_the_model_as_it_is() {
        assert_eq!(temperature(&[2.0, 0.0, 0.0, 2.0], &[0, 1], 2), Ok(1.0));
        assert_eq!(temperature(&[0.0; 4], &[0, 1], 2), Ok(1.0));
        assert_eq!(temperature(&[-1.0, 4.0], &[0, 0], 1), Ok(1.0));
    }

    #[test]
    fn the_temperature_stays_within_its_bounds() {
        assert_eq!(temperature(&[5.0, 0.0], &[1], 2), Ok(HOTTEST));
        let mut logits = [0.01, 0.0].repeat(9999);
        logits.extend([0.0, 0.000_01]);
        let mut truth = vec![0; 9999];
        truth.push(0);
        assert_eq!(temperature(&logits, &truth, 2), Ok(COLDEST));
    }

    #[test]
    fn impossible_classes_are_nearly_impossible() {
        let found = temperature(&[0.0, f32::NEG_INFINITY, 0.0, -1.0, 0.0, -1.0], &[1, 0, 1], 2).unwrap();
        assert!((COLDEST..=HOTTEST).contains(&found));
        let calibrated = tempered(&[1.0, 0.0], 2, 2.0).unwrap();
        assert!(calibrated[1] > 0.0 && calibrated[1] < 1e-18, "{calibrated:?}");
    }

    #[test]
    fn predictions_stay() {
        let p: Vec<f32> = (0..300).map(|i| ((i * 7919 + 13) % 101) as f32 / 101.0).collect();
        for temperature in [0.1, 0.7, 1.0, 3.0, 10.0] {
            let calibrated = tempered(&p, 3, temperature).unwrap();
            for (before, after) in p.chunks_exact(3).zip(calibrated.chunks_exact(3)) {
                assert_eq!(argmax(before), argmax(after));
                assert!((after.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn what_is_no_logit_is_named() {
        assert_eq!(temperature(&[], &[], 2), Err(MetricsError::NoRows));
        for broken in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
            let logits = [[1.0, 0.0], broken].concat();
            assert_eq!(temperature(&logits, &[0, 0], 2), Err(MetricsError::NotANumber { row: 1 }));
        }
        assert!(tempered(&[0.5, 0.5], 2, 0.0).is_err() && tempered(&[0.0, 0.0], 2, 1.0).is_err());
    }
}

//! Checks of what comes in, so that the formulas need none.

use super::MetricsError;

/// Rows with a true class: shape, classes and values.
pub(super) fn rows(probabilities: &[f32], truth: &[usize], classes: usize) -> Result<(), MetricsError> {
    shape(probabilities, truth.len(), classes)?;
    if let Some((row, &class)) = truth.iter().enumerate().find(|&(_, &class)| class >= classes) {
        return Err(MetricsError::Truth { row, class, classes });
    }
    finite(probabilities, classes)
}

/// At least one row, and `classes` values in each.
pub(super) fn shape(probabilities: &[f32], rows: usize, classes: usize) -> Result<(), MetricsError> {
    if rows == 0 {
        return Err(MetricsError::NoRows);
    }
    if classes == 0 || rows.checked_mul(classes) != Some(probabilities.len()) {
        return Err(MetricsError::Shape { probabilities: probabilities.len(), rows, classes });
    }
    Ok(())
}

/// No value that is infinite or not a number.
pub(super) fn finite(probabilities: &[f32], classes: usize) -> Result<(), MetricsError> {
    match probabilities.iter().position(|p| !p.is_finite()) {
        Some(at) => Err(MetricsError::NotANumber { row: at / classes }),
        None => Ok(()),
    }
}

/// Rows of which only the probabilities are known.
pub(super) fn unlabelled(probabilities: &[f32], classes: usize) -> Result<(), MetricsError> {
    shape(probabilities, probabilities.len().div_ceil(classes.max(1)), classes)?;
    finite(probabilities, classes)
}

/// A threshold for each class that probabilities can be compared with; infinity is one, which nothing reaches.
pub(super) fn thresholds(thresholds: &[f32], classes: usize) -> Result<(), MetricsError> {
    length("thresholds", thresholds.len(), classes)?;
    match thresholds.iter().find(|threshold| threshold.is_nan()) {
        Some(&nan) => Err(MetricsError::Range { what: "a threshold", value: f64::from(nan), range: "a number" }),
        None => Ok(()),
    }
}

/// One value for each row or class.
pub(super) fn length(what: &'static str, found: usize, expected: usize) -> Result<(), MetricsError> {
    if found == expected { Ok(()) } else { Err(MetricsError::Length { what, found, expected }) }
}

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

/// Rows of which the true and the predicted class are known, the latter none where no class is predicted.
pub(super) fn predicted(predicted: &[Option<usize>], truth: &[usize], classes: usize) -> Result<(), MetricsError> {
    if truth.is_empty() {
        return Err(MetricsError::NoRows);
    }
    length("predictions", predicted.len(), truth.len())?;
    if let Some((row, &class)) = truth.iter().enumerate().find(|&(_, &class)| class >= classes) {
        return Err(MetricsError::Truth { row, class, classes });
    }
    let outside = |(row, class): (usize, &Option<usize>)| Some((row, class.filter(|&class| class >= classes)?));
    match predicted.iter().enumerate().find_map(outside) {
        Some((row, class)) => Err(MetricsError::Predicted { row, class, classes }),
        None => Ok(()),
    }
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

/// One value for each row or class.
pub(super) fn length(what: &'static str, found: usize, expected: usize) -> Result<(), MetricsError> {
    if found == expected { Ok(()) } else { Err(MetricsError::Length { what, found, expected }) }
}

//! How well each row fits its label, and how sure the model is of it.

use serde::{Deserialize, Serialize};

use super::{MetricsError, check};
use crate::head::argmax;

/// How well a row fits the label that it was given; for audits of labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelFit {
    /// `−ln p(label)` in nats, at most 87.3: a probability below the smallest normal `f32` counts as that.
    pub surprisal: f64,
    /// `p(label)` less the highest other probability; negative where another class is likelier.
    pub margin: f64,
}

/// How unsure the model is of a row, whatever its label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doubt {
    /// Highest probability less the second highest.
    pub margin: f64,
    /// `−Σ p · ln p` in nats, from 0 to the logarithm of the number of classes.
    pub entropy: f64,
}

/// How well each row of `probabilities` (`[n, classes]` row-major) fits its label, `[n]`.
pub fn label_fits(probabilities: &[f32], labels: &[usize], classes: usize) -> Result<Vec<LabelFit>, MetricsError> {
    check::rows(probabilities, labels, classes)?;
    let fit = |(row, &label): (&[f32], &usize)| LabelFit {
        surprisal: f64::from(row[label].max(f32::MIN_POSITIVE)).recip().ln(),
        margin: f64::from(row[label]) - highest(row.iter().enumerate().filter(|&(c, _)| c != label).map(|(_, p)| p)),
    };
    Ok(probabilities.chunks_exact(classes).zip(labels).map(fit).collect())
}

/// How unsure the model is of each row of `probabilities` (`[n, classes]` row-major).
pub fn doubts(probabilities: &[f32], classes: usize) -> Result<Vec<Doubt>, MetricsError> {
    check::unlabelled(probabilities, classes)?;
    Ok(probabilities.chunks_exact(classes).map(doubt).collect())
}

fn doubt(row: &[f32]) -> Doubt {
    let top = argmax(row);
    let second = highest(row.iter().enumerate().filter(|&(class, _)| class != top).map(|(_, p)| p));
    let known = row.iter().map(|&p| f64::from(p)).filter(|&p| p > 0.0);
    let entropy = known.fold(0.0, |sum, p| sum - p * p.ln());
    Doubt { margin: f64::from(row[top]) - second, entropy }
}

/// The highest of these probabilities, and 0 of none.
fn highest<'a>(probabilities: impl Iterator<Item = &'a f32>) -> f64 {
    f64::from(probabilities.copied().fold(0.0, f32::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_the_model_rules_out_is_very_surprising() {
        let fits = label_fits(&[0.25, 0.75, 0.0, 1.0], &[0, 0], 2).unwrap();
        assert!((fits[0].surprisal - 4.0_f64.ln()).abs() < 1e-12);
        assert!((fits[1].surprisal - 87.336_544_75).abs() < 1e-6);
        let margins: Vec<f64> = fits.iter().map(|fit| fit.margin).collect();
        assert_eq!(margins, [-0.5, -1.0]);
    }

    #[test]
    fn the_flattest_row_is_the_most_doubtful() {
        let doubts = doubts(&[0.25, 0.25, 0.25, 0.25, 1.0, 0.0, 0.0, 0.0], 4).unwrap();
        assert!((doubts[0].entropy - 4.0_f64.ln()).abs() < 1e-12);
        assert_eq!((doubts[0].margin, doubts[1].margin, doubts[1].entropy), (0.0, 1.0, 0.0));
    }

    #[test]
    fn rows_that_are_not_whole_and_single_classes_are_told_apart() {
        assert_eq!(doubts(&[], 4), Err(MetricsError::NoRows));
        assert_eq!(doubts(&[0.5; 3], 2), Err(MetricsError::Shape { probabilities: 3, rows: 2, classes: 2 }));
        assert_eq!(doubts(&[1.0], 1), Ok(vec![Doubt { margin: 1.0, entropy: 0.0 }]));
    }
}

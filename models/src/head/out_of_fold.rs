//! What is to be expected of settings: nested cross-validation over the recordings of the rows.
//!
//! Each recording is scored by a head that was fitted, penalty or number of epochs included, on the rows of the others alone.

use super::folds::folds;
use super::score::{Score, score};
use super::train::{OnEpoch, Stopped, Watch, train_on};
use super::{Examples, Head, HeadError, HeadKind, Targets, TrainConfig};

/// How settings do on recordings that a head has not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Mean cross-entropy of the originals, nats.
    pub log_loss: f64,
    /// Share of the originals that were right.
    pub accuracy: f64,
}

/// Cross-validates the settings on `rows`; none where `is_stopped` broke it off. Equal inputs give the same bits, with any number of threads.
///
/// # Errors
///
/// As [`train()`](super::train()), and [`HeadError::TooFewRecordings`] for rows of one recording.
pub fn expected<'t>(
    rows: &Examples<'_>,
    targets: impl Into<Targets<'t>>,
    config: &TrainConfig,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Expected>, HeadError> {
    let (fold, count) = folds(rows.groups, rows.y, config.seed).ok_or(HeadError::TooFewRecordings)?;
    let targets = targets.into();
    let (mut logits, mut truth) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut rest = Part::of(rows, |row| fold[row] != number);
        let held_out = Part::of(rows, |row| fold[row] == number && rows.is_original[row]);
        let Some(head) = fit(&mut rest, targets, config, is_stopped)? else { return Ok(None) };
        logits.extend(head.logits(&held_out.x));
        truth.extend(held_out.y);
    }
    if truth.is_empty() {
        return Err(HeadError::NoExamples);
    }
    let Score { loss, accuracy } = score(&logits, &truth, targets);
    Ok(Some(Expected { log_loss: loss, accuracy }))
}

/// A head fitted on `rows`, whose inner settings are chosen on them, too. Takes their values.
fn fit(
    rows: &mut Part,
    targets: Targets<'_>,
    config: &TrainConfig,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Head>, HeadError> {
    // The linear head chooses its penalty by a cross-validation of its own; the MLP needs recordings to tell when to stop.
    let inner = (config.head == HeadKind::Mlp).then(|| folds(&rows.groups, &rows.y, config.seed)).flatten();
    let parts = inner.map(|(fold, _)| {
        let all = rows.examples();
        (Part::of(&all, |row| fold[row] != 0), Part::of(&all, |row| fold[row] == 0 && all.is_original[row]))
    });
    let on_epoch: &mut OnEpoch<'_> = &mut |_, _| {
        if is_stopped() { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let watch = Watch { resume: None, on_epoch, is_stopped };
    let trained = match parts {
        None => train_on(rows.take_examples(), None, targets, config, watch)?,
        Some((mut rest, val)) => train_on(rest.take_examples(), Some(&val.examples()), targets, config, watch)?,
    };
    Ok((trained.stopped != Stopped::Interrupted).then_some(trained.head))
}

/// Some of the rows.
struct Part {
    x: Vec<f32>,
    y: Vec<usize>,
    groups: Vec<u32>,
    is_original: Vec<bool>,
    dim: usize,
}

impl Part {
    fn of(rows: &Examples<'_>, is_in: impl Fn(usize) -> bool) -> Self {
        let chosen: Vec<usize> = (0..rows.n()).filter(|&row| is_in(row)).collect();
        let dim = rows.dim;
        Self {
            x: chosen.iter().flat_map(|&row| &rows.x[row * dim..(row + 1) * dim]).copied().collect(),
            y: chosen.iter().map(|&row| rows.y[row]).collect(),
            groups: chosen.iter().map(|&row| rows.groups[row]).collect(),
            is_original: chosen.iter().map(|&row| rows.is_original[row]).collect(),
            dim,
        }
    }

    /// With the values given away: training needs no second copy.
    fn take_examples(&mut self) -> Examples<'_> {
        let x = std::mem::take(&mut self.x);
        Examples { x: x.into(), ..self.examples() }
    }

    fn examples(&self) -> Examples<'_> {
        let Self { x, y, groups, is_original, dim } = self;
        Examples { x: x.into(), y, groups, is_original, dim: *dim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of 30 recordings, each with a value that tells it from all others and nothing that tells its class.
    fn meaningless() -> (Vec<f32>, Vec<usize>, Vec<u32>) {
        let groups: Vec<u32> = (0..120).map(|row| row / 4).collect();
        let y = groups.iter().map(|&group| (group % 2) as usize).collect();
        let x =
            groups.iter().flat_map(|&group| (0..30).map(move |column| f32::from(u8::from(column == group)))).collect();
        (x, y, groups)
    }

    #[test]
    fn what_is_learnt_by_heart_counts_for_nothing() {
        let (x, y, groups) = meaningless();
        let rows = Examples { x: x.into(), y: &y, groups: &groups, is_original: &[true; 120], dim: 30 };
        for head in [HeadKind::Linear, HeadKind::Mlp] {
            let config = TrainConfig { head, max_epochs: 5, ..TrainConfig::default() };
            let found = expected(&rows, 2, &config, &|| false).unwrap().unwrap();
            assert!(found.log_loss > 0.65 && found.accuracy < 0.7, "{head:?}: {found:?}");
            assert_eq!(expected(&rows, 2, &config, &|| false).unwrap(), Some(found));
            assert_eq!(expected(&rows, 2, &config, &|| true).unwrap(), None);
        }
    }

    #[test]
    fn one_recording_cannot_be_parted() {
        let rows = Examples { x: vec![0.0; 4].into(), y: &[0, 1], groups: &[7; 2], is_original: &[true; 2], dim: 2 };
        let error = expected(&rows, 2, &TrainConfig::default(), &|| false).unwrap_err();
        assert_eq!(error, HeadError::TooFewRecordings);
    }
}

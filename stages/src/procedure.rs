//! How a head comes about, from pooled rows to calibrated probabilities. `train` makes models by it; `evaluate --cv` and the trials of `train.search` judge it
//! by cross-validation.
//!
//! 1. Penalty (linear head) or number of epochs (MLP) are chosen on the train rows and the val rows.
//! 2. Temperature, thresholds and the limit of the unknown are fitted on clips that were scored without their group.
//! 3. The head is fitted on both, with these settings.
//!
//! The val rows of a model are those of the val side. Within a fold of a cross-validation, an inner fold of the other folds takes their place. Groups
//! (recordings, or what `split.group_by` keeps together) are never parted.

use std::ops::ControlFlow;

use ecosight_models::ModelError;
use ecosight_models::decision::Answer;
use ecosight_models::head::{GroupFolds, HeadError, OnEpoch, Stopped, TrainConfig, Trained, Watch, train_on};
use ecosight_models::metrics::Metrics;

use crate::StageErrorKind;
use crate::calibration::Calibration;
use crate::figures::Judge;
use crate::labels::Labels;
use crate::pooled::{Clips, Rows};

/// The procedure with its settings.
#[derive(Clone, Copy)]
pub(crate) struct Procedure<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) labels: &'a Labels,
    /// What a group is called: recording, site, device or day.
    pub(crate) unit: &'a str,
}

/// Clips that had no part in a head, as it scores and answers them.
pub(crate) struct HeldOut {
    pub(crate) clips: Clips,
    pub(crate) answers: Vec<Answer>,
}

/// A head as it is used.
pub(crate) struct Calibrated {
    /// The training; its head has the temperature in it.
    pub(crate) trained: Trained,
    /// What was fitted on its out-of-fold logits.
    pub(crate) calibration: Calibration,
}

impl Procedure<'_> {
    /// Follows the procedure on `train`, whose values it takes, and `val`. None where `watch` broke it off.
    pub(crate) fn run(
        self,
        train: &mut Rows,
        val: Option<&Rows>,
        watch: Watch<'_>,
    ) -> Result<Option<Calibrated>, StageErrorKind> {
        let Self { config, labels, unit } = self;
        let examples = val.map(Rows::examples);
        let trained = train_on(train.take_examples(), examples.as_ref(), labels.targets(), config, watch);
        let trained = trained.map_err(ModelError::from)?;
        if trained.stopped == Stopped::Interrupted {
            return Ok(None);
        }
        let none = Rows::default();
        let calibration = Calibration::of(config, labels, [train, val.unwrap_or(&none)], &trained.unseen, unit)?;
        let head = trained.head.clone().cooled(calibration.temperature);
        Ok(Some(Calibrated { trained: Trained { head, ..trained }, calibration }))
    }

    /// Follows the procedure on the rows `fitted`, an inner fold of which takes the place of the val rows, and scores the clips of the rows `scored`, which
    /// are originals. None where `is_stopped` broke it off.
    pub(crate) fn held_out(
        self,
        rows: &Rows,
        fitted: &[usize],
        scored: &[usize],
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<HeldOut>, StageErrorKind> {
        let groups: Vec<u32> = fitted.iter().map(|&row| rows.kept[row]).collect();
        let y: Vec<usize> = fitted.iter().map(|&row| rows.y[row]).collect();
        // Of one group alone no part can be taken away.
        let (mut train, val) = match GroupFolds::deal(&groups, &y, self.config.seed) {
            Some(inner) => {
                let of = |is_wanted: fn(usize) -> bool| {
                    fitted.iter().zip(&inner.of_row).filter(move |(_, fold)| is_wanted(**fold)).map(|(&row, _)| row)
                };
                let train: Vec<usize> = of(|fold| fold != 0).collect();
                let val: Vec<usize> = of(|fold| fold == 0).filter(|&row| rows.is_original[row]).collect();
                (rows.some(&train), Some(rows.some(&val)))
            }
            None => (rows.some(fitted), None),
        };
        let on_epoch: &mut OnEpoch<'_> =
            &mut |_, _| if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let found = self.run(&mut train, val.as_ref(), Watch { resume: None, on_epoch, is_stopped })?;
        Ok(found.map(|Calibrated { trained, calibration }| {
            let clips = rows.clips_of(scored, &trained.head);
            let answers = clips.answers(&calibration.decided.decision);
            HeldOut { clips, answers }
        }))
    }

    /// Cross-validates the procedure over folds of groups, which the seed decides. Clips of a class that is in no other fold do not count. None where
    /// `is_stopped` broke it off.
    pub(crate) fn cross_validate(
        self,
        rows: &Rows,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, StageErrorKind> {
        let folds = GroupFolds::deal(&rows.kept, &rows.y, self.config.seed);
        let folds = folds.ok_or(HeadError::TooFewRecordings).map_err(ModelError::from)?;
        let judged = folds.judged(&rows.y, &rows.is_original, self.labels.targets());
        let (mut clips, mut answers) = (Clips::default(), Vec::new());
        for number in 0..folds.count {
            let fitted: Vec<usize> = (0..rows.len()).filter(|&row| folds.of_row[row] != number).collect();
            let scored: Vec<usize> = judged.iter().copied().filter(|&row| folds.of_row[row] == number).collect();
            if scored.is_empty() {
                continue;
            }
            match self.held_out(rows, &fitted, &scored, is_stopped)? {
                Some(found) => {
                    clips.append(found.clips);
                    answers.extend(found.answers);
                }
                None => return Ok(None),
            }
        }
        let figures = Judge::new(self.labels, self.unit).figures(&clips, &answers);
        Ok(Some(figures.map_err(ModelError::from)?))
    }
}

#[cfg(test)]
#[path = "procedure_tests.rs"]
mod tests;

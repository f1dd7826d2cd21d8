//! `train.search`: whether other settings of the head do better than the user's own.
//!
//! Trial 0 are the user's settings; the others are drawn from a small space ([`TrainConfig::candidates`]). Each is scored by cross-validation of the whole
//! [`Procedure`] over the recordings of the train side; neither val nor test clips have a part in it. The lowest mean cross-entropy of the clips wins, if it is lower than that of trial 0 for more than
//! chance. How many trials fit into the budget depends on the clock, and so may the winner; without an end by the budget, equal searches choose the same.
//!
//! Finished trials are kept in a checkpoint, so that a run that was cut off goes on behind them. What was tried stands in `models/<version>/search.json`, beside the
//! model, whose own description holds no times.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::{Key, KeyHasher};
use ecosight_models::ModelError;
use ecosight_models::head::{
    ClassWeights, Features, HeadError, HeadKind, Pooling, Sampling, Search, Summary, TrainConfig,
};
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::checkpoint::Checkpoint;
use crate::labels::Labels;
use crate::pooled::{Sides, read_sides};
use crate::procedure::Procedure;
use crate::stage::{Context, Event};

/// Word of the stage that this is a part of.
const NAME: &str = "train";

/// Name of the file in a model's folder.
const SEARCH_FILE: &str = "search.json";

/// What counts as better than the user's own settings: smaller differences are chance.
const BETTER: f64 = 0.99;

/// What was tried for a model; `models/<version>/search.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Searched {
    /// Version of this format.
    schema_version: u32,
    /// Hash of all that the search was about: rows, settings, extent.
    key: String,
    /// How far it was to go.
    search: Search,
    /// The user's settings.
    asked: TrainConfig,
    /// Why it ended.
    ended: Ended,
    /// Number of the trial that won.
    chosen: usize,
    /// The trials, by number.
    trials: Vec<Trial>,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    /// As many settings as were asked for were tried, or all that there are.
    Trials,
    /// The time was over.
    Budget,
}

/// What came of one of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    number: usize,
    settings: TrainConfig,
    /// Mean cross-entropy of the clips, nats; none where the training diverged.
    log_loss: Option<f64>,
    accuracy: Option<f64>,
    seconds: f64,
}

/// The settings that a search has chosen, and the rows pooled as they ask.
pub(crate) struct Chosen {
    pub(crate) config: TrainConfig,
    pub(crate) sides: Sides,
    pub(crate) searched: Searched,
}

impl Searched {
    /// Hash of a search for the model `model`, the one of the user's own settings.
    pub(crate) fn key(model: Key, search: Search) -> Key {
        let key = KeyHasher::new("search").str(&model.to_string());
        key.u64(u64::from(search.trials)).u64(search.budget_s).finish()
    }

    /// What was tried for the model in `folder`; none where nothing was.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(SEARCH_FILE)).ok()?).ok()
    }

    /// Keeps it beside the model.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), StageErrorKind> {
        let json = serde_json::to_vec_pretty(self).expect("what was tried is plain data");
        Ok(write_atomic(&folder.join(SEARCH_FILE), &json)?)
    }

    /// Whether it is the search `key`.
    pub(crate) fn is(&self, key: Key) -> bool {
        self.key == key.to_string()
    }
}

/// The checkpoint of the search `key`.
pub(crate) fn checkpoint(context: &Context<'_>, key: Key) -> Checkpoint {
    Checkpoint::new(context.layout.checkpoint("search"), key)
}

/// Looks for settings better than `config`, for which `sides` are pooled. The checkpoint `key` stays until the model is saved.
pub(crate) fn search(
    config: &TrainConfig,
    context: &Context<'_>,
    labels: &Labels,
    sides: Sides,
    key: Key,
) -> Result<Chosen, StageErrorKind> {
    let mut candidates = config.candidates();
    candidates.truncate(config.search.trials as usize);
    let total = candidates.len();
    let mut checkpoint = checkpoint(context, key);
    let kept = if context.forced { None } else { checkpoint.read() };
    let mut trials: Vec<Trial> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if !trials.is_empty() {
        tell(context, format!("{} of {total} trials were finished by an earlier run", trials.len()));
    }
    let mut pooled = BTreeMap::from([(config.summary(), sides)]);
    let mut ended = Ended::Trials;
    for settings in candidates.into_iter().skip(trials.len()) {
        let number = trials.len();
        context.emit(Event::Progress { stage: NAME, done: number as u64, total: total as u64, unit: "trials" });
        let spent: f64 = trials.iter().map(|trial| trial.seconds).sum();
        // The user's own settings are tried however long that takes.
        let left = if number == 0 { f64::INFINITY } else { config.search.budget_s as f64 - spent };
        let Some(trial) = attempt(number, settings, context, labels, &mut pooled, left)? else {
            ended = Ended::Budget;
            break;
        };
        tell(context, trial.told(total));
        trials.push(trial);
        checkpoint.write(true, &|| serde_json::to_vec(&trials).expect("trials are plain data"));
    }
    if let Some(message) = checkpoint.problem() {
        context.emit(Event::Warning { stage: NAME, message: format!("no checkpoint could be written: {message}") });
    }
    let searched = Searched {
        schema_version: 1,
        key: key.to_string(),
        search: config.search,
        asked: config.clone(),
        ended,
        chosen: best(&trials),
        trials,
    };
    tell(context, searched.told(total));
    let config = TrainConfig {
        search: Search::default(),
        min_samples: config.min_samples,
        ..searched.trials[searched.chosen].settings.clone()
    };
    let sides = take(&mut pooled, context, labels, config.summary())?;
    Ok(Chosen { config, sides, searched })
}

/// Tries settings for at most `left_s` seconds; none where they were not enough.
fn attempt(
    number: usize,
    settings: TrainConfig,
    context: &Context<'_>,
    labels: &Labels,
    pooled: &mut BTreeMap<Summary, Sides>,
    left_s: f64,
) -> Result<Option<Trial>, StageErrorKind> {
    let begun = Instant::now();
    let is_over = || begun.elapsed().as_secs_f64() >= left_s;
    if is_over() {
        return Ok(None);
    }
    let sides = take(pooled, context, labels, settings.summary())?;
    let is_stopped = || context.check_cancelled().is_err() || is_over();
    let found = Procedure { config: &settings, labels, unit: context.kept_together() }
        .cross_validate(&sides.train, &is_stopped);
    pooled.insert(settings.summary(), sides);
    context.check_cancelled()?;
    let (log_loss, accuracy) = match found {
        Ok(Some(metrics)) => (metrics.log_loss, Some(metrics.accuracy)),
        Ok(None) => return Ok(None),
        // Settings of the user's that cannot be trained with are an error; others have lost.
        Err(StageErrorKind::Model(ModelError::Head(HeadError::Diverged { .. }))) if number > 0 => (None, None),
        Err(error) => return Err(error),
    };
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Some(Trial { number, settings, log_loss, accuracy, seconds }))
}

/// The rows pooled in this way, out of those that were taken in before or else out of the table.
fn take(
    pooled: &mut BTreeMap<Summary, Sides>,
    context: &Context<'_>,
    labels: &Labels,
    summary: Summary,
) -> Result<Sides, StageErrorKind> {
    match pooled.remove(&summary) {
        Some(sides) => Ok(sides),
        None => Ok(read_sides(context, summary, labels)?.0),
    }
}

/// Number of the trial with the lowest cross-entropy, the first of equals; 0 unless another one is better by more than chance.
fn best(trials: &[Trial]) -> usize {
    let loss = |number: usize| trials[number].log_loss.unwrap_or(f64::INFINITY);
    let best = (0..trials.len()).min_by(|&a, &b| loss(a).total_cmp(&loss(b))).unwrap_or(0);
    if loss(best) < BETTER * loss(0) { best } else { 0 }
}

fn tell(context: &Context<'_>, line: String) {
    context.emit(Event::Told { stage: NAME, line });
}

impl Trial {
    /// For people.
    fn told(&self, total: usize) -> String {
        let Self { number, settings, seconds, .. } = self;
        let found = match (self.log_loss, self.accuracy) {
            (Some(loss), Some(accuracy)) => format!("cross-entropy {loss:.4}, accuracy {accuracy:.4}"),
            _ => "diverged".to_owned(),
        };
        format!("trial {number} of {total}: {}: {found}, {seconds:.1} s", words(settings))
    }
}

impl Searched {
    /// For people: why it ended, and what has won.
    fn told(&self, total: usize) -> String {
        let Self { chosen, trials, search, .. } = self;
        let over = match self.ended {
            Ended::Trials => String::new(),
            Ended::Budget => {
                format!("{} s are over after {} of {total} trials (`train.search`); ", search.budget_s, trials.len())
            }
        };
        if *chosen == 0 {
            return format!("{over}no settings are better than yours by more than 1 %: trial 0 is trained");
        }
        let loss = |number: usize| trials[number].log_loss.unwrap_or(f64::INFINITY);
        let (own, best) = (loss(0), loss(*chosen));
        format!("{over}trial {chosen} is trained: its cross-entropy is {best:.4}, that of your settings {own:.4}")
    }
}

/// Settings in words.
fn words(settings: &TrainConfig) -> String {
    let mut words = vec![match settings.head {
        HeadKind::Linear => "linear".to_owned(),
        HeadKind::Mlp => "mlp".to_owned(),
    }];
    words.push(if settings.pooling == Pooling::Mean { "mean".to_owned() } else { "mean_std".to_owned() });
    if settings.features == Features::Contrast {
        words.push("contrast".to_owned());
    }
    if settings.class_weights == ClassWeights::Balanced {
        words.push("balanced weights".to_owned());
    }
    if settings.sampling == Sampling::Balanced {
        words.push("balanced sampling".to_owned());
    }
    if settings.mixup > 0.0 {
        words.push(format!("mixup {}", settings.mixup));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(losses: &[Option<f64>]) -> Vec<Trial> {
        let trial = |(number, &log_loss): (usize, &Option<f64>)| Trial {
            number,
            settings: TrainConfig::default(),
            log_loss,
            accuracy: log_loss,
            seconds: 1.0,
        };
        losses.iter().enumerate().map(trial).collect()
    }

    #[test]
    fn the_lowest_loss_wins_if_it_is_lower_than_ones_own_for_more_than_chance() {
        let best = |losses: &[f64]| best(&trials(&losses.iter().map(|&loss| Some(loss)).collect::<Vec<_>>()));
        assert_eq!(best(&[0.5]), 0);
        assert_eq!(best(&[0.5, 0.497, 0.499]), 0);
        assert_eq!(best(&[0.5, 0.45, 0.4, 0.4]), 2);
        assert_eq!(super::best(&trials(&[Some(0.5), None, Some(0.4)])), 2);
    }

    #[test]
    fn a_trial_tells_its_settings() {
        let mut trial = trials(&[Some(0.25)]).remove(0);
        trial.settings.mixup = 0.2;
        trial.number = 3;
        assert_eq!(
            trial.told(20),
            "trial 3 of 20: linear, mean_std, mixup 0.2: cross-entropy 0.2500, accuracy 0.2500, 1.0 s"
        );
    }
}

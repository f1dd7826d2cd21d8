//! Training of the multi-layer head: Adam on shuffled batches, early stopping, learning rate halved on a plateau.

use burn::module::Module;

use super::coverage::covered;
use super::examples::OwnedExamples;
use super::folds::GroupFolds;
use super::mlp_session::Session;
use super::model::Network;
use super::train::{Epoch, OnEpoch, OutOfFold, Stopped, Trained, Unseen, Watch};
use super::{Examples, Head, HeadError, Normaliser, Targets, TrainConfig};

/// Trains on checked examples: on the train rows for as long as that helps on the val rows, then anew and as long on both. Val rows of classes
/// without train rows have no say in how long.
///
/// In between, the originals of the train side are scored by cross-validation over their groups, each fold by a network that was trained as long on
/// the others: five trainings of four fifths of the rows.
pub(super) fn train(
    train: Examples<'_>,
    val: Option<&Examples<'_>>,
    targets: Targets<'_>,
    config: &TrainConfig,
    watch: &mut Watch<'_>,
) -> Result<Trained, HeadError> {
    let Some(val) = val else {
        let Fitted { head, history, stopped } = fit(train, None, targets, config, &[], watch)?;
        return Ok(Trained { head, history, stopped, l2: None, tried: Vec::new(), unseen: Unseen::default() });
    };
    let n = train.n();
    let val_rows = covered(train.y.iter().copied(), (0..val.n()).collect(), val.y, targets);
    let judged = OwnedExamples::of(val, &val_rows);
    let mut both = OwnedExamples::join(&train, val);
    let resume = watch.resume;
    let mut last = Vec::new();
    let chosen = {
        let on_epoch: &mut OnEpoch<'_> = &mut |epoch, snapshot| {
            let flow = (watch.on_epoch)(epoch, snapshot);
            last = if flow.is_break() { Vec::new() } else { snapshot() };
            flow
        };
        let val = (!val_rows.is_empty()).then(|| judged.all());
        fit(train, val, targets, config, &[], &mut Watch { resume, on_epoch, is_stopped: watch.is_stopped })?
    };
    let unseen_val = OutOfFold { logits: chosen.head.logits(&judged.all().x), rows: val_rows };
    let mut trained = Trained {
        head: chosen.head,
        history: chosen.history,
        stopped: chosen.stopped,
        l2: None,
        tried: Vec::new(),
        unseen: Unseen { train: OutOfFold::default(), val: unseen_val },
    };
    if trained.stopped == Stopped::Interrupted {
        return Ok(trained);
    }
    let rates: Vec<f64> = trained.history.iter().map(|epoch| epoch.learning_rate).collect();
    let again = TrainConfig { max_epochs: best_epoch(&trained.history), ..config.clone() };
    // Interrupted from here on, it begins with this second part again: the snapshot is that of the end of the first.
    let on_epoch: &mut OnEpoch<'_> = &mut |epoch, _| (watch.on_epoch)(epoch, &|| last.clone());
    let mut watch = Watch { resume: None, on_epoch, is_stopped: watch.is_stopped };
    match out_of_fold(&both.first(n), targets, &again, &rates, &mut watch)? {
        Some(unseen) => trained.unseen.train = unseen,
        None => return Ok(Trained { stopped: Stopped::Interrupted, ..trained }),
    }
    let refit = fit(both.take(), None, targets, &again, &rates, &mut watch)?;
    let stopped = if refit.stopped == Stopped::Interrupted { Stopped::Interrupted } else { trained.stopped };
    Ok(Trained { head: refit.head, stopped, ..trained })
}

/// Number of the epoch with the lowest loss on the validation rows, the first of equals; of the last where there are no such rows.
fn best_epoch(history: &[Epoch]) -> u32 {
    let losses = history.iter().filter_map(|epoch| Some((epoch.epoch, epoch.val_loss?)));
    losses.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(history.len() as u32, |(number, _)| number)
}

/// Logits of the originals among `rows`, each fold of groups by a network trained on the others for all epochs of `config` at these learning rates. None if
/// the user has stopped it.
fn out_of_fold(
    rows: &Examples<'_>,
    targets: Targets<'_>,
    config: &TrainConfig,
    rates: &[f64],
    watch: &mut Watch<'_>,
) -> Result<Option<OutOfFold>, HeadError> {
    let Some(folds) = GroupFolds::deal(rows.groups, rows.y, config.seed) else { return Ok(Some(OutOfFold::default())) };
    let (judged, classes) = (folds.judged(rows.y, rows.is_original, targets), targets.classes());
    let mut logits = vec![0.0; judged.len() * classes];
    for number in 0..folds.count {
        let places: Vec<usize> = (0..judged.len()).filter(|&place| folds.of_row[judged[place]] == number).collect();
        if places.is_empty() {
            continue;
        }
        let rest: Vec<usize> = (0..rows.n()).filter(|&row| folds.of_row[row] != number).collect();
        let fitted = fit(OwnedExamples::of(rows, &rest).take(), None, targets, config, rates, watch)?;
        if fitted.stopped == Stopped::Interrupted {
            return Ok(None);
        }
        let held_out: Vec<usize> = places.iter().map(|&place| judged[place]).collect();
        let found = fitted.head.logits(&OwnedExamples::of(rows, &held_out).all().x);
        for (place, row) in places.into_iter().zip(found.chunks_exact(classes)) {
            logits[place * classes..(place + 1) * classes].copy_from_slice(row);
        }
    }
    Ok(Some(OutOfFold { rows: judged, logits }))
}

/// What came of one training.
struct Fitted {
    head: Head,
    history: Vec<Epoch>,
    stopped: Stopped,
}

/// Trains on `train`, and stops early by `val` where there is one. With `rates`, those are the learning rates of the epochs.
fn fit(
    train: Examples<'_>,
    val: Option<Examples<'_>>,
    targets: Targets<'_>,
    config: &TrainConfig,
    rates: &[f64],
    watch: &mut Watch<'_>,
) -> Result<Fitted, HeadError> {
    let normaliser = Normaliser::fit(&train.x, train.dim);
    let mut x = train.x.into_owned();
    normaliser.apply_in_place(&mut x);
    let val = val.map(|val| (normaliser.apply(&val.x), val.y));
    let mut session = Session::new(Examples { x: x.into(), ..train }, targets, config);
    if let Some(bytes) = watch.resume {
        session.load(bytes);
    }
    let mut stopped = Stopped::MaxEpochs;
    while session.course.history.len() < config.max_epochs as usize {
        if session.course.stale >= config.patience {
            stopped = Stopped::EarlyStopping;
            break;
        }
        let number = session.course.history.len() as u32 + 1;
        if let Some(&rate) = rates.get(session.course.history.len()) {
            session.course.learning_rate = rate;
        }
        let learning_rate = session.course.learning_rate;
        let Some(score) = session.epoch(watch.is_stopped) else {
            stopped = Stopped::Interrupted;
            break;
        };
        let val = val.as_ref().map(|(x, y)| session.validate(x, y));
        if !score.loss.is_finite() || val.is_some_and(|val| !val.loss.is_finite()) {
            return Err(HeadError::Diverged { epoch: number });
        }
        if let Some(val) = val {
            session.judge(val.loss);
        }
        let epoch = Epoch {
            epoch: number,
            loss: score.loss,
            accuracy: score.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.map(|v| v.accuracy),
            learning_rate,
        };
        session.course.history.push(epoch.clone());
        if (watch.on_epoch)(&epoch, &|| session.save()).is_break() {
            stopped = Stopped::Interrupted;
            break;
        }
    }
    if stopped == Stopped::MaxEpochs && session.course.stale >= config.patience {
        stopped = Stopped::EarlyStopping;
    }
    let network = Network::Mlp(Box::new(session.best.unwrap_or_else(|| session.net.valid())));
    let head = Head::new(normaliser, network, targets.classes(), targets.scores());
    Ok(Fitted { head, history: session.course.history, stopped })
}

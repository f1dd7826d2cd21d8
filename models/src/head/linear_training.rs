//! Training of the linear head to its optimum.

use super::lbfgs::{Ended, Limits, Minimisation};
use super::model::Network;
use super::score::score;
use super::snapshot::Snapshot;
use super::softmax_regression::SoftmaxRegression;
use super::train::{Epoch, Stopped, Trained, Watch};
use super::{Examples, Head, HeadError, Normaliser, TrainConfig};

/// Tight enough that loss and predictions are those of a solver that runs to machine precision.
const LIMITS: Limits = Limits { gradient: 1e-6, decrease: 1e-6, iterations: 1000 };

/// Trains on checked examples. An epoch is one step of L-BFGS over all rows.
pub(super) fn train(
    train: Examples<'_>,
    val: Option<&Examples>,
    classes: usize,
    config: &TrainConfig,
    watch: &mut Watch<'_>,
) -> Result<Trained, HeadError> {
    let Examples { x, y, dim } = train;
    let normaliser = Normaliser::fit(&x, dim);
    let mut x = x.into_owned();
    normaliser.apply_in_place(&mut x);
    let objective = SoftmaxRegression::new(x, y, classes, config.l2);
    let val_x = val.map(|val| normaliser.apply(&val.x));
    let (minimisation, mut history) = watch
        .resume
        .and_then(|bytes| load(bytes, objective.parameters()))
        .unwrap_or_else(|| (Minimisation::start(objective.evaluate(vec![0.0; objective.parameters()])), Vec::new()));
    let (optimum, ended) = minimisation.run(
        LIMITS,
        |point| objective.evaluate(point),
        |iteration, now| {
            let val = val.zip(val_x.as_ref()).map(|(val, x)| {
                let network = network(&now.at.point, dim, classes);
                score(&network.logits(x, dim), val.y, classes)
            });
            let epoch = Epoch {
                epoch: iteration,
                loss: now.at.value,
                accuracy: now.at.accuracy,
                val_loss: val.map(|v| v.loss),
                val_accuracy: val.map(|v| v.accuracy),
                learning_rate: 1.0,
            };
            history.push(epoch.clone());
            (watch.on_epoch)(&epoch, &|| save(now, &history))
        },
    );
    if !optimum.value.is_finite() {
        return Err(HeadError::Diverged { epoch: history.len() as u32 });
    }
    let head = Head::new(normaliser, network(&optimum.point, dim, classes), classes);
    let stopped = match ended {
        Ended::Converged => Stopped::Converged,
        Ended::Iterations => Stopped::MaxEpochs,
        Ended::Interrupted => Stopped::Interrupted,
    };
    Ok(Trained { head, history, stopped })
}

fn save(now: &Minimisation, history: &[Epoch]) -> Vec<u8> {
    let mut snapshot = Snapshot::new(&history);
    now.save(&mut snapshot);
    snapshot.into_bytes()
}

fn load(bytes: &[u8], parameters: usize) -> Option<(Minimisation, Vec<Epoch>)> {
    let mut snapshot = Snapshot::from_bytes(bytes)?;
    let history = snapshot.facts()?;
    Some((Minimisation::load(&mut snapshot, parameters)?, history))
}

fn network(point: &[f64], dim: usize, classes: usize) -> Network {
    let narrow: Vec<f32> = point.iter().map(|&value| value as f32).collect();
    let (weight, bias) = narrow.split_at(dim * classes);
    Network::linear(weight.to_vec(), bias.to_vec(), dim)
}

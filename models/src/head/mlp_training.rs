//! Training of the multi-layer head: Adam on shuffled batches, early stopping, learning rate halved on a plateau.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::blocks::{device, matrix, values};
use super::mlp::Mlp;
use super::model::Network;
use super::score::{Score, score};
use super::train::{Epoch, Stopped, Trained};
use super::{Examples, Head, HeadError, Normaliser, TrainConfig};

/// Epochs without a lower validation loss after which the learning rate halves.
const PLATEAU: u32 = 7;

/// Adam's ε in Keras, from which learning rate and network come; burn's default is 1e-5.
const ADAM_EPSILON: f32 = 1e-7;

/// Trains on checked examples.
pub(super) fn train(
    train: Examples<'_>,
    val: Option<&Examples>,
    classes: usize,
    config: &TrainConfig,
    on_epoch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Trained, HeadError> {
    let normaliser = Normaliser::fit(&train.x, train.dim);
    let mut x = train.x.into_owned();
    normaliser.apply_in_place(&mut x);
    let val_x = val.map(|val| normaliser.apply(&val.x));
    let mut session = Session::new(Examples { x: x.into(), ..train }, classes, config);
    let mut history = Vec::new();
    let mut best: Option<(f64, Mlp)> = None;
    let (mut stale, mut stopped) = (0, Stopped::MaxEpochs);

    for number in 1..=config.max_epochs {
        let learning_rate = session.learning_rate;
        let score = session.epoch();
        let val = val.zip(val_x.as_ref()).map(|(val, x)| session.validate(x, val.y));
        if !score.loss.is_finite() || val.is_some_and(|val| !val.loss.is_finite()) {
            return Err(HeadError::Diverged { epoch: number });
        }
        if let Some(val) = val {
            if best.as_ref().is_none_or(|(loss, _)| val.loss < *loss) {
                best = Some((val.loss, session.net.valid()));
                stale = 0;
            } else {
                stale += 1;
                if stale % PLATEAU == 0 {
                    session.learning_rate *= 0.5;
                }
            }
        }
        let epoch = Epoch {
            epoch: number,
            loss: score.loss,
            accuracy: score.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.map(|v| v.accuracy),
            learning_rate,
        };
        let flow = on_epoch(&epoch);
        history.push(epoch);
        if flow.is_break() {
            stopped = Stopped::Interrupted;
            break;
        }
        if stale >= config.patience {
            stopped = Stopped::EarlyStopping;
            break;
        }
    }
    let net = best.map_or_else(|| session.net.valid(), |(_, best)| best);
    let head = Head::new(normaliser, Network::Mlp(Box::new(net)), classes);
    Ok(Trained { head, history, stopped })
}

/// What changes from step to step.
struct Session<'a> {
    examples: Examples<'a>,
    classes: usize,
    batch_size: usize,
    net: Mlp,
    optimiser: ModuleOptimizer,
    learning_rate: f64,
    order: Vec<usize>,
    rng: ChaCha8Rng,
}

impl<'a> Session<'a> {
    fn new(examples: Examples<'a>, classes: usize, config: &TrainConfig) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        Self {
            net: Mlp::new(examples.dim, classes, &mut rng, &device().autodiff()),
            optimiser: AdamConfig::new().with_epsilon(ADAM_EPSILON).init(),
            learning_rate: config.learning_rate,
            order: (0..examples.n()).collect(),
            batch_size: config.batch_size,
            examples,
            classes,
            rng,
        }
    }

    /// One pass over the rows in a new order; the score is measured along the way, with dropout, as Keras does.
    fn epoch(&mut self) -> Score {
        self.order.shuffle(&mut self.rng);
        let order = std::mem::take(&mut self.order);
        let mut sum = Score { loss: 0.0, accuracy: 0.0 };
        for batch in batches(&order, self.batch_size) {
            let score = self.step(batch);
            let share = batch.len() as f64 / order.len() as f64;
            sum.loss += share * score.loss;
            sum.accuracy += share * score.accuracy;
        }
        self.order = order;
        sum
    }

    fn step(&mut self, batch: &[usize]) -> Score {
        let Examples { x, y, dim } = &self.examples;
        let rows = batch.iter().flat_map(|&row| &x[row * dim..(row + 1) * dim]).copied().collect();
        let labels: Vec<usize> = batch.iter().map(|&row| y[row]).collect();
        let mut target = vec![0.0; batch.len() * self.classes];
        for (row, &label) in labels.iter().enumerate() {
            target[row * self.classes + label] = 1.0;
        }
        let device = device().autodiff();
        let rows = matrix(rows, batch.len(), *dim, &device);
        let target = matrix(target, batch.len(), self.classes, &device);

        let logits = self.net.forward_with_dropout(rows, &mut self.rng);
        let loss = (log_softmax(logits.clone(), 1) * target).sum().neg().div_scalar(batch.len() as f64);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimiser.step(self.learning_rate, self.net.clone(), gradients);
        score(&values(logits.inner()), &labels, self.classes)
    }

    fn validate(&self, x: &[f32], y: &[usize]) -> Score {
        let network = Network::Mlp(Box::new(self.net.valid()));
        score(&network.logits(x, self.examples.dim), y, self.classes)
    }
}

/// Batches of `size` rows; a last batch of one row, whose variance is zero, joins the one before it.
fn batches(order: &[usize], size: usize) -> impl Iterator<Item = &[usize]> {
    let n = order.len();
    let count = if n > size && n % size == 1 { n / size } else { n.div_ceil(size) };
    (0..count).map(move |batch| {
        let end = if batch + 1 == count { n } else { (batch + 1) * size };
        &order[batch * size..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_batch_and_no_batch_of_several_has_one_row() {
        for n in 1..=140 {
            let order: Vec<usize> = (0..n).collect();
            let batches: Vec<&[usize]> = batches(&order, 64).collect();
            assert_eq!(batches.concat(), order);
            assert!(batches.len() == 1 || batches.iter().all(|b| b.len() > 1), "{n}");
        }
    }
}

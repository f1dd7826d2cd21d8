//! One training of the multi-layer head, step by step, and its snapshots.

use burn::module::{Module, ParamId};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Bytes, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::blocks::{device, matrix, values};
use super::mixup::Mix;
use super::mlp::Mlp;
use super::model::Network;
use super::sampling::{Sampling, balanced, batches};
use super::score::{Score, score};
use super::snapshot::Snapshot;
use super::train::Epoch;
use super::{Examples, Targets, TrainConfig};

/// Epochs without a lower validation loss after which the learning rate halves.
const PLATEAU: u32 = 7;

/// Adam's ε in Keras, from which learning rate and network come; burn's default is 1e-5.
const ADAM_EPSILON: f32 = 1e-7;

/// How the training has gone so far.
#[derive(Serialize, Deserialize)]
pub(super) struct Course {
    pub(super) history: Vec<Epoch>,
    pub(super) learning_rate: f64,
    /// Lowest loss on the validation rows.
    best_loss: Option<f64>,
    /// Epochs since then.
    pub(super) stale: u32,
}

/// What changes from step to step.
pub(super) struct Session<'a> {
    examples: Examples<'a>,
    targets: Targets<'a>,
    /// Weight of the rows of each label.
    class_weights: Vec<f32>,
    batch_size: usize,
    sampling: Sampling,
    mixup: f64,
    pub(super) net: Mlp,
    /// The network of the epoch with the lowest loss on the validation rows.
    pub(super) best: Option<Mlp>,
    optimiser: ModuleOptimizer,
    order: Vec<usize>,
    rng: ChaCha8Rng,
    pub(super) course: Course,
}

/// What of a session is no array.
#[derive(Serialize, Deserialize)]
struct Facts {
    course: Course,
    /// Position in the stream of random numbers; too large a number for JSON.
    word: String,
    /// Identities of the parameters, by which the optimiser knows them.
    parameters: Vec<u64>,
    has_best: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(examples: Examples<'a>, targets: Targets<'a>, config: &TrainConfig) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        Self {
            net: Mlp::new(examples.dim, targets.classes(), &mut rng, &device().autodiff()),
            optimiser: AdamConfig::new().with_epsilon(ADAM_EPSILON).init(),
            best: None,
            course: Course { history: Vec::new(), learning_rate: config.learning_rate, best_loss: None, stale: 0 },
            class_weights: config.class_weights.of(examples.y, targets.labels()),
            order: (0..examples.n()).collect(),
            batch_size: config.batch_size,
            sampling: config.sampling,
            mixup: config.mixup,
            examples,
            targets,
            rng,
        }
    }

    /// Keeps the network if its loss on the validation rows is the lowest so far.
    pub(super) fn judge(&mut self, loss: f64) {
        if self.course.best_loss.is_none_or(|best| loss < best) {
            self.best = Some(self.net.valid());
            (self.course.best_loss, self.course.stale) = (Some(loss), 0);
        } else {
            self.course.stale += 1;
            if self.course.stale.is_multiple_of(PLATEAU) {
                self.course.learning_rate *= 0.5;
            }
        }
    }

    /// Everything that the epochs to come depend on.
    pub(super) fn save(&self) -> Vec<u8> {
        let course = &self.course;
        let facts = Facts {
            course: Course { history: course.history.clone(), ..*course },
            word: self.rng.get_word_pos().to_string(),
            parameters: self.net.parameters().iter().map(ParamId::val).collect(),
            has_best: self.best.is_some(),
        };
        let mut snapshot = Snapshot::new(&facts);
        self.net.valid().save("net", &mut snapshot);
        if let Some(best) = &self.best {
            best.save("best", &mut snapshot);
        }
        let optimiser = self.optimiser.to_record().into_bytes().expect("the record is in memory");
        snapshot.put_bytes("optimiser", optimiser.to_vec());
        let order = self.order.iter().flat_map(|&row| (row as u64).to_le_bytes()).collect();
        snapshot.put_bytes("order", order);
        snapshot.into_bytes()
    }

    /// Goes on from a snapshot; nothing happens where the bytes are none of such a session.
    pub(super) fn load(&mut self, bytes: &[u8]) {
        let Some(mut snapshot) = Snapshot::from_bytes(bytes) else { return };
        let mut load = || {
            let facts: Facts = snapshot.facts()?;
            let order = snapshot.take_bytes("order")?;
            let order: Vec<usize> = order.as_chunks::<8>().0.iter().map(|x| u64::from_le_bytes(*x) as usize).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            let (dim, classes) = (self.examples.dim, self.targets.classes());
            let ids: Vec<ParamId> = facts.parameters.iter().map(|&id| ParamId::from(id)).collect();
            let net = Mlp::load("net", &mut snapshot, dim, classes, Some(&ids), &device().autodiff())?;
            let best = if facts.has_best {
                Some(Mlp::load("best", &mut snapshot, dim, classes, None, &device())?)
            } else {
                None
            };
            let optimiser =
                OptimizerRecord::from_bytes(Bytes::from_bytes_vec(snapshot.take_bytes("optimiser")?)).ok()?;
            let word: u128 = facts.word.parse().ok()?;
            sorted.iter().copied().eq(0..self.examples.n()).then_some((facts.course, order, net, best, optimiser, word))
        };
        let Some((course, order, net, best, optimiser, word)) = load() else { return };
        self.rng.set_word_pos(word);
        self.optimiser = AdamConfig::new().with_epsilon(ADAM_EPSILON).init().load_record(optimiser);
        (self.course, self.order, self.net, self.best) = (course, order, net, best);
    }

    /// One pass over the rows in a new order; the score is measured along the way, with dropout, as Keras does. None if it was stopped.
    pub(super) fn epoch(&mut self, is_stopped: &dyn Fn() -> bool) -> Option<Score> {
        let order = self.draw();
        let mut sum = Score { loss: 0.0, accuracy: 0.0 };
        for batch in batches(&order, self.batch_size) {
            if is_stopped() {
                return None;
            }
            let score = self.step(batch);
            let share = batch.len() as f64 / order.len() as f64;
            sum.loss += share * score.loss;
            sum.accuracy += share * score.accuracy;
        }
        Some(sum)
    }

    /// The rows of an epoch.
    fn draw(&mut self) -> Vec<usize> {
        match self.sampling {
            Sampling::All => {
                self.order.shuffle(&mut self.rng);
                self.order.clone()
            }
            Sampling::Balanced => balanced(self.examples.y, &mut self.rng),
        }
    }

    fn step(&mut self, batch: &[usize]) -> Score {
        let (mut rows, mut asked) = (self.rows(batch), self.asked(batch));
        let mix = Mix::draw(self.mixup, batch, &mut self.rng);
        if let Some(mix) = &mix {
            mix.blend(&mut rows, &self.rows(&mix.partners));
            for (own, partners) in asked.iter_mut().zip(self.asked(&mix.partners)) {
                mix.blend(own, &partners);
            }
        }
        let rows = matrix(rows, batch.len(), self.examples.dim, &device().autodiff());

        let logits = self.net.forward_with_dropout(rows, &mut self.rng);
        let gradients = GradientsParams::from_grads(self.loss(logits.clone(), asked).backward(), &self.net);
        self.net = self.optimiser.step(self.course.learning_rate, self.net.clone(), gradients);
        let logits = values(logits.inner());
        let score = |batch: &[usize]| score(&logits, &self.labels(batch), self.targets);
        mix.map_or_else(|| score(batch), |mix| mix.score(score(batch), score(&mix.partners)))
    }

    /// The values of these rows.
    fn rows(&self, batch: &[usize]) -> Vec<f32> {
        let Examples { x, dim, .. } = &self.examples;
        batch.iter().flat_map(|&row| &x[row * dim..(row + 1) * dim]).copied().collect()
    }

    /// The labels of these rows.
    fn labels(&self, batch: &[usize]) -> Vec<usize> {
        batch.iter().map(|&row| self.examples.y[row]).collect()
    }

    /// What is asked of each class for these rows, `[rows, classes]`, weighted: which one it is; where a row can be of several, of which it is known
    /// whether they are there, and which ones are.
    fn asked(&self, batch: &[usize]) -> Vec<Vec<f32>> {
        let labels = self.labels(batch);
        let weighted = |cell: &dyn Fn(usize, usize) -> bool| -> Vec<f32> {
            let cells = labels.iter().flat_map(|&label| (0..self.targets.classes()).map(move |class| (label, class)));
            cells.map(|(label, class)| if cell(label, class) { self.class_weights[label] } else { 0.0 }).collect()
        };
        match self.targets {
            Targets::One(_) => vec![weighted(&|label, class| label == class)],
            Targets::Any(sets) => vec![
                weighted(&|label, class| sets.of(label)[class].is_some()),
                weighted(&|label, class| sets.of(label)[class] == Some(true)),
            ],
        }
    }

    /// Mean cross-entropy of rows of which this is `asked`, `[1]`.
    fn loss(&self, logits: Tensor<2>, asked: Vec<Vec<f32>>) -> Tensor<1> {
        let [n, classes] = logits.dims();
        let mut asked = asked.into_iter().map(|cells| matrix(cells, n, classes, &device().autodiff()));
        let mut next = || asked.next().expect("as many as are asked");
        let sum = match self.targets {
            Targets::One(_) => (log_softmax(logits, 1) * next()).sum().neg(),
            Targets::Any(_) => {
                // −ln σ(z) = ln(1 + exp(−|z|)) + max(z, 0) − z for what is there, and the same without the last term for what is not.
                let absent = logits.clone().abs().neg().exp().log1p() + relu(logits.clone());
                (absent * next() - logits * next()).sum()
            }
        };
        sum.div_scalar(n as f64)
    }

    pub(super) fn validate(&self, x: &[f32], y: &[usize]) -> Score {
        let network = Network::Mlp(Box::new(self.net.valid()));
        score(&network.logits(x, self.examples.dim), y, self.targets)
    }
}

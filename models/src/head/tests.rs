//! What holds for every head, seen from outside.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::*;

const DIM: usize = 6;
const CLASSES: usize = 3;

/// Noisy clusters, `[n, DIM]`, with their labels.
fn clusters(n: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let y: Vec<usize> = (0..n).map(|row| row % CLASSES).collect();
    let cell = |label: usize, column: usize| if column % CLASSES == label { 2.0 } else { 0.0 };
    let x = y
        .iter()
        .flat_map(|&label| (0..DIM).map(move |column| cell(label, column)))
        .map(|centre| centre + rng.random_range(-1.5_f32..1.5))
        .collect();
    (x, y)
}

/// Rows that are recordings of their own.
fn examples<'a>(x: &'a [f32], y: &'a [usize], dim: usize) -> Examples<'a> {
    static GROUPS: LazyLock<Vec<u32>> = LazyLock::new(|| (0..1000).collect());
    Examples { x: x.into(), y, groups: &GROUPS[..y.len()], is_original: &[true; 1000][..y.len()], dim }
}

fn config(head: HeadKind) -> TrainConfig {
    TrainConfig { head, max_epochs: 12, batch_size: 32, ..TrainConfig::default() }
}

fn trained(n: usize, config: &TrainConfig) -> Trained {
    let ((x, y), (val_x, val_y)) = (clusters(n, 1), clusters(60, 2));
    let val = examples(&val_x, &val_y, DIM);
    let rows = examples(&x, &y, DIM);
    train(rows.clone(), Some(&val), CLASSES, config, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn a_second_run_and_another_number_of_threads_give_the_same_bits() {
    for kind in [HeadKind::Linear, HeadKind::Mlp] {
        let config = config(kind);
        let one = on_threads(1, || trained(900, &config));
        let two = on_threads(2, || trained(900, &config));
        assert_eq!(HeadRecord::from(&one.head), HeadRecord::from(&two.head), "{kind:?}");
        assert_eq!(one.history, two.history, "{kind:?}");
    }
}

#[test]
fn another_seed_makes_another_mlp() {
    let config = config(HeadKind::Mlp);
    let other = TrainConfig { seed: 1, ..config.clone() };
    let (one, other) = (trained(90, &config), trained(90, &other));
    assert_ne!(HeadRecord::from(&one.head), HeadRecord::from(&other.head));
}

#[test]
fn both_heads_learn_and_the_bits_of_a_row_do_not_depend_on_its_neighbours() {
    let (x, y) = clusters(150, 3);
    for kind in [HeadKind::Linear, HeadKind::Mlp] {
        let head = trained(300, &config(kind)).head;
        assert_eq!((head.kind(), head.classes(), head.input_dim()), (kind, CLASSES, DIM));
        let together = head.probabilities(&x);
        let right = together.chunks_exact(CLASSES).zip(&y).filter(|(row, y)| argmax(row) == **y).count();
        assert!(right >= 120, "{kind:?}: {right} of 150");
        let alone: Vec<f32> = x.chunks_exact(DIM).flat_map(|row| head.probabilities(row)).collect();
        assert_eq!(bits(&together), bits(&alone), "{kind:?}");
    }
    assert!(trained(9, &config(HeadKind::Linear)).head.probabilities(&[]).is_empty());
}

#[test]
fn the_mlp_stops_early_and_keeps_its_best_epoch() {
    let config = TrainConfig { patience: 2, max_epochs: 100, learning_rate: 0.02, ..config(HeadKind::Mlp) };
    let trained = trained(60, &config);
    assert_eq!(trained.stopped, Stopped::EarlyStopping);
    let losses: Vec<f64> = trained.history.iter().filter_map(|epoch| epoch.val_loss).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses.iter().position(|&loss| loss <= best), Some(losses.len() - 3));
    let (_, y) = clusters(60, 2);
    let loss = score::score(&trained.unseen.val.logits, &y, Targets::One(CLASSES)).loss;
    assert!((loss - best).abs() < 1e-5, "{loss} and {best}");
}

#[test]
fn without_validation_rows_the_mlp_runs_all_its_epochs() {
    let (x, y) = clusters(65, 1);
    let rows = examples(&x, &y, DIM);
    let config = config(HeadKind::Mlp);
    let trained = train(rows.clone(), None, CLASSES, &config, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((trained.history.len(), trained.stopped), (12, Stopped::MaxEpochs));
    assert!(trained.history.iter().all(|epoch| epoch.val_loss.is_none()));
}

#[test]
fn the_caller_can_break_off() {
    let (x, y) = clusters(65, 1);
    let rows = examples(&x, &y, DIM);
    for kind in [HeadKind::Linear, HeadKind::Mlp] {
        let trained = train(rows.clone(), None, CLASSES, &config(kind), &mut |epoch| {
            if epoch.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let trained = trained.unwrap();
        assert_eq!((trained.history.len(), trained.stopped), (2, Stopped::Interrupted));
    }
}

#[test]
fn an_epoch_can_be_left_in_the_middle() {
    let (x, y) = clusters(400, 1);
    let rows = examples(&x, &y, DIM);
    let asked = std::cell::Cell::new(0);
    let is_stopped = || {
        asked.set(asked.get() + 1);
        asked.get() > 15
    };
    let on_epoch: &mut OnEpoch<'_> = &mut |_, _| ControlFlow::Continue(());
    let watch = Watch { resume: None, on_epoch, is_stopped: &is_stopped };
    let trained = train_on(rows, None, CLASSES, &config(HeadKind::Mlp), watch).unwrap();
    assert_eq!((trained.history.len(), trained.stopped), (1, Stopped::Interrupted));
}

#[test]
fn a_training_that_was_broken_off_goes_on_to_the_same_bits() {
    let ((x, y), (val_x, val_y)) = (clusters(150, 1), clusters(60, 2));
    let rows = examples(&x, &y, DIM);
    let val = examples(&val_x, &val_y, DIM);
    let mixed = TrainConfig { sampling: Sampling::Balanced, mixup: 0.3, ..config(HeadKind::Mlp) };
    for config in [config(HeadKind::Linear), config(HeadKind::Mlp), mixed] {
        let whole = trained(150, &config);
        for stop in [1, 4, 9] {
            let mut resume = None;
            let run = |resume: Option<&[u8]>, stop: u32| {
                let mut bytes = Vec::new();
                let on_epoch: &mut OnEpoch<'_> = &mut |epoch, snapshot| {
                    bytes = snapshot();
                    if epoch.epoch == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let watch = Watch { resume, on_epoch, is_stopped: &|| false };
                let trained = train_on(rows.clone(), Some(&val), CLASSES, &config, watch).unwrap();
                (trained, bytes)
            };
            assert_eq!(run(None, stop).0.stopped, Stopped::Interrupted);
            // Stopped a second time, too.
            for stop in [stop, stop + 2, u32::MAX] {
                let (again, bytes) = run(resume.as_deref(), stop);
                resume = Some(bytes);
                if stop == u32::MAX {
                    assert_eq!((&again.history, again.stopped), (&whole.history, whole.stopped), "{config:?} {stop}");
                    assert_eq!(bits(&again.head.probabilities(&val_x)), bits(&whole.head.probabilities(&val_x)));
                }
            }
            // What is no snapshot of such a training is ignored.
            for bytes in [&b""[..], b"nonsense", resume.unwrap().get(..100).unwrap_or_default()] {
                assert_eq!(run(Some(bytes), u32::MAX).0.history, whole.history);
            }
        }
    }
}

#[test]
fn balanced_draws_find_a_rare_class_and_mixup_makes_less_sure() {
    let (x, y) = clusters(900, 5);
    // Six rows of the last class stay.
    let kept: Vec<usize> = (0..900).filter(|&row| y[row] != 2 || row % 150 == 2).collect();
    let x: Vec<f32> = kept.iter().flat_map(|&row| &x[row * DIM..(row + 1) * DIM]).copied().collect();
    let y: Vec<usize> = kept.iter().map(|&row| y[row]).collect();
    let (new_x, new_y) = clusters(300, 6);
    let found = |config: TrainConfig| {
        let rows = examples(&x, &y, DIM);
        let head = train(rows, None, CLASSES, &config, &mut |_| ControlFlow::Continue(())).unwrap().head;
        head.probabilities(&new_x)
    };
    let recall = |found: &[f32]| {
        let hits = found.chunks_exact(CLASSES).zip(&new_y).filter(|(row, y)| **y == 2 && argmax(row) == 2);
        hits.count()
    };
    let sureness = |found: &[f32]| -> f32 { found.chunks_exact(CLASSES).map(|row| row[argmax(row)]).sum() };
    let plain = TrainConfig { max_epochs: 3, ..config(HeadKind::Mlp) };
    let (all, balanced) = (found(plain.clone()), found(TrainConfig { sampling: Sampling::Balanced, ..plain.clone() }));
    assert!(recall(&balanced) > recall(&all) + 20, "{} and {}", recall(&balanced), recall(&all));
    let mixed = found(TrainConfig { mixup: 1.0, ..plain });
    assert!(sureness(&mixed) < 0.95 * sureness(&all), "{} and {}", sureness(&mixed), sureness(&all));
}

#[test]
fn the_penalty_is_chosen_on_recordings_that_were_left_out() {
    // Columns of noise without end: without a penalty every row is known by heart.
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let y: Vec<usize> = (0..90).map(|row| row % CLASSES).collect();
    let value = |rng: &mut ChaCha8Rng, row: usize, column: usize| {
        let signal = if column % CLASSES == y[row] && column < 3 { 1.5 } else { 0.0 };
        signal + rng.random_range(-1.5_f32..1.5)
    };
    let mut x = Vec::new();
    for row in 0..90 {
        for column in 0..60 {
            x.push(value(&mut rng, row, column));
        }
    }
    let flow = &mut |_: &Epoch| ControlFlow::Continue(());
    let trained = train(examples(&x, &y, 60), None, CLASSES, &TrainConfig::default(), flow).unwrap();
    assert!(trained.l2.unwrap() >= 10.0, "{:?}", trained.tried);
    let unseen = score::score(&trained.unseen.train.logits, &y, Targets::One(CLASSES));
    let best = trained.tried.iter().find(|tried| Some(tried.l2) == trained.l2).unwrap();
    assert_eq!((unseen.loss, unseen.accuracy), (best.log_loss, best.accuracy));
    let weakest = trained.tried.last().unwrap();
    assert!(weakest.l2 < best.l2, "{:?}", trained.tried);
}

/// Rows of [`clusters`] with one more column, which is 0; then ten rows of one recording, of a class that only this column tells from the others.
fn with_a_rare_class(n: usize) -> (Vec<f32>, Vec<usize>, Vec<u32>) {
    let (x, mut y) = clusters(n, 7);
    let mut x: Vec<f32> = x.chunks_exact(DIM).flat_map(|row| row.iter().copied().chain([0.0])).collect();
    x.extend((0..10).flat_map(|row| (0..=DIM).map(move |column| if column < DIM { 0.05 * row as f32 } else { 3.0 })));
    y.extend([CLASSES; 10]);
    (x, y, (0..n as u32).chain([n as u32; 10]).collect())
}

/// The first `rows` of such rows.
fn first((x, y, groups): &(Vec<f32>, Vec<usize>, Vec<u32>), rows: usize) -> Examples<'_> {
    let (x, is_original) = ((&x[..rows * (DIM + 1)]).into(), &[true; 1000][..rows]);
    Examples { x, y: &y[..rows], groups: &groups[..rows], is_original, dim: DIM + 1 }
}

#[test]
fn a_class_with_one_recording_moves_neither_penalty_nor_temperature() {
    let all = with_a_rare_class(150);
    let of = |rows: usize| {
        let flow = &mut |_: &Epoch| ControlFlow::Continue(());
        let trained = train(first(&all, rows), None, CLASSES + 1, &TrainConfig::default(), flow).unwrap();
        assert_eq!(trained.unseen.train.rows, (0..150).collect::<Vec<_>>());
        let logits = &trained.unseen.train.logits;
        (trained.l2, crate::metrics::temperature(logits, &all.1[..150], CLASSES + 1).unwrap())
    };
    let (without, with) = (of(150), of(160));
    assert_eq!(without.0, with.0);
    assert!((with.1 / without.1 - 1.0).abs() < 0.1, "{} and {}", with.1, without.1);
}

#[test]
fn val_rows_of_a_class_without_train_rows_do_not_decide_when_the_mlp_stops() {
    let (rows, val) = (with_a_rare_class(90), with_a_rare_class(60));
    let with = |n: usize| {
        let config = TrainConfig { patience: 2, ..config(HeadKind::Mlp) };
        let flow = &mut |_: &Epoch| ControlFlow::Continue(());
        train(first(&rows, 90), Some(&first(&val, n)), CLASSES + 1, &config, flow).unwrap()
    };
    let (without, with) = (with(60), with(70));
    assert_eq!(without.history, with.history);
    assert_eq!(without.unseen, with.unseen);
    assert_eq!(with.unseen.val.rows, (0..60).collect::<Vec<_>>());
}

#[test]
fn the_mlp_scores_the_train_rows_by_networks_that_have_not_seen_their_groups() {
    // Rows that can only be learnt by heart, by the column of their group.
    let groups: Vec<u32> = (0..120).map(|row| row / 4).collect();
    let y: Vec<usize> = groups.iter().map(|&group| (group % 2) as usize).collect();
    let x: Vec<f32> =
        groups.iter().flat_map(|&group| (0..30).map(move |column| f32::from(u8::from(column == group)))).collect();
    let rows = Examples { x: x.into(), y: &y, groups: &groups, is_original: &[true; 120], dim: 30 };
    let config = TrainConfig { max_epochs: 30, patience: 30, ..config(HeadKind::Mlp) };
    let val = rows.clone();
    let trained = train(rows, Some(&val), 2, &config, &mut |_| ControlFlow::Continue(())).unwrap();
    let score = |found: &OutOfFold| {
        let truth: Vec<usize> = found.rows.iter().map(|&row| y[row]).collect();
        score::score(&found.logits, &truth, Targets::One(2)).accuracy
    };
    assert_eq!(trained.unseen.train.rows.len(), 120);
    let (unseen, seen) = (score(&trained.unseen.train), score(&trained.unseen.val));
    assert!(seen > 0.95 && unseen < 0.7, "{seen} and {unseen}");
}

#[test]
fn a_fit_of_some_rows_is_the_fit_that_never_saw_the_others() {
    // A fold is the same as a training on its rows alone, with a normaliser of their own.
    let ((x, y), (val_x, _)) = (clusters(150, 1), clusters(60, 2));
    let config = TrainConfig { l2: L2::Given(3.0), ..TrainConfig::default() };
    let flow = &mut |_: &Epoch| ControlFlow::Continue(());
    // Val rows far away, which would change the normaliser.
    let far: Vec<f32> = val_x.iter().map(|value| 10.0 * value + 5.0).collect();
    let val_y = vec![0; 60];
    let with = train(examples(&x, &y, DIM), Some(&examples(&far, &val_y, DIM)), CLASSES, &config, flow).unwrap();
    let alone = train(examples(&x, &y, DIM), None, CLASSES, &config, flow).unwrap().head.probabilities(&far);
    for (logits, expected) in with.unseen.val.logits.chunks_exact(CLASSES).zip(alone.chunks_exact(CLASSES)) {
        let mut row: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        softmax(&mut row);
        for (found, expected) in row.iter().zip(expected) {
            assert!((found - f64::from(*expected)).abs() < 1e-3, "{row:?} and {expected}");
        }
    }
}

#[test]
fn balanced_classes_weigh_the_same() {
    let weights = ClassWeights::Balanced.of(&[0, 0, 0, 1], 3);
    assert_eq!(weights[..2], [4.0 / 6.0, 2.0]);
    assert_eq!(ClassWeights::None.of(&[0, 0, 0, 1], 2), [1.0, 1.0]);
}

#[test]
fn a_head_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Head>();
}

#[derive(Deserialize)]
struct Golden {
    x_sum: f64,
    y: Vec<usize>,
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenCase {
    l2: f64,
    objective: f64,
    accuracy: f64,
    predictions: Vec<usize>,
    first_probabilities: Vec<Vec<f32>>,
}

/// The rows of `tests/oracles/head_sklearn.py`.
fn golden_rows(y: &[usize]) -> Vec<f32> {
    let (mut state, mut x) = (12_345_u32, Vec::new());
    for &label in y {
        for j in 0..12_usize {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / 16_777_216.0;
            let width = (1 + j) as f64;
            x.push((noise * width + if j % 4 == label { 0.25 * width } else { 0.0 }) as f32);
        }
    }
    x
}

#[test]
fn the_linear_head_has_the_optimum_of_scikit_learn() {
    let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracles/golden/head.json"));
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let x = golden_rows(&golden.y);
    assert!((x.iter().map(|&v| f64::from(v)).sum::<f64>() - golden.x_sum).abs() < 1e-6);
    let rows = examples(&x, &golden.y, 12);
    for case in golden.cases {
        let config = TrainConfig { l2: L2::Given(case.l2), ..TrainConfig::default() };
        let trained = train(rows.clone(), None, 4, &config, &mut |_| ControlFlow::Continue(())).unwrap();
        let last = trained.history.last().unwrap();
        assert_eq!(trained.stopped, Stopped::Converged);
        assert!((last.loss / case.objective - 1.0).abs() < 1e-5, "{} and {}", last.loss, case.objective);
        assert!((last.accuracy - case.accuracy).abs() < 1e-12);
        let probabilities = trained.head.probabilities(&x);
        let predictions: Vec<usize> = probabilities.chunks_exact(4).map(argmax).collect();
        assert_eq!(predictions, case.predictions);
        for (found, expected) in probabilities.iter().zip(case.first_probabilities.iter().flatten()) {
            assert!((found - expected).abs() < 1e-3, "{found} and {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn probabilities_are_finite_and_sum_to_one(
        seed in 0_u64..1000,
        x in prop::collection::vec(prop_oneof![-10.0_f32..10.0, -1e30_f32..1e30], DIM..DIM * 5),
    ) {
        let (train_x, y) = clusters(40, seed);
        let rows = examples(&train_x, &y, DIM);
        let config = TrainConfig { max_epochs: 1, ..config(HeadKind::Mlp) };
        for config in [config, TrainConfig::default()] {
            let head = train(rows.clone(), None, CLASSES, &config, &mut |_| ControlFlow::Continue(())).unwrap().head;
            for row in head.probabilities(&x[..x.len() / DIM * DIM]).chunks_exact(CLASSES) {
                prop_assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
                prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            }
        }
    }

    #[test]
    fn renaming_the_classes_only_permutes_the_probabilities(seed in 0_u64..1000, n in 12_usize..400) {
        let (x, y) = clusters(n, seed);
        let moved: Vec<usize> = y.iter().map(|label| (label + 1) % CLASSES).collect();
        let probabilities = |y: &[usize]| {
            let rows = examples(&x, y, DIM);
            let flow = &mut |_: &Epoch| ControlFlow::Continue(());
            // The folds of a cross-validation would differ with the names.
            let config = TrainConfig { l2: L2::Given(1.0), ..TrainConfig::default() };
            train(rows.clone(), None, CLASSES, &config, flow).unwrap().head.probabilities(&x)
        };
        let (before, after) = (probabilities(&y), probabilities(&moved));
        for (before, after) in before.chunks_exact(CLASSES).zip(after.chunks_exact(CLASSES)) {
            for class in 0..CLASSES {
                prop_assert!((before[class] - after[(class + 1) % CLASSES]).abs() < 2e-3);
            }
        }
    }
}

#[test]
fn a_row_can_be_of_several_classes_or_of_none() {
    // Each class lights up a column of its own; of the rows of label 4 nobody knows whether class 1 is there.
    let (yes, no) = (Some(true), Some(false));
    let sets = LabelSets::new(2, vec![no, no, yes, no, no, yes, yes, yes, yes, None]);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let y: Vec<usize> = (0..400).map(|row| row % 5).collect();
    let lights = |label: usize| [[0, 0], [1, 0], [0, 1], [1, 1], [1, 1]][label].map(|on| 4.0 * on as f32);
    let cell = |light: f32| light + rng.random_range(-1.0_f32..1.0);
    let x: Vec<f32> = y.iter().flat_map(|&label| lights(label)).map(cell).collect();
    for kind in [HeadKind::Linear, HeadKind::Mlp] {
        let rows = examples(&x, &y, 2);
        let config = TrainConfig { multi_label: true, max_epochs: 40, ..config(kind) };
        let head = train(rows, None, Targets::Any(&sets), &config, &mut |_| ControlFlow::Continue(())).unwrap().head;
        assert_eq!(head.scores(), Scores::Sigmoid);
        for (label, expected) in [(0, [false, false]), (1, [true, false]), (2, [false, true]), (3, [true, true])] {
            let found = head.probabilities(&lights(label));
            assert_eq!([found[0] > 0.5, found[1] > 0.5], expected, "{kind:?}, {label}: {found:?}");
        }
    }
}

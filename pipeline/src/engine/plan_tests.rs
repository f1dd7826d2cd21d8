//! The laws of planning, on random pipelines: what a stage makes depends on its key alone.

use ecosight_datasets::key::KeyHasher;
use ecosight_stages::Output;
use proptest::prelude::*;

use super::*;

/// A declared stage: which of those before it it needs, and the value of its one parameter.
#[derive(Clone, Debug)]
struct Declared {
    needs: Vec<usize>,
    value: u8,
    /// Its output says only so much of its key: a change may leave it equal.
    coarseness: u8,
}

type World = BTreeMap<String, State>;

fn name(stage: usize) -> String {
    format!("stage{stage}")
}

fn facts(stages: &[Declared], stage: usize, world: &World) -> Facts {
    let declared = &stages[stage];
    Facts {
        name: name(stage),
        own: vec![KeyPart::new("value", declared.value.to_string())],
        reads: declared.needs.iter().map(|&need| Input::of(&name(need), &[])).collect(),
        state: world.get(&name(stage)).cloned(),
        damage: None,
        forced: None,
    }
}

/// What a stage makes of a key.
fn make(declared: &Declared, parts: &[KeyPart]) -> Digests {
    let key = hash("", parts);
    let coarse = if declared.coarseness > 200 { 0 } else { key.to_u64() };
    Digests::from([("content".to_owned(), KeyHasher::new("content").u64(coarse).finish())])
}

/// Runs the stages in `order`, of which the first `limit` are let through; gives the names of those that ran.
fn run(stages: &[Declared], order: &[usize], world: &mut World, limit: usize) -> Vec<String> {
    let (mut made, mut ran) = (Made::new(), Vec::new());
    for &stage in order {
        let facts = facts(stages, stage, world);
        if judge(&facts, &made) != Verdict::Fresh {
            if ran.len() == limit {
                return ran;
            }
            let parts = key_parts(&facts, &made).unwrap();
            let columns = make(&stages[stage], &parts);
            let output = Output { columns, ..Output::default() };
            world.insert(facts.name.clone(), State::new(&facts.name, "run", parts, output, 1.0, None));
            ran.push(facts.name.clone());
        }
        made.insert(facts.name.clone(), Some(world[&facts.name].columns.clone()));
    }
    ran
}

fn planned(stages: &[Declared], world: &World) -> Vec<String> {
    let all: Vec<_> = (0..stages.len()).map(|stage| facts(stages, stage, world)).collect();
    let mut simulated = world.clone();
    let order: Vec<usize> = (0..stages.len()).collect();
    let expected = run(stages, &order, &mut simulated, usize::MAX);
    let by_unknown = plan(&all, Made::new(), |_| Ok::<_, std::convert::Infallible>(Forecast::default())).unwrap();
    let pessimistic: Vec<_> =
        by_unknown.into_iter().filter(|work| work.verdict != Verdict::Fresh).map(|work| work.stage).collect();
    assert!(expected.iter().all(|stage| pessimistic.contains(stage)), "a plan without forecasts leaves nothing out");
    let by_forecast = plan(&all, Made::new(), |position| {
        let columns = simulated.get(&name(position)).map(|state| state.columns.clone());
        Ok::<_, std::convert::Infallible>(Forecast { columns, ..Forecast::default() })
    })
    .unwrap();
    let planned: Vec<_> =
        by_forecast.into_iter().filter(|work| work.verdict != Verdict::Fresh).map(|work| work.stage).collect();
    assert_eq!(planned, expected, "a plan with forecasts is what runs");
    planned
}

fn descendants(stages: &[Declared], of: usize) -> Vec<String> {
    let mut reached = vec![false; stages.len()];
    reached[of] = true;
    for stage in 0..stages.len() {
        reached[stage] |= stages[stage].needs.iter().any(|&need| reached[need]);
    }
    (0..stages.len()).filter(|&stage| reached[stage]).map(name).collect()
}

fn pipelines() -> impl Strategy<Value = Vec<Declared>> {
    let stage = (proptest::collection::vec(any::<proptest::sample::Index>(), 0..3), any::<u8>(), any::<u8>());
    proptest::collection::vec(stage, 1..8).prop_map(|stages| {
        let declared = |(position, (needs, value, coarseness)): (usize, (Vec<proptest::sample::Index>, u8, u8))| {
            let mut needs: Vec<usize> =
                if position == 0 { Vec::new() } else { needs.iter().map(|index| index.index(position)).collect() };
            needs.sort_unstable();
            needs.dedup();
            Declared { needs, value, coarseness }
        };
        stages.into_iter().enumerate().map(declared).collect()
    })
}

/// An order in which each stage comes after what it needs, drawn by `choices`.
fn topological(stages: &[Declared], choices: &[u8]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < stages.len() {
        let ready: Vec<usize> = (0..stages.len())
            .filter(|stage| !order.contains(stage) && stages[*stage].needs.iter().all(|need| order.contains(need)))
            .collect();
        order.push(ready[choices[order.len() % choices.len()] as usize % ready.len()]);
    }
    order
}

proptest! {
    #[test]
    fn after_a_run_the_plan_is_empty(stages in pipelines()) {
        let mut world = World::new();
        prop_assert_eq!(planned(&stages, &world).len(), stages.len());
        let order: Vec<usize> = (0..stages.len()).collect();
        run(&stages, &order, &mut world, usize::MAX);
        prop_assert!(planned(&stages, &world).is_empty());
    }

    #[test]
    fn a_changed_parameter_touches_only_descendants_and_equal_outputs_stop_it(
        stages in pipelines(),
        which in any::<proptest::sample::Index>(),
    ) {
        let mut stages = stages;
        let mut world = World::new();
        let order: Vec<usize> = (0..stages.len()).collect();
        run(&stages, &order, &mut world, usize::MAX);
        let which = which.index(stages.len());
        stages[which].value = stages[which].value.wrapping_add(1);
        let planned = planned(&stages, &world);
        let descendants = descendants(&stages, which);
        prop_assert!(planned.contains(&name(which)));
        prop_assert!(planned.iter().all(|stage| descendants.contains(stage)), "{planned:?} {descendants:?}");
        if stages[which].coarseness > 200 {
            prop_assert_eq!(planned, vec![name(which)]);
        }
    }

    #[test]
    fn killed_anywhere_and_run_again_in_any_order_gives_the_same(
        stages in pipelines(),
        limits in proptest::collection::vec(0usize..4, 0..4),
        choices in proptest::collection::vec(any::<u8>(), 8),
    ) {
        let order: Vec<usize> = (0..stages.len()).collect();
        let mut undisturbed = World::new();
        run(&stages, &order, &mut undisturbed, usize::MAX);
        let mut disturbed = World::new();
        for limit in limits {
            run(&stages, &topological(&stages, &choices), &mut disturbed, limit);
        }
        run(&stages, &topological(&stages, &choices), &mut disturbed, usize::MAX);
        prop_assert_eq!(disturbed, undisturbed);
    }
}

#[test]
fn what_has_changed_is_named_with_old_and_new() {
    let parts =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| KeyPart::new(*name, *value)).collect::<Vec<_>>();
    let old = parts(&[("version", "1"), ("split.seed", "42"), ("manifest.label", &"a".repeat(64))]);
    assert_eq!(
        difference(&old, &parts(&[("version", "1"), ("split.seed", "43"), ("manifest.label", &"b".repeat(64))])),
        "split.seed: 42 → 43"
    );
    assert_eq!(
        difference(&old, &parts(&[("version", "1"), ("split.seed", "42"), ("manifest.label", &"b".repeat(64))])),
        "manifest.label: aaaaaaaa → bbbbbbbb"
    );
    assert_eq!(difference(&old, &old[..2]), "manifest.label: aaaaaaaa → nothing");
}

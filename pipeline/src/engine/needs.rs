//! What stages need of each other: checked where it is declared, and an order that fits.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_stages::ALL;
use ecosight_stages::params::{Problem, unknown};

use super::PlannedStage;
use super::spec::Declared;

/// Unknown needs, needs that lead back, and inputs that nothing upstream makes.
pub(super) fn check_needs(stages: &[Declared], problems: &mut Vec<Problem>) {
    let needs: BTreeMap<&str, &[String]> = stages.iter().map(|s| (s.name, s.needs.as_slice())).collect();
    for stage in stages {
        let name = stage.name;
        let at = format!("stages.{name}.needs");
        for need in &stage.needs {
            if !needs.contains_key(need.as_str()) {
                problems.push(Problem::new(&at, unknown("stage", need, needs.keys().copied())));
            }
        }
        if let Some(cycle) = cycle(name, &needs) {
            problems.push(Problem::new(&at, format!("the stages need each other in a circle: {}", cycle.join(" ► "))));
            continue;
        }
        let upstream = upstream(name, &needs);
        for input in stage.inputs.iter().filter(|input| !upstream.contains(input.as_str())) {
            problems.push(Problem::new(&at, format!("`{name}` reads what `{input}` makes, so it must need `{input}`")));
        }
    }
}

/// The way from `name` back to itself, if there is one.
fn cycle<'a>(name: &'a str, needs: &BTreeMap<&'a str, &'a [String]>) -> Option<Vec<&'a str>> {
    let mut paths = vec![vec![name]];
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop() {
        for need in path.last().and_then(|last| needs.get(last)).into_iter().copied().flatten() {
            if need == name {
                return Some([path.as_slice(), &[name]].concat());
            }
            if seen.insert(need.as_str()) {
                paths.push([path.as_slice(), &[need.as_str()]].concat());
            }
        }
    }
    None
}

fn upstream<'a>(name: &str, needs: &BTreeMap<&'a str, &'a [String]>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![name];
    while let Some(stage) = open.pop() {
        for need in needs.get(stage).into_iter().copied().flatten() {
            if found.insert(need.as_str()) {
                open.push(need);
            }
        }
    }
    found
}

/// Position in the dataflow.
pub(super) fn rank(name: &str) -> usize {
    ALL.iter().position(|definition| definition.name == name).unwrap_or(ALL.len())
}

/// Sorts so that each stage comes after everything it needs; the order is kept where the needs leave it open. There is no cycle.
pub(super) fn order(stages: &mut Vec<PlannedStage>) {
    let mut open = std::mem::take(stages);
    while !open.is_empty() {
        let done: BTreeSet<&str> = stages.iter().map(|s| s.name).collect();
        let next = open.iter().position(|stage| stage.needs.iter().all(|need| done.contains(need.as_str())));
        stages.push(open.remove(next.expect("the needs were checked: known and without a circle")));
    }
}

//! Minimisation of a smooth convex function by limited-memory BFGS.
//!
//! Two-loop recursion after Nocedal and Wright, *Numerical Optimization* (2nd ed.), algorithm 7.4; the line search is the
//! bisection for the weak Wolfe conditions of Lewis and Overton (2013), which keeps `sᵀy > 0`. burn has an L-BFGS of its
//! own for modules; this one works in `f64`, which the last digits of the optimum need, and takes a gradient in closed
//! form and an estimate of the second derivatives instead of a recorded graph.

use std::collections::VecDeque;
use std::ops::ControlFlow;

/// A point with the function's value and gradient there.
#[derive(Debug, Clone)]
pub(super) struct Evaluation {
    /// The point.
    pub(super) point: Vec<f64>,
    /// The value.
    pub(super) value: f64,
    /// The gradient, as long as the point.
    pub(super) gradient: Vec<f64>,
    /// Share of the rows that are right at this point; carried along for the history.
    pub(super) accuracy: f64,
    /// Mean second derivative by a logit at this point; carried along for [`Function::precondition`].
    pub(super) curvature: f64,
}

/// What is minimised.
pub(super) trait Function {
    /// Value and gradient at a point.
    fn evaluate(&self, point: Vec<f64>) -> Evaluation;

    /// Divides `gradient`, in place, by an estimate of the second derivatives at `at`.
    fn precondition(&self, at: &Evaluation, gradient: &mut [f64]);
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Largest entry of the gradient at the optimum.
    pub(super) gradient: f64,
    /// Relative decrease of the value over [`WINDOW`] iterations below which nothing is left to gain.
    pub(super) decrease: f64,
    /// Iterations at most.
    pub(super) iterations: u32,
}

/// Why the minimisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// At the optimum, within the limits or within the rounding of the function.
    Converged,
    /// After the last iteration.
    Iterations,
    /// The caller asked for it.
    Interrupted,
}

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 20;

/// Iterations over which the decrease is measured.
const WINDOW: usize = 10;

/// Sufficient decrease and curvature of the Wolfe conditions.
const C1: f64 = 1e-4;
const C2: f64 = 0.9;

/// Halvings and doublings of a step before the function is taken to be flat within its rounding.
const LINE_SEARCH: usize = 30;

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Where a minimisation is between two iterations.
pub(super) struct Minimisation {
    /// The point that was reached.
    pub(super) at: Evaluation,
    /// Iterations so far.
    iterations: u32,
    pairs: VecDeque<Pair>,
    /// Values of the last iterations.
    window: VecDeque<f64>,
    /// Whether they have hardly decreased.
    is_flat: bool,
}

impl Minimisation {
    /// Begins at `at`.
    pub(super) fn start(at: Evaluation) -> Self {
        let window = VecDeque::from([at.value]);
        Self { at, iterations: 0, pairs: VecDeque::with_capacity(MEMORY), window, is_flat: false }
    }

    fn is_done(&self, limits: Limits) -> bool {
        self.is_flat || largest(&self.at.gradient) <= limits.gradient
    }

    /// Goes on to the minimum of `function`; `on_iteration` sees every accepted point.
    pub(super) fn run(
        mut self,
        limits: Limits,
        function: &impl Function,
        mut on_iteration: impl FnMut(u32, &Self) -> ControlFlow<()>,
    ) -> (Evaluation, Ended) {
        while self.iterations < limits.iterations {
            if self.is_done(limits) {
                return (self.at, Ended::Converged);
            }
            self.iterations += 1;
            let direction = direction(&self.at, &self.pairs, function);
            let Some(next) = line_search(&self.at, &direction, function) else {
                if self.pairs.is_empty() {
                    return (self.at, Ended::Converged);
                }
                self.pairs.clear();
                continue;
            };
            remember(&mut self.pairs, &self.at, &next);
            self.at = next;
            self.window.push_back(self.at.value);
            let before = if self.window.len() > WINDOW { self.window.pop_front() } else { None };
            let is_flat = |before: f64| before - self.at.value <= limits.decrease * self.at.value.abs();
            self.is_flat = before.is_some_and(is_flat);
            if on_iteration(self.iterations, &self).is_break() {
                return (self.at, Ended::Interrupted);
            }
        }
        let is_done = self.is_done(limits);
        (self.at, if is_done { Ended::Converged } else { Ended::Iterations })
    }
}

/// `−H · gradient`, with H the inverse Hessian that the estimate and the pairs imply.
fn direction(at: &Evaluation, pairs: &VecDeque<Pair>, function: &impl Function) -> Vec<f64> {
    let mut q: Vec<f64> = at.gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = dot(&pair.step, &q) / pair.curvature;
        add_scaled(&mut q, -share, &pair.change);
        shares.push(share);
    }
    function.precondition(at, &mut q);
    if let Some(last) = pairs.back() {
        let mut change = last.change.clone();
        function.precondition(at, &mut change);
        let scale = last.curvature / dot(&last.change, &change);
        for value in &mut q {
            *value *= scale;
        }
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let correction = share - dot(&pair.change, &q) / pair.curvature;
        add_scaled(&mut q, correction, &pair.step);
    }
    q
}

/// A point along `direction` that satisfies the weak Wolfe conditions, or none within the rounding of the function.
fn line_search(at: &Evaluation, direction: &[f64], function: &impl Function) -> Option<Evaluation> {
    let slope = dot(&at.gradient, direction);
    if slope >= 0.0 {
        return None;
    }
    let (mut low, mut high, mut step) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..LINE_SEARCH {
        let mut point = at.point.clone();
        add_scaled(&mut point, step, direction);
        let next = function.evaluate(point);
        if !next.value.is_finite() || next.value > at.value + C1 * step * slope {
            high = step;
        } else if dot(&next.gradient, direction) < C2 * slope {
            low = step;
        } else {
            return Some(next);
        }
        step = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * step };
    }
    None
}

fn remember(pairs: &mut VecDeque<Pair>, before: &Evaluation, after: &Evaluation) {
    let step = difference(&after.point, &before.point);
    let change = difference(&after.gradient, &before.gradient);
    let curvature = dot(&step, &change);
    if curvature > f64::EPSILON * dot(&change, &change) {
        if pairs.len() == MEMORY {
            pairs.pop_front();
        }
        pairs.push_back(Pair { step, change, curvature });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |max, value| max.max(value.abs()))
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bowl;

    impl Function for Bowl {
        fn evaluate(&self, point: Vec<f64>) -> Evaluation {
            let weight = |i: usize| 10.0_f64.powi(i as i32);
            let value = point.iter().enumerate().map(|(i, x)| 0.5 * weight(i) * (x - 1.0).powi(2)).sum();
            let gradient = point.iter().enumerate().map(|(i, x)| weight(i) * (x - 1.0)).collect();
            Evaluation { point, value, gradient, accuracy: 0.0, curvature: 1.0 }
        }

        fn precondition(&self, _: &Evaluation, gradient: &mut [f64]) {
            for g in gradient {
                *g /= 1e3;
            }
        }
    }

    #[test]
    fn a_bowl_with_condition_one_hundred_thousand_is_solved() {
        let limits = Limits { gradient: 1e-9, decrease: 0.0, iterations: 200 };
        let start = Minimisation::start(Bowl.evaluate(vec![0.0; 6]));
        let (at, ended) = start.run(limits, &Bowl, |_, _| ControlFlow::Continue(()));
        assert_eq!(ended, Ended::Converged);
        assert!(at.point.iter().all(|x| (x - 1.0).abs() < 1e-8), "{:?}", at.point);
    }
}

//! One training of the default head on rows from files, for `tests/peers/compare head`.
//!
//! `head FOLDER L2` reads `x.f32` (`[n, dim]`), `y.u32` and `g.u32` (recording of each row), trains, and prints what came of it as JSON.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use ecosight_models::head::{Examples, L2, TrainConfig, train};

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    // Cargo runs all benches without arguments.
    let Some(folder) = arguments.next() else { return };
    let folder = Path::new(&folder);
    let words = |name: &str| -> Vec<[u8; 4]> { std::fs::read(folder.join(name)).unwrap().as_chunks::<4>().0.to_vec() };
    let x: Vec<f32> = words("x.f32").into_iter().map(f32::from_le_bytes).collect();
    let y: Vec<usize> = words("y.u32").into_iter().map(|word| u32::from_le_bytes(word) as usize).collect();
    let groups: Vec<u32> = words("g.u32").into_iter().map(u32::from_le_bytes).collect();
    let l2 = match arguments.next().as_deref() {
        None | Some("auto") => L2::AUTO,
        Some(number) => L2::Given(number.parse().unwrap()),
    };
    let (n, dim, classes) = (y.len(), x.len() / y.len(), y.iter().max().unwrap() + 1);
    let config = TrainConfig { l2, ..TrainConfig::default() };
    let is_original = vec![true; n];
    let examples = Examples { x: x.into(), y: &y, groups: &groups, is_original: &is_original, dim };
    let start = Instant::now();
    let trained = train(examples, None, classes, &config, &mut |_| ControlFlow::Continue(())).unwrap();
    let fits = 1 + 5 * trained.tried.len();
    let seconds = start.elapsed().as_secs_f64();
    let accuracy = trained.history.last().unwrap().accuracy;
    let l2 = trained.l2.unwrap();
    println!(r#"{{"seconds": {seconds:.3}, "fits": {fits}, "l2": {l2}, "accuracy": {accuracy:.4}}}"#);
}

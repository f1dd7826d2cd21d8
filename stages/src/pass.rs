//! One decoding of a recording: while a batch of windows is embedded, the next is cut.

use ecosight_datasets::audio::Span;
use ecosight_datasets::tables::Patches;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use crate::clip::{Bench, ClipError, Heard, Recipe};
use crate::intake::{Intake, Windows};
use crate::recording::Recording;
use crate::timings::Step;

/// A recording on its way through some recipes.
pub(crate) struct Pass<'a> {
    bench: Bench<'a>,
    intake: Intake<'a>,
    /// Cut, not yet embedded.
    waiting: Windows,
    /// Patches so far of each recipe.
    patches: Vec<u32>,
}

impl<'a> Pass<'a> {
    pub(crate) fn open(
        bench: Bench<'a>,
        recording: &Recording,
        span: Option<Span>,
        recipes: &'a [Recipe],
    ) -> Result<Self, ClipError> {
        let intake = Intake::open(bench, recording, span, recipes)?;
        Ok(Self { bench, intake, waiting: Windows::default(), patches: vec![0; recipes.len()] })
    }

    /// Length of the whole file in seconds, where its header tells.
    pub(crate) fn declared_s(&self) -> Option<f64> {
        self.intake.declared_s()
    }

    /// What is known of the clip at its end.
    pub(crate) fn heard(self) -> Heard {
        self.intake.heard()
    }

    /// The next rows with the recipe that they belong to; none at the end.
    pub(crate) fn step(&mut self) -> Result<Option<Vec<(usize, Patches)>>, ClipError> {
        if self.waiting.windows.is_empty() && self.intake.is_finished() {
            return Ok(None);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (bench, intake) = (self.bench, &mut self.intake);
        let (next, values) = rayon::join(|| intake.next_windows(), || embed(bench, &waiting));
        // The rows come first: they are about earlier audio than the next windows, so the error is the same on every machine.
        let values = values?;
        self.waiting = next?;
        Ok(Some(self.sort(&waiting, &values)))
    }

    /// Cuts the rows into runs of one recipe.
    fn sort(&mut self, waiting: &Windows, values: &[f32]) -> Vec<(usize, Patches)> {
        let dim = self.bench.embedder.dim();
        let (mut windows, mut values) = (waiting.windows.as_slice(), values);
        let run = |&(recipe, count): &(usize, usize)| {
            let (starts, later) = windows.split_at(count);
            let (embeddings, rest) = values.split_at(count * dim);
            (windows, values) = (later, rest);
            let first = self.patches[recipe];
            self.patches[recipe] += count as u32;
            let start_s = starts.iter().map(|window| window.start_s).collect();
            (recipe, Patches { first, start_s, embeddings: embeddings.to_vec() })
        };
        waiting.runs.iter().filter(|(_, count)| *count > 0).map(run).collect()
    }
}

/// The rows of all windows, `[windows, dim]`, computed in slices on any thread.
fn embed(bench: Bench<'_>, waiting: &Windows) -> Result<Vec<f32>, ClipError> {
    let slices = waiting.windows.par_chunks(bench.embedder.batch()).map(|windows| {
        bench.stop.check()?;
        let rows = bench
            .meter
            .time(Step::Network, windows.len(), || bench.embedder.embed(windows))
            .map_err(|error| ClipError::new("embedding", &error))?;
        if rows.iter().all(|x| x.is_finite()) {
            Ok(rows)
        } else {
            Err(ClipError::new("non_finite", &"an embedding holds values that are not finite"))
        }
    });
    // All results are looked at, so that the first error in time is the one that is told.
    let slices: Vec<Result<Vec<f32>, ClipError>> = slices.collect();
    slices.into_iter().collect::<Result<Vec<_>, _>>().map(|slices| slices.concat())
}

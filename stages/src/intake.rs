//! From a recording to windows: decoding, effects and framing, as much at a time as fills a batch.

use std::time::Duration;

use ecosight_datasets::audio::{AudioError, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_datasets::effects::{Analysis, Effect, EffectStream, Source};
use ecosight_models::frontend::{Framer, Window};

use crate::acoustics::Analyzer;
use crate::clip::{Bench, ClipError, Heard, Recipe};
use crate::recording::Recording;
use crate::timings::{Step, thread_cpu};

/// Samples that are decoded at a time. A clip of one block is in memory as a whole, and its effects share what they compute; the
/// effects of a longer clip are streamed, so that memory stays bounded.
const BLOCK: usize = 30 * SAMPLE_RATE_HZ as usize;

/// Windows are handed on once they take this many bytes: about 170 of YAMNet's, enough for several threads.
const BATCH_BYTES: usize = 4 << 20;

/// A clip whose samples all lie below this is silent (−80 dB of full scale).
pub(crate) const SILENCE: f32 = 1e-4;

/// Windows in the order in which they were cut.
#[derive(Default)]
pub(crate) struct Windows {
    pub(crate) windows: Vec<Window>,
    /// Recipe, and the number of windows that follow and belong to it.
    pub(crate) runs: Vec<(usize, usize)>,
}

impl Windows {
    fn bytes(&self) -> usize {
        self.windows.iter().map(|window| size_of_val(window.logmel.as_slice())).sum()
    }
}

/// A recording being cut into the windows of some recipes, in blocks: within a block recipe by recipe.
pub(crate) struct Intake<'a> {
    bench: Bench<'a>,
    recipes: &'a [Recipe],
    recording: Recording,
    reader: MonoReader,
    /// One for each recipe.
    variants: Vec<Variant>,
    /// Samples from the start of the current block on.
    samples: Vec<f32>,
    /// Length of the current block.
    block: usize,
    /// Blocks so far, including the current one.
    blocks: u64,
    /// The recipe that comes next for the current block.
    next: usize,
    /// What recipes before have found out about the current block.
    analysis: Analysis,
    state: State,
    /// Where the clip is to be measured.
    analyzer: Option<Analyzer>,
    peak: f32,
    heard: usize,
}

/// What a recipe keeps from one block to the next.
struct Variant {
    framer: Framer,
    /// The effect of a clip of several blocks.
    stream: Option<EffectStream>,
}

impl Variant {
    fn new(bench: Bench<'_>) -> Self {
        Self { framer: Framer::new(bench.embedder.windowing()), stream: None }
    }

    /// The output of `effect` for the next block of a clip of several blocks.
    fn stream(&mut self, effect: &Effect, seed: u64, block: &[f32], state: State) -> Vec<f32> {
        let mut out = Vec::with_capacity(block.len());
        let stream = self.stream.get_or_insert_with(|| EffectStream::new(effect, seed));
        stream.push(block, &mut out);
        if state == State::LastBlock {
            self.stream.take().into_iter().for_each(|stream| stream.finish(&mut out));
        }
        out
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// More samples may come.
    Reading,
    /// The current block is the last one.
    LastBlock,
    /// All windows are out.
    Finished,
}

impl<'a> Intake<'a> {
    pub(crate) fn open(
        bench: Bench<'a>,
        recording: &Recording,
        span: Option<Span>,
        recipes: &'a [Recipe],
    ) -> Result<Self, ClipError> {
        let reader = metered(bench, recording, || (MonoReader::open(Box::new(recording.clone()), span), 0))?;
        Ok(Self {
            bench,
            recipes,
            recording: recording.clone(),
            reader,
            variants: recipes.iter().map(|_| Variant::new(bench)).collect(),
            samples: Vec::new(),
            block: 0,
            blocks: 0,
            next: recipes.len(),
            analysis: Analysis::default(),
            state: State::Reading,
            analyzer: bench.is_measuring.then(Analyzer::in_passing),
            peak: 0.0,
            heard: 0,
        })
    }

    /// Length of the whole file in seconds, where its header tells.
    pub(crate) fn declared_s(&self) -> Option<f64> {
        self.reader.info().duration_s
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// What is known of the clip at its end.
    pub(crate) fn heard(self) -> Heard {
        Heard {
            duration_s: self.heard as f64 / f64::from(SAMPLE_RATE_HZ),
            is_silent: self.peak < SILENCE,
            skipped_packets: self.reader.skipped_packets(),
            acoustics: self.analyzer.map(Analyzer::finish),
        }
    }

    /// The next windows; none once it is finished.
    pub(crate) fn next_windows(&mut self) -> Result<Windows, ClipError> {
        let mut out = Windows::default();
        while out.bytes() < BATCH_BYTES && !self.is_finished() {
            if self.next == self.recipes.len() {
                self.next_block()?;
            } else {
                self.cut(&mut out)?;
            }
        }
        Ok(out)
    }

    /// Decodes up to the end of the next block.
    fn next_block(&mut self) -> Result<(), ClipError> {
        if self.state == State::LastBlock {
            self.state = State::Finished;
            return Ok(());
        }
        self.bench.stop.check()?;
        self.samples.drain(..self.block);
        let (reader, samples) = (&mut self.reader, &mut self.samples);
        let before = samples.len();
        let is_last = metered(self.bench, &self.recording, || {
            let mut fill = || {
                // One sample more than a block: so it is known whether the block is the last one.
                while samples.len() <= BLOCK {
                    match reader.next_block()? {
                        Some(block) => samples.extend_from_slice(block),
                        None => return Ok(true),
                    }
                }
                Ok(false)
            };
            let result = fill();
            (result, samples.len() - before)
        })?;
        self.block = self.samples.len().min(BLOCK);
        let block = &self.samples[..self.block];
        self.peak = block.iter().fold(self.peak, |peak, x| peak.max(x.abs()));
        self.heard += block.len();
        if let Some(analyzer) = &mut self.analyzer {
            self.bench.meter.time(Step::LogMel, 0, || analyzer.push(block));
        }
        self.state = if is_last { State::LastBlock } else { State::Reading };
        (self.next, self.blocks) = (0, self.blocks + 1);
        Ok(())
    }

    /// Takes the current block through the recipes that come next, until the batch is full.
    fn cut(&mut self, out: &mut Windows) -> Result<(), ClipError> {
        let meter = self.bench.meter;
        let source = Source::resume(&self.samples[..self.block], std::mem::take(&mut self.analysis));
        while self.next < self.recipes.len() && out.bytes() < BATCH_BYTES {
            self.bench.stop.check()?;
            let (recipe, variant) = (&self.recipes[self.next], &mut self.variants[self.next]);
            let is_whole_clip = self.blocks == 1 && self.state == State::LastBlock;
            let changed = recipe.effect.as_ref().map(|effect| {
                meter.time(Step::Effects, self.block, || {
                    if is_whole_clip {
                        effect.apply_to(&source, recipe.seed)
                    } else {
                        variant.stream(effect, recipe.seed, source.wave(), self.state)
                    }
                })
            });
            let samples = changed.as_deref().unwrap_or(source.wave());
            let before = out.windows.len();
            meter.time(Step::LogMel, samples.len(), || {
                variant.framer.push(samples, &mut out.windows);
                if self.state == State::LastBlock {
                    variant.framer.finish(&mut out.windows);
                }
            });
            out.runs.push((self.next, out.windows.len() - before));
            self.next += 1;
        }
        if self.next < self.recipes.len() {
            self.analysis = source.into_analysis();
        }
        Ok(())
    }
}

/// Does `work`, which decodes some samples, and counts reading and decoding apart.
fn metered<T>(
    bench: Bench<'_>,
    recording: &Recording,
    work: impl FnOnce() -> (Result<T, AudioError>, usize),
) -> Result<T, ClipError> {
    let start = thread_cpu();
    let (result, samples) = work();
    let total = thread_cpu().saturating_sub(start);
    let (bytes, reading): (u64, Duration) = recording.take_cost();
    bench.meter.add(Step::Read, bytes, reading);
    bench.meter.add(Step::Decode, samples as u64, total.saturating_sub(reading));
    result.map_err(|error| ClipError::new(error.code(), &error))
}

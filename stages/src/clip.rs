//! One clip: from bytes to the embeddings of all its variants. Audio is held in blocks however long the recording is; only the
//! embeddings of the clip stay in memory until it is done.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ecosight_datasets::audio::{AudioSource, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_datasets::effects::Effect;
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::{Framer, Window};

/// Effects work on blocks of this length: a longer recording is augmented block by block, so that memory stays bounded.
const EFFECT_BLOCK: usize = 30 * SAMPLE_RATE_HZ as usize;

/// Windows that are embedded together.
const BATCH: usize = 64;

/// A clip whose samples all lie below this is silent (−80 dB of full scale).
const SILENCE: f32 = 1e-4;

/// How one variant of a clip is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// 0 for the original.
    pub variant: u32,
    /// Nothing for the original.
    pub effect: Option<Effect>,
    /// Seed of the effect's random numbers.
    pub seed: u64,
}

impl Recipe {
    /// The clip as it is.
    pub const ORIGINAL: Self = Self { variant: 0, effect: None, seed: 0 };
}

/// The embeddings of one variant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// Start of each window in seconds, `[windows]`.
    pub start_s: Vec<f64>,
    /// `[windows, dim]`, row-major.
    pub embeddings: Vec<f32>,
}

/// What came of a clip.
#[derive(Clone, Debug, Default)]
pub struct ClipEmbeddings {
    /// One for each recipe, in their order.
    pub variants: Vec<Embedded>,
    /// Length of the clip in seconds.
    pub duration_s: f64,
    /// No sample reaches −80 dB of full scale.
    pub is_silent: bool,
    /// Packets that could not be decoded and were left out.
    pub skipped_packets: u64,
}

/// Why a clip cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClipError {
    /// As one word.
    pub code: String,
    /// In words.
    pub message: String,
}

impl ClipError {
    fn new(code: &str, error: &impl ToString) -> Self {
        Self { code: code.to_owned(), message: error.to_string() }
    }
}

/// Decodes `source` once and embeds every variant of it that `recipes` ask for.
///
/// A panic in a decoder or an effect is an error of this clip with the code `panic`.
pub fn embed_clip(
    embedder: &dyn Embedder,
    source: Box<dyn AudioSource>,
    span: Option<Span>,
    recipes: &[Recipe],
) -> Result<ClipEmbeddings, ClipError> {
    catch_unwind(AssertUnwindSafe(|| Clip::new(embedder, recipes).run(source, span))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(ClipError::new("panic", &format!("a bug in EcoSight or in a decoder: {text}")))
    })
}

/// A clip on its way.
struct Clip<'a> {
    embedder: &'a dyn Embedder,
    recipes: &'a [Recipe],
    framers: Vec<Framer>,
    windows: Vec<Window>,
    /// Recipe that each of `windows` belongs to.
    owners: Vec<usize>,
    result: ClipEmbeddings,
    peak: f32,
    samples: usize,
}

impl<'a> Clip<'a> {
    fn new(embedder: &'a dyn Embedder, recipes: &'a [Recipe]) -> Self {
        Self {
            embedder,
            recipes,
            framers: recipes.iter().map(|_| Framer::new(embedder.windowing())).collect(),
            windows: Vec::new(),
            owners: Vec::new(),
            result: ClipEmbeddings { variants: vec![Embedded::default(); recipes.len()], ..Default::default() },
            peak: 0.0,
            samples: 0,
        }
    }

    fn run(mut self, source: Box<dyn AudioSource>, span: Option<Span>) -> Result<ClipEmbeddings, ClipError> {
        let audio = |error: ecosight_datasets::audio::AudioError| ClipError::new(error.code(), &error);
        let mut reader = MonoReader::open(source, span).map_err(audio)?;
        let mut block = Vec::new();
        let mut blocks = 0;
        while let Some(samples) = reader.next_block().map_err(audio)? {
            block.extend_from_slice(samples);
            while block.len() >= EFFECT_BLOCK {
                let rest = block.split_off(EFFECT_BLOCK);
                self.push(&block, blocks)?;
                (block, blocks) = (rest, blocks + 1);
            }
        }
        self.push(&block, blocks)?;
        self.result.skipped_packets = reader.skipped_packets();
        for index in 0..self.framers.len() {
            let before = self.windows.len();
            self.framers[index].finish(&mut self.windows);
            self.own(index, before)?;
        }
        self.embed()?;
        self.result.duration_s = self.samples as f64 / f64::from(SAMPLE_RATE_HZ);
        self.result.is_silent = self.peak < SILENCE;
        Ok(self.result)
    }

    /// Takes the next block of the clip through every recipe.
    fn push(&mut self, block: &[f32], number: u64) -> Result<(), ClipError> {
        self.peak = block.iter().fold(self.peak, |peak, x| peak.max(x.abs()));
        self.samples += block.len();
        for (index, recipe) in self.recipes.iter().enumerate() {
            let before = self.windows.len();
            match &recipe.effect {
                None => self.framers[index].push(block, &mut self.windows),
                Some(effect) => {
                    let changed = effect.apply(block, recipe.seed.wrapping_add(number));
                    self.framers[index].push(&changed, &mut self.windows);
                }
            }
            self.own(index, before)?;
        }
        Ok(())
    }

    /// Notes that the windows from `before` on belong to recipe `index`; embeds when enough have come together.
    fn own(&mut self, index: usize, before: usize) -> Result<(), ClipError> {
        self.owners.extend(std::iter::repeat_n(index, self.windows.len() - before));
        if self.windows.len() >= BATCH { self.embed() } else { Ok(()) }
    }

    fn embed(&mut self) -> Result<(), ClipError> {
        let dim = self.embedder.dim();
        for (windows, owners) in self.windows.chunks(BATCH).zip(self.owners.chunks(BATCH)) {
            let embeddings = self.embedder.embed(windows).map_err(|error| ClipError::new("embedding", &error))?;
            if !embeddings.iter().all(|x| x.is_finite()) {
                return Err(ClipError::new("non_finite", &"an embedding holds values that are not finite"));
            }
            for ((window, owner), embedding) in windows.iter().zip(owners).zip(embeddings.chunks_exact(dim)) {
                let variant = &mut self.result.variants[*owner];
                variant.start_s.push(window.start_s);
                variant.embeddings.extend_from_slice(embedding);
            }
        }
        self.windows.clear();
        self.owners.clear();
        Ok(())
    }
}

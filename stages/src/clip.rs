//! One clip: from bytes to the embeddings of all its variants, in bounded memory however long the recording is.
//!
//! While one batch of windows is embedded, the next is decoded, so that a single recording keeps several threads busy. A clip whose
//! rows take no more than 8 MiB is decoded once for all its variants and handed over whole; a longer one is decoded once for each, so that
//! the rows of a variant come one after the other and none has to wait in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use ecosight_datasets::audio::{AudioSource, Span};
use ecosight_datasets::effects::Effect;
use ecosight_datasets::tables::Patches;
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::params::FRAME_HOP_S;

use crate::acoustics::Acoustics;
use crate::pass::Pass;
use crate::recording::Recording;
use crate::timings::Meter;

/// Rows of one clip that are held in memory until it is complete: 2048 patches of YAMNet, sixteen minutes of one variant.
pub(crate) const HELD_BYTES: usize = 8 << 20;

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

/// What all work on clips shares.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// Makes the rows.
    pub embedder: &'a dyn Embedder,
    /// Counts what the steps cost.
    pub meter: &'a Meter,
    /// Says when to leave off.
    pub stop: &'a Stop<'a>,
    /// Whether each clip is measured as well, see [`Acoustics`].
    pub is_measuring: bool,
}

/// Tells work on clips to leave off: the user asks for it, or nobody wants the rows any more.
pub struct Stop<'a> {
    cancelled: &'a AtomicBool,
    given_up: AtomicBool,
}

impl<'a> Stop<'a> {
    /// Work goes on until `cancelled` is set.
    pub fn new(cancelled: &'a AtomicBool) -> Self {
        Self { cancelled, given_up: AtomicBool::new(false) }
    }

    /// Work is to leave off.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.given_up.load(Ordering::Relaxed)
    }

    /// An error once work is to leave off.
    pub(crate) fn check(&self) -> Result<(), ClipError> {
        if self.is_set() { Err(ClipError::new("interrupted", &"interrupted")) } else { Ok(()) }
    }
}

/// What is known of a clip once all of it was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Length of the clip in seconds.
    pub duration_s: f64,
    /// No sample reaches −80 dB of full scale.
    pub is_silent: bool,
    /// Packets that could not be decoded and were left out.
    pub skipped_packets: u64,
    /// Where the clip was measured.
    pub acoustics: Option<Acoustics>,
}

/// What came of a clip.
#[derive(Clone, Debug, Default)]
pub struct ClipEmbeddings {
    /// One for each recipe, in their order.
    pub variants: Vec<Patches>,
    /// What else is known of it.
    pub heard: Heard,
}

impl ClipEmbeddings {
    /// Patches of all variants.
    pub fn patches(&self) -> usize {
        self.variants.iter().map(Patches::len).sum()
    }
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
    pub(crate) fn new(code: &str, error: &impl ToString) -> Self {
        Self { code: code.to_owned(), message: error.to_string() }
    }
}

/// Embeds `source` as `recipe` says; `each` gets the patches in order, a batch at a time where the clip is long. A panic in a decoder
/// or an effect is an error of this clip with the code `panic`.
pub fn embed_clip(
    bench: Bench<'_>,
    source: Box<dyn AudioSource>,
    span: Option<Span>,
    recipe: &Recipe,
    each: &mut dyn FnMut(&Patches),
) -> Result<Heard, ClipError> {
    let mut clip = Clip::new(bench, source, span, std::slice::from_ref(recipe));
    loop {
        match clip.advance()? {
            Advance::Whole(whole) => {
                whole.variants.iter().for_each(each);
                return Ok(whole.heard);
            }
            Advance::Rows(rows) => rows.iter().for_each(|(_, patches)| each(patches)),
            Advance::End(heard) => return Ok(heard),
        }
    }
}

/// A clip on its way.
pub(crate) struct Clip<'a> {
    bench: Bench<'a>,
    recording: Recording,
    span: Option<Span>,
    recipes: &'a [Recipe],
    /// The recipe that is next, and the pass of the one before it; none until the clip has turned out to be long.
    long: Option<(usize, Option<Pass<'a>>)>,
    heard: Heard,
}

/// How far a clip has got.
pub(crate) enum Advance {
    /// It is complete, and here is all of it.
    Whole(ClipEmbeddings),
    /// It is long; these are the next rows of some recipes. The rows of a recipe come together and in order.
    Rows(Vec<(usize, Patches)>),
    /// It was long, and is complete.
    End(Heard),
}

impl<'a> Clip<'a> {
    pub(crate) fn new(
        bench: Bench<'a>,
        source: Box<dyn AudioSource>,
        span: Option<Span>,
        recipes: &'a [Recipe],
    ) -> Self {
        Self { bench, recording: Recording::new(source), span, recipes, long: None, heard: Heard::default() }
    }

    /// Goes on until there is something to hand over: all of a short clip, or a batch of a long one.
    pub(crate) fn advance(&mut self) -> Result<Advance, ClipError> {
        catch_unwind(AssertUnwindSafe(|| self.go_on())).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(ClipError::new("panic", &format!("a bug in EcoSight or in a decoder: {text}")))
        })
    }

    fn go_on(&mut self) -> Result<Advance, ClipError> {
        if self.long.is_none() {
            if let Some(embeddings) = self.hold_all()? {
                return Ok(Advance::Whole(embeddings));
            }
            self.long = Some((0, None));
        }
        let (next, mut pass) = self.long.take().unwrap_or_default();
        let rows = match &mut pass {
            Some(pass) => pass.step()?,
            None => None,
        };
        if let Some(rows) = rows {
            self.long = Some((next, pass));
            return Ok(Advance::Rows(rows.into_iter().map(|(_, patches)| (next - 1, patches)).collect()));
        }
        if let Some(pass) = pass {
            let acoustics = self.heard.acoustics.take();
            self.heard = pass.heard();
            self.heard.acoustics = self.heard.acoustics.take().or(acoustics);
        }
        let Some(recipe) = self.recipes.get(next) else { return Ok(Advance::End(std::mem::take(&mut self.heard))) };
        // Every pass decodes the same clip: one measurement is enough.
        let bench = Bench { is_measuring: self.bench.is_measuring && next == 0, ..self.bench };
        let pass = Pass::open(bench, &self.recording, self.span, std::slice::from_ref(recipe))?;
        self.long = Some((next + 1, Some(pass)));
        Ok(Advance::Rows(Vec::new()))
    }

    /// Everything, decoded once; nothing if that is too much to be held.
    fn hold_all(&mut self) -> Result<Option<ClipEmbeddings>, ClipError> {
        let mut pass = Pass::open(self.bench, &self.recording, self.span, self.recipes)?;
        if pass.declared_s().is_some_and(|length_s| self.estimated_bytes(length_s) > HELD_BYTES as f64) {
            return Ok(None);
        }
        let mut variants = vec![Patches::default(); self.recipes.len()];
        let mut held = 0;
        while let Some(rows) = pass.step()? {
            for (recipe, patches) in rows {
                held += size_of_val(patches.embeddings.as_slice());
                variants[recipe].append(&patches);
            }
            // The header did not say how long it is, or not the truth.
            if held > HELD_BYTES {
                return Ok(None);
            }
        }
        Ok(Some(ClipEmbeddings { variants, heard: pass.heard() }))
    }

    /// Bytes of all rows if the file is as long as its header says.
    fn estimated_bytes(&self, file_s: f64) -> f64 {
        let clip_s = self.span.map_or(file_s, |span| span.end_s.unwrap_or(file_s).min(file_s) - span.start_s);
        let rows = clip_s / (self.bench.embedder.windowing().hop_frames as f64 * FRAME_HOP_S);
        rows * (self.recipes.len() * self.bench.embedder.dim() * size_of::<f32>()) as f64
    }
}

//! `embed`: the embedding of every patch of every variant.
//!
//! Clips are opened ahead by the [`bridge`], worked on in parallel in groups that bound memory, and written in the
//! manifest's order, so the table does not depend on the number of threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ecosight_datasets::audio::Span;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::{ClipRow, EmbedWriter, QuarantineRow, RecipeRow, Unit, UnitRows, read_rows};
use ecosight_models::embedder::Embedder;
use ecosight_models::open::{EmbedderName, open_embedder};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Deserialize;

use crate::bridge::{self, Opened};
use crate::clip::{ClipEmbeddings, ClipError, Recipe, embed_clip};
use crate::error::InStage;
use crate::params::{Params, Problem, parse};
use crate::stage::{Context, Definition, Event, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "decode, augment and embed every clip and variant",
    inputs: &["manifest", "augment"],
    parameters: Embed::KEYS,
    configure: |table| Ok(Box::new(parse::<Embed>(table)?)),
};

const NAME: &str = "embed";

/// Key of the embedder's identity (JSON) in the metadata of the table's parts.
pub const EMBEDDER_KEY: &str = "ecosight.embedder";

/// Clips that are worked on before their rows are written, at most.
const GROUP: usize = 48;

/// Bytes of audio files that are worked on before their rows are written, at least one file: bounds the rows in memory.
const GROUP_BYTES: u64 = 32 << 20;

/// The stage's parameters.
#[derive(Deserialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Embed {
    /// What turns audio into numbers.
    pub embedder: EmbedderName,
}

impl Default for Embed {
    fn default() -> Self {
        Self { embedder: EmbedderName::Yamnet }
    }
}

impl Params for Embed {
    const KEYS: &'static [&'static str] = &["embedder"];

    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

impl Stage for Embed {
    fn check(&self, context: &Context<'_>) -> Result<(), StageError> {
        self.embedder.check(context.weights).in_stage(NAME)
    }

    fn run(&self, context: &Context<'_>) -> Result<(), StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let recipes: Vec<RecipeRow> = read_rows(&context.layout.table("augment")).in_stage(NAME)?;
        let embedder = open_embedder(self.embedder, context.weights).in_stage(NAME)?;
        let work = plan(clips, recipes).in_stage(NAME)?;
        let id = serde_json::to_string(embedder.id()).expect("an identity is plain data");
        let mut table =
            EmbedWriter::create(context.layout, &embedder.id().slug(), embedder.dim(), vec![(EMBEDDER_KEY, id)])
                .in_stage(NAME)?;
        let (mut units, mut rows) = (0, 0);
        let mut failed = Vec::new();
        embed_all(context, NAME, &*embedder, &work, &mut |clip, result| {
            match result {
                Ok(embedded) => {
                    for (recipe, variant) in clip.recipes.iter().zip(embedded.variants) {
                        (units, rows) = (units + 1, rows + variant.start_s.len());
                        let unit = Unit { clip_id: clip.clip_id, variant: recipe.variant };
                        table.write(&UnitRows { unit, start_s: variant.start_s, embeddings: variant.embeddings })?;
                    }
                }
                Err(error) => failed.push(clip.quarantined(error)),
            }
            Ok(())
        })
        .in_stage(NAME)?;
        context.quarantine(&failed, work.len()).in_stage(NAME)?;
        table.finish().in_stage(NAME)?;
        let clips = work.len() - failed.len();
        let counts = [("clips", clips), ("units", units), ("patches", rows), ("quarantined", failed.len())];
        context.emit(Event::counted(NAME, counts));
        Ok(())
    }
}

/// A clip with everything that is to be made of it.
#[derive(Clone, Debug)]
pub struct Work {
    /// The clip.
    pub clip_id: ClipId,
    /// Its path below the source.
    pub uri: String,
    /// Its part of the file.
    pub span: Option<Span>,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Its variants.
    pub recipes: Vec<Recipe>,
}

impl Work {
    /// The row that says why this clip cannot be used.
    pub fn quarantined(&self, error: ClipError) -> QuarantineRow {
        let (clip_id, uri, stage) = (Some(self.clip_id), self.uri.clone(), NAME.to_owned());
        QuarantineRow { clip_id, uri, stage, code: error.code, message: error.message }
    }
}

/// Joins clips and recipes, in the order of the clips.
fn plan(clips: Vec<ClipRow>, recipes: Vec<RecipeRow>) -> Result<Vec<Work>, StageErrorKind> {
    let mut by_clip: HashMap<ClipId, Vec<Recipe>> = HashMap::new();
    for row in recipes {
        let effect = serde_json::from_str(&row.parameters).map_err(|error| {
            let message = format!("the recipe of `{}` variant {} is unreadable: {error}", row.clip_id, row.variant);
            StageErrorKind::data(message, "run `ecosight retrain` again from the stage `augment`")
        })?;
        let effect = (row.variant > 0).then_some(effect);
        by_clip.entry(row.clip_id).or_default().push(Recipe { variant: row.variant, effect, seed: row.seed });
    }
    let work = |clip: ClipRow| {
        let recipes = by_clip.remove(&clip.clip_id).ok_or_else(|| {
            let message = format!("`augment` has no recipe for `{}`: the manifest has changed since", clip.uri);
            StageErrorKind::data(message, "run `ecosight retrain --to augment` first, or all of `ecosight retrain`")
        })?;
        Ok(Work { clip_id: clip.clip_id, uri: clip.uri, span: clip.span, size_bytes: clip.size_bytes, recipes })
    };
    clips.into_iter().map(work).collect()
}

/// Takes the result of one clip.
pub type Receive<'a> = dyn FnMut(&Work, Result<ClipEmbeddings, ClipError>) -> Result<(), StageErrorKind> + 'a;

/// Embeds all of `work`, on behalf of `stage`; `each` gets the results one by one, in the order of `work`.
pub fn embed_all(
    context: &Context<'_>,
    stage: &'static str,
    embedder: &dyn Embedder,
    work: &[Work],
    each: &mut Receive<'_>,
) -> Result<(), StageErrorKind> {
    let store = context.source.store()?;
    let uris: Vec<&str> = work.iter().map(|w| w.uri.as_str()).collect();
    let mut silent = Vec::new();
    let done = AtomicU64::new(0);
    bridge::fetch(&store, &uris, |files| {
        for group in groups(work) {
            context.check_cancelled()?;
            let opened: Vec<(&Work, Opened)> = group.iter().zip(files.iter()).collect();
            let compute = |(clip, file)| {
                let result = one(context, embedder, clip, file);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                context.emit(Event::Progress { stage, done, total: work.len() as u64, unit: "clips" });
                result
            };
            let results: Vec<_> = opened.into_par_iter().map(compute).collect();
            for (clip, result) in group.iter().zip(results) {
                let result = result?;
                if let Ok(embedded) = &result {
                    if embedded.is_silent {
                        silent.push(clip.uri.clone());
                    }
                    if embedded.skipped_packets > 0 {
                        let message = format!("`{}`: {} damaged packets left out", clip.uri, embedded.skipped_packets);
                        context.emit(Event::Warning { stage, message });
                    }
                }
                each(clip, result)?;
            }
        }
        if let Some(first) = silent.first() {
            let message = format!("{} clip(s) are silent (first: `{first}`)", silent.len());
            context.emit(Event::Warning { stage, message });
        }
        Ok(())
    })?
}

/// Cuts the work into groups of at most [`GROUP`] clips and, unless it is one clip alone, [`GROUP_BYTES`] bytes.
fn groups(mut work: &[Work]) -> impl Iterator<Item = &[Work]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |clip: &&Work| {
            bytes += clip.size_bytes;
            bytes <= GROUP_BYTES
        };
        let n = work.iter().take(GROUP).take_while(fits).count().max(1).min(work.len());
        let (group, rest) = work.split_at(n);
        work = rest;
        (n > 0).then_some(group)
    })
}

/// Embeds one clip; the outer error means that the store or the user stops the run.
fn one(
    context: &Context<'_>,
    embedder: &dyn Embedder,
    clip: &Work,
    file: Opened,
) -> Result<Result<ClipEmbeddings, ClipError>, StageErrorKind> {
    context.check_cancelled()?;
    match file {
        Ok(file) => Ok(embed_clip(embedder, file, clip.span, &clip.recipes)),
        Err(OpenError::File { code, message }) => Ok(Err(ClipError { code: code.to_owned(), message })),
        Err(OpenError::Store(error)) => Err(error.into()),
    }
}

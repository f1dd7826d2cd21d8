//! `embed`: the embedding of every patch of every variant.
//!
//! The clips go through the [`stream`]; their rows go to a thread that writes them in the manifest's order, so the table does not depend
//! on the number of threads.

use std::collections::HashMap;

use ecosight_datasets::DatasetError;
use ecosight_datasets::audio::Span;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::schema::{ValueType, Vectors};
use ecosight_datasets::tables::{ClipRow, EmbedReader, EmbedWriter, QuarantineRow, RecipeRow, Unit, read_rows};
use ecosight_models::embedder::{Dtype, Embedder};
use ecosight_models::open::{EmbedderName, EmbedderSpec, PrecisionChoice, open_embedder};
use serde::Deserialize;

use crate::behind::write_behind;
use crate::bridge;
use crate::clip::{Bench, ClipError, Recipe, Stop};
use crate::error::InStage;
use crate::params::{Params, Problem, parse};
use crate::pooled::embedder_of;
use crate::stage::{Context, Definition, Event, Stage};
use crate::stream::{self, Order, Outcome, Piece, Receive};
use crate::timings::{Meter, Step};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 2,
    about: "decode, augment and embed every clip and variant",
    inputs: &["manifest", "augment"],
    parameters: Embed::KEYS,
    configure: |table| Ok(Box::new(parse::<Embed>(table)?)),
};

const NAME: &str = "embed";

/// Key of the embedder's identity (JSON) in the metadata of the table's parts.
pub const EMBEDDER_KEY: &str = "ecosight.embedder";

/// The stage's parameters.
#[derive(Deserialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Embed {
    /// What turns audio into numbers.
    pub embedder: EmbedderName,
    /// What it computes in.
    pub precision: PrecisionChoice,
    /// What the numbers are kept in.
    pub dtype: Dtype,
}

impl Default for Embed {
    fn default() -> Self {
        Self { embedder: EmbedderName::Yamnet, precision: PrecisionChoice::F32, dtype: Dtype::F32 }
    }
}

impl Embed {
    /// The embedder that is asked for.
    pub fn spec(&self) -> EmbedderSpec {
        EmbedderSpec { name: self.embedder, precision: self.precision, dtype: self.dtype }
    }

    /// An error if there is a table that other parameters made.
    pub fn check_table(&self, layout: &Layout) -> Result<(), StageErrorKind> {
        if !layout.table(NAME).is_dir() {
            return Ok(());
        }
        let made_by = embedder_of(&EmbedReader::open(layout)?)?;
        if self.spec().describes(&made_by) {
            return Ok(());
        }
        let (name, precision, dtype) = (self.embedder.word(), self.precision.word(), self.dtype.word());
        Err(StageErrorKind::data(
            format!(
                "the table was made by `{made_by}`, but the pipeline asks for `{name}` in {precision}, kept in {dtype}"
            ),
            "compute it anew with `ecosight retrain`, or ask for what is there with `--set embed.…`",
        ))
    }
}

impl Params for Embed {
    const KEYS: &'static [&'static str] = &["embedder", "precision", "dtype"];

    fn problems(&self) -> Vec<Problem> {
        self.spec().contradiction().map(|message| Problem::new("precision", message)).into_iter().collect()
    }
}

/// The vectors of a table that `embedder` makes.
pub fn vectors(embedder: &dyn Embedder) -> Vectors {
    let values = match embedder.id().dtype {
        Dtype::F32 => ValueType::Float32,
        Dtype::F16 => ValueType::Float16,
    };
    Vectors { dim: embedder.dim(), values }
}

impl Stage for Embed {
    fn check(&self, context: &Context<'_>) -> Result<(), StageError> {
        self.spec().check(context.weights).in_stage(NAME)
    }

    fn run(&self, context: &Context<'_>) -> Result<(), StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let recipes: Vec<RecipeRow> = read_rows(&context.layout.table("augment")).in_stage(NAME)?;
        let embedder = open_embedder(self.spec(), context.weights).in_stage(NAME)?;
        let work = plan(clips, recipes).in_stage(NAME)?;
        let (meter, stop) = (Meter::default(), Stop::new(context.cancelled));
        let bench = Bench { embedder: &*embedder, meter: &meter, stop: &stop };
        run(context, bench, &work).in_stage(NAME)?;
        context.emit(Event::Timed { stage: NAME, steps: meter.report() });
        Ok(())
    }
}

/// Embeds `work` and replaces the table.
fn run(context: &Context<'_>, bench: Bench<'_>, work: &[Work]) -> Result<(), StageErrorKind> {
    let id = bench.embedder.id();
    let json = serde_json::to_string(id).expect("an identity is plain data");
    let metadata = vec![(EMBEDDER_KEY, json)];
    let mut table = EmbedWriter::create(context.layout, &id.slug(), vectors(bench.embedder), metadata)?;
    let (mut units, mut patches) = (0, 0);
    let mut failed = Vec::new();
    let write = |piece| write(&mut table, bench.meter, work, piece);
    write_behind(write, |hand| {
        embed_all(context, NAME, bench, work, &mut |piece| {
            match &piece {
                Piece::Rows(_, _, rows) => patches += rows.len(),
                Piece::Done(_, Outcome::Whole(embeddings)) => {
                    units += embeddings.variants.len();
                    patches += embeddings.patches();
                }
                Piece::Done(number, Outcome::Long(_)) => units += work[*number].recipes.len(),
                Piece::Done(number, Outcome::Failed(error)) => failed.push(work[*number].quarantined(error)),
            }
            hand(piece)
        })
    })?;
    context.quarantine(&failed, work.len())?;
    bench.meter.time(Step::Write, 0, || table.finish())?;
    let clips = work.len() - failed.len();
    let counts = [("clips", clips), ("units", units), ("patches", patches), ("quarantined", failed.len())];
    context.emit(Event::counted(NAME, counts));
    Ok(())
}

/// Writes what comes out of the stream.
fn write(table: &mut EmbedWriter, meter: &Meter, work: &[Work], piece: Piece) -> Result<(), DatasetError> {
    match piece {
        Piece::Rows(number, recipe, patches) => {
            let clip = &work[number];
            let unit = Unit { clip_id: clip.clip_id, variant: clip.recipes[recipe].variant };
            meter.time(Step::Write, patches.len(), || table.write_long(unit, patches))
        }
        Piece::Done(number, outcome) => {
            let clip = &work[number];
            match outcome {
                Outcome::Whole(embeddings) => {
                    let rows = embeddings.patches();
                    let variants = clip.recipes.iter().map(|recipe| recipe.variant).zip(embeddings.variants);
                    meter.time(Step::Write, rows, || table.write(clip.clip_id, variants))
                }
                Outcome::Long(_) => meter.time(Step::Write, 0, || table.keep_long(clip.clip_id)),
                Outcome::Failed(_) => table.drop_long(clip.clip_id),
            }
        }
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
    /// Its variants.
    pub recipes: Vec<Recipe>,
}

impl Work {
    /// The row that says why this clip cannot be used.
    pub fn quarantined(&self, error: &ClipError) -> QuarantineRow {
        let (clip_id, uri, stage) = (Some(self.clip_id), self.uri.clone(), NAME.to_owned());
        QuarantineRow { clip_id, uri, stage, code: error.code.clone(), message: error.message.clone() }
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
        Ok(Work { clip_id: clip.clip_id, uri: clip.uri, span: clip.span, recipes })
    };
    clips.into_iter().map(work).collect()
}

/// Embeds all of `work`, on behalf of `stage`; `each` gets the pieces, whose numbers are positions in `work`.
pub fn embed_all(
    context: &Context<'_>,
    stage: &'static str,
    bench: Bench<'_>,
    work: &[Work],
    each: &mut Receive<'_>,
) -> Result<(), StageErrorKind> {
    let store = context.source.store()?;
    let uris: Vec<&str> = work.iter().map(|w| w.uri.as_str()).collect();
    let orders: Vec<Order<'_>> = work.iter().map(|w| Order { span: w.span, recipes: &w.recipes }).collect();
    let total = work.len() as u64;
    let progress = |done| context.emit(Event::Progress { stage, done, total, unit: "clips" });
    let mut silent = Vec::new();
    let mut listen = |piece: Piece| {
        if let Piece::Done(number, outcome) = &piece {
            let uri = &work[*number].uri;
            let heard = outcome.heard();
            if heard.is_some_and(|heard| heard.is_silent) {
                silent.push(uri.clone());
            }
            if let Some(skipped) = heard.map(|heard| heard.skipped_packets).filter(|n| *n > 0) {
                let message = format!("`{uri}`: {skipped} damaged packets left out");
                context.emit(Event::Warning { stage, message });
            }
        }
        each(piece)
    };
    bridge::fetch(&store, &uris, |files| stream::run(bench, &orders, &files, &mut listen, &progress))??;
    if let Some(first) = silent.first() {
        let message = format!("{} clip(s) are silent (first: `{first}`)", silent.len());
        context.emit(Event::Warning { stage, message });
    }
    Ok(())
}

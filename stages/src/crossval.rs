//! Cross-validation on originals: over the given folds, over k folds of whole recordings (or sites, devices, days: `split.group_by`), or leaving each of
//! these out in turn.
//!
//! Each recording is scored by a head that was trained on others. Nothing is written; embeddings of originals that the table
//! already holds are used, the others are computed.

mod copies;
mod folds;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, EmbedParts, EmbedTable, Unit, UnitEntry};
use ecosight_models::ModelError;
use ecosight_models::decision::Decision;
use ecosight_models::embedder::Embedder;
use ecosight_models::head::{Pooler, TrainConfig, train};
use ecosight_models::metrics::Metrics;
use ecosight_models::open::open_embedder;
use serde::Serialize;
use std::ops::ControlFlow;

use crate::StageErrorKind;
use crate::clip::{Bench, Recipe, Stop};
use crate::embed::{Embed, Work, embed_all, unit_key};
use crate::figures::Judge;
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::pooled::{Clips, Rows, read_pooled};
use crate::split::Split;
use crate::stage::{Context, Event};
use crate::stream::{Outcome, Piece};
use crate::timings::Meter;

/// Name of the work in progress events.
const NAME: &str = "evaluate";

/// What is cross-validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How recordings and folds are told.
    pub split: Split,
    /// Which embedder.
    pub embed: Embed,
    /// Which head.
    pub train: TrainConfig,
    /// Which folds.
    pub folds: Folds,
}

/// The folds of a cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folds {
    /// The given ones; five where there are none.
    Given,
    /// So many.
    Number(usize),
    /// One for each recording, or whatever `split.group_by` keeps together.
    Each,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct CrossValidation {
    /// Identity of the embedder.
    pub embedder: String,
    /// Figures over all clips, each scored by a head that has not seen its recording.
    pub metrics: Metrics,
    /// Accuracy on each fold.
    pub folds: BTreeMap<String, f64>,
    /// Clips in each fold.
    pub fold_clips: BTreeMap<String, u64>,
    /// Originals whose embeddings were in the table.
    pub reused: usize,
    /// Originals that were embedded now.
    pub computed: usize,
    /// Clips that could not be used.
    pub quarantined: usize,
}

/// Cross-validates on the context's source.
pub fn cross_validate(context: &Context<'_>, settings: &Settings) -> Result<CrossValidation, StageErrorKind> {
    let found = Manifest::default().find(context, &|_| Ok(()))?;
    context.quarantine(&found.failed, found.failed.len() + found.clips.len())?;
    let told = settings.split.tell(&found.clips);
    for message in told.warnings {
        context.emit(Event::Warning { stage: NAME, message });
    }
    let folds = folds::folds(&settings.split, &told.rows, &found.clips, settings.folds)?;
    let labels = Labels::join(&found.clips, told.rows, &settings.train);
    if let Some(problem) = labels.problem() {
        return Err(problem);
    }
    folds::check_classes(&settings.split, &labels, &folds)?;
    let embedder = open_embedder(settings.embed.spec(), context.weights)?;
    let mut originals = Originals { settings, embedder: &*embedder, labels: &labels, rows: Rows::default() };
    let reused = originals.reuse(context)?;
    let failed = originals.compute(context, &found.clips)?;
    let mut rows = originals.rows;
    rows.sort();
    let copies = copies::copies(context, &rows, &folds)?;
    if let Some(message) = told_of(&copies, &found.clips) {
        context.emit(Event::Warning { stage: NAME, message });
    }
    let (metrics, by_fold) = score(context, settings, &rows, &folds, &labels)?;
    let metrics = Metrics { is_leaky: !copies.is_empty(), ..metrics };
    Ok(CrossValidation {
        embedder: embedder.id().slug(),
        metrics,
        folds: by_fold.accuracy,
        fold_clips: by_fold.clips,
        reused,
        computed: rows.len() - reused,
        quarantined: found.failed.len() + failed,
    })
}

/// Copies in different folds, in words; nothing where there are none.
fn told_of(copies: &BTreeSet<[ClipId; 2]>, clips: &[ClipRow]) -> Option<String> {
    let [a, b] = copies.first()?;
    let uri = |id: &ClipId| clips.iter().find(|clip| clip.clip_id == *id).map_or("?", |clip| clip.uri.as_str());
    let n = copies.len();
    let pairs = if n == 1 { "a pair" } else { "pairs" };
    let (a, b) = (uri(a), uri(b));
    Some(format!("the figures are leaky: there are copies in different folds ({n} {pairs}, first `{a}` and `{b}`)"))
}

/// Pooled originals on their way.
struct Originals<'a> {
    settings: &'a Settings,
    embedder: &'a dyn Embedder,
    labels: &'a Labels,
    rows: Rows,
}

impl Originals<'_> {
    /// Takes the originals that the table holds under the keys that they would have now.
    fn reuse(&mut self, context: &Context<'_>) -> Result<usize, StageErrorKind> {
        let id = self.embedder.id();
        if EmbedParts::read(context.layout)?.is_none_or(|table| table.embedder != id.slug()) {
            return Ok(0);
        }
        let table = EmbedTable::look(context.layout, &id.slug())?;
        let is_same = |entry: &&UnitEntry| entry.key == unit_key(id, entry.unit.clip_id, &Recipe::ORIGINAL);
        let same: HashSet<Unit> = table.live().filter(is_same).map(|entry| entry.unit).collect();
        let rows = &mut self.rows;
        read_pooled(context, self.settings.train.summary(), self.labels, &mut |unit, labelled, row| {
            if same.contains(&unit) {
                rows.push(unit, labelled, &row);
            }
        })?;
        Ok(rows.len())
    }

    /// Computes the rest; returns how many clips failed.
    fn compute(&mut self, context: &Context<'_>, clips: &[ClipRow]) -> Result<usize, StageErrorKind> {
        let present: HashSet<ClipId> = self.rows.units.iter().map(|unit| unit.clip_id).collect();
        let work: Vec<Work> = clips
            .iter()
            .filter(|clip| !present.contains(&clip.clip_id))
            .map(|clip| Work::original(clip, self.embedder.id()))
            .collect();
        let (dim, summary) = (self.embedder.dim(), self.settings.train.summary());
        let (meter, stop) = (Meter::default(), Stop::new(context.cancelled));
        let bench = Bench { embedder: self.embedder, meter: &meter, stop: &stop };
        let mut failed = Vec::new();
        // Long clips, as far as their rows have come.
        let mut long: HashMap<usize, Pooler> = HashMap::new();
        embed_all(context, NAME, bench, &work, &mut |piece| {
            let (number, rows): (usize, Vec<Vec<f32>>) = match piece {
                Piece::Rows(number, _, patches) => {
                    let pooler = long.entry(number).or_insert_with(|| Pooler::new(summary, dim));
                    pooler.push(&patches.embeddings);
                    return Ok(());
                }
                Piece::Done(number, Outcome::Failed(error)) => {
                    long.remove(&number);
                    failed.push(work[number].quarantined(&error, self.embedder.id()));
                    return Ok(());
                }
                Piece::Done(number, Outcome::Whole(whole)) => {
                    let rows = summary.pool(&whole.variants[0].embeddings, dim);
                    (number, rows.chunks_exact(summary.dim(dim)).map(<[f32]>::to_vec).collect())
                }
                Piece::Done(number, Outcome::Long(_)) => {
                    (number, long.remove(&number).map(Pooler::finish).unwrap_or_default())
                }
            };
            let clip_id = work[number].clip_id;
            for row in rows {
                self.rows.push(Unit { clip_id, variant: 0 }, &self.labels.clips[&clip_id], &row);
            }
            Ok(())
        })?;
        context.quarantine(&failed, clips.len())?;
        Ok(failed.len())
    }
}

/// What was found of each fold.
#[derive(Default)]
struct ByFold {
    accuracy: BTreeMap<String, f64>,
    clips: BTreeMap<String, u64>,
}

/// Trains on all folds but one and scores that one, for each fold.
fn score(
    context: &Context<'_>,
    settings: &Settings,
    rows: &Rows,
    folds: &HashMap<ClipId, String>,
    labels: &Labels,
) -> Result<(Metrics, ByFold), StageErrorKind> {
    let names: BTreeSet<&String> = rows.units.iter().map(|unit| &folds[&unit.clip_id]).collect();
    let judge = Judge::new(labels, settings.split.group_by.word());
    let decision = Decision::plain(settings.train.labelling(), &labels.classes, &settings.train.background);
    let mut all = Clips::default();
    let mut by_fold = ByFold::default();
    for name in names {
        context.check_cancelled()?;
        let (mut fitted, mut held_out) = (Rows::default(), Rows::default());
        for (unit, row) in rows.units.iter().zip(rows.x.chunks_exact(rows.dim)) {
            let side = if folds[&unit.clip_id] == *name { &mut held_out } else { &mut fitted };
            side.push(*unit, &labels.clips[&unit.clip_id], row);
        }
        let missing = labels.missing(&fitted);
        if !missing.is_empty() {
            let message = format!("without fold `{name}` no usable clip of class {} is left", missing.join(", "));
            return Err(StageErrorKind::data(message, "repair the files that are reported above, or add recordings"));
        }
        let go_on = &mut |_: &_| ControlFlow::Continue(());
        let trained =
            train(fitted.take_examples(), None, labels.targets(), &settings.train, go_on).map_err(ModelError::from)?;
        let clips = held_out.scored(&trained.head);
        let metrics = judge.figures(&clips, &clips.answers(&decision)).map_err(ModelError::from)?;
        by_fold.accuracy.insert(name.clone(), metrics.accuracy);
        by_fold.clips.insert(name.clone(), metrics.n);
        all.append(clips);
    }
    let metrics = judge.measure(&all, &all.answers(&decision))?;
    Ok((metrics, by_fold))
}

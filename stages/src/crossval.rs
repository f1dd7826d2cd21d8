//! Cross-validation: over the given folds, over k folds of whole recordings (or sites, devices, days: `split.group_by`), or leaving each of
//! these out in turn.
//!
//! The originals of each recording are scored by a head that was trained on the others as `train` does it (`procedure.rs`), augmented variants included;
//! recordings that are copies of each other are in one fold (`split.copies`). Nothing is written; embeddings that the table already holds are used, the
//! others are computed.

mod copies;
mod folds;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ecosight_datasets::key::{ClipId, UnitKey};
use ecosight_datasets::tables::{ClipRow, EmbedParts, EmbedTable, Unit};
use ecosight_models::ModelError;
use ecosight_models::embedder::Embedder;
use ecosight_models::head::{Pooler, TrainConfig};
use ecosight_models::metrics::Metrics;
use ecosight_models::open::open_embedder;
use serde::Serialize;

use crate::StageErrorKind;
use crate::augment::Augment;
use crate::clip::{Bench, Stop};
use crate::copies::Pair;
use crate::embed::{Embed, Work, embed_all};
use crate::figures::Judge;
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::pooled::{Clips, Rows, read_pooled};
use crate::procedure::Procedure;
use crate::split::{Copies, Split};
use crate::stage::{Context, Event};
use crate::stream::{Outcome, Piece};
use crate::timings::Meter;
use crate::units::{Wanted, wanted};

/// Name of the work in progress events.
const NAME: &str = "evaluate";

/// What is cross-validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How recordings and folds are told.
    pub split: Split,
    /// Which variants are trained on.
    pub augment: Augment,
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
    /// Originals and variants whose embeddings were in the table.
    pub reused: usize,
    /// Originals and variants that were embedded now.
    pub computed: usize,
    /// Clips that could not be used.
    pub quarantined: usize,
}

/// Cross-validates on the context's source.
pub fn cross_validate(context: &Context<'_>, settings: &Settings) -> Result<CrossValidation, StageErrorKind> {
    let found = Manifest::default().find(context, &|_| Ok(()))?;
    context.quarantine(&found.failed, found.failed.len() + found.clips.len())?;
    let mut copies = copies::known(context.layout)?;
    let mut warned = BTreeSet::new();
    let mut warn = |message: String| {
        if warned.insert(message.clone()) {
            context.emit(Event::Warning { stage: NAME, message });
        }
    };
    // Whatever is wrong shows before anything is embedded.
    let labels = deal(settings, &found.clips, &copies, &mut warn)?.labels;
    let embedder = open_embedder(settings.embed.spec(), context.weights)?;
    let recipes = found.clips.iter().flat_map(|clip| settings.augment.recipes(clip.clip_id, settings.augment.variants));
    let wanted = wanted(embedder.id(), recipes.collect(), &found.clips)?;
    let mut pooled = Pooled { settings, embedder: &*embedder, labels: &labels, rows: Rows::default() };
    let reused = pooled.reuse(context, &wanted)?;
    let failed = pooled.compute(context, &wanted)?;
    let mut rows = pooled.rows;
    rows.sort();
    copies.extend(crate::copies::equal(context, NAME, &rows, &found.clips)?);
    let Dealt { folds, labels, joined } = deal(settings, &found.clips, &copies, &mut warn)?;
    let copies = copies::parted(&copies, &folds);
    if let Some(message) = told_of(&copies, &found.clips) {
        warn(message);
    }
    if let Some(line) = joined {
        context.emit(Event::Told { stage: NAME, line });
    }
    context.emit(Event::Told { stage: NAME, line: announcement(&settings.split, settings.folds, &folds) });
    let (metrics, by_fold) = score(context, settings, &rows, &folds, &labels)?;
    let metrics = Metrics { is_leaky: !copies.is_empty(), ..metrics };
    Ok(CrossValidation {
        embedder: embedder.id().slug(),
        metrics,
        folds: by_fold.accuracy,
        fold_clips: by_fold.clips,
        reused,
        computed: rows.unit_count() - reused,
        quarantined: found.failed.len() + failed,
    })
}

/// Clips with their folds and labels.
struct Dealt {
    folds: HashMap<ClipId, String>,
    labels: Labels,
    /// The recordings that were joined because they are copies, in words.
    joined: Option<String>,
}

/// Deals clips to folds, with copies of each other in one fold if they are to be joined.
fn deal(
    settings: &Settings,
    clips: &[ClipRow],
    copies: &[Pair],
    warn: &mut impl FnMut(String),
) -> Result<Dealt, StageErrorKind> {
    let copies = if settings.split.copies == Copies::Join { copies } else { &[] };
    let mut told = settings.split.tell(clips, copies);
    std::mem::take(&mut told.warnings).into_iter().for_each(&mut *warn);
    let folds = folds::folds(&settings.split, &mut told, clips, settings.folds)?;
    std::mem::take(&mut told.warnings).into_iter().for_each(warn);
    let labels = Labels::join(clips, told.rows, &settings.train);
    if let Some(problem) = labels.problem() {
        return Err(problem);
    }
    folds::check_classes(&settings.split, &labels, &folds)?;
    Ok(Dealt { folds, labels, joined: told.joined })
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

/// Pooled embeddings of originals and variants, while they are collected.
struct Pooled<'a> {
    settings: &'a Settings,
    embedder: &'a dyn Embedder,
    labels: &'a Labels,
    rows: Rows,
}

impl Pooled<'_> {
    /// Takes the units that the table holds under the keys that they would have now; returns how many.
    fn reuse(&mut self, context: &Context<'_>, wanted: &[(&ClipRow, Vec<Wanted>)]) -> Result<usize, StageErrorKind> {
        let id = self.embedder.id();
        if EmbedParts::read(context.layout)?.is_none_or(|table| table.embedder != id.slug()) {
            return Ok(0);
        }
        let table = EmbedTable::look(context.layout, &id.slug())?;
        let keys: HashSet<UnitKey> = wanted.iter().flat_map(|(_, units)| units).map(|unit| unit.entry.key).collect();
        let same: HashSet<Unit> =
            table.live().filter(|entry| keys.contains(&entry.key)).map(|entry| entry.unit).collect();
        let rows = &mut self.rows;
        read_pooled(context, self.settings.train.summary(), self.labels, &mut |unit, labelled, row| {
            if same.contains(&unit) {
                rows.push(unit, labelled, &row);
            }
        })?;
        Ok(rows.unit_count())
    }

    /// Computes the rest; returns how many clips failed.
    fn compute(&mut self, context: &Context<'_>, wanted: &[(&ClipRow, Vec<Wanted>)]) -> Result<usize, StageErrorKind> {
        let reused: HashSet<Unit> = self.rows.units.iter().copied().collect();
        let entries = wanted.iter().flat_map(|(_, units)| units).map(|unit| &unit.entry);
        let present: HashSet<UnitKey> =
            entries.filter(|entry| reused.contains(&entry.unit)).map(|entry| entry.key).collect();
        let work: Vec<Work> = wanted.iter().filter_map(|(clip, units)| Work::missing(clip, units, &present)).collect();
        let (dim, summary) = (self.embedder.dim(), self.settings.train.summary());
        let (meter, stop) = (Meter::default(), Stop::new(context.cancelled));
        let bench = Bench { embedder: self.embedder, meter: &meter, stop: &stop, is_measuring: false };
        let mut failed = Vec::new();
        // Units of long clips, as far as their rows have come.
        let mut long: HashMap<Unit, Pooler> = HashMap::new();
        embed_all(context, NAME, bench, &work, &mut |piece| {
            match piece {
                Piece::Rows(number, recipe, patches) => {
                    let pooler = long.entry(work[number].units[recipe].unit);
                    pooler.or_insert_with(|| Pooler::new(summary, dim)).push(&patches.embeddings);
                }
                Piece::Done(number, Outcome::Failed(error)) => {
                    work[number].units.iter().for_each(|entry| drop(long.remove(&entry.unit)));
                    failed.push(work[number].quarantined(&error, self.embedder.id()));
                }
                Piece::Done(number, Outcome::Whole(whole)) => {
                    for (entry, patches) in work[number].units.iter().zip(&whole.variants) {
                        let rows = summary.pool(&patches.embeddings, dim);
                        self.push(entry.unit, rows.chunks_exact(summary.dim(dim)));
                    }
                }
                Piece::Done(number, Outcome::Long(_)) => {
                    for entry in &work[number].units {
                        let rows = long.remove(&entry.unit).map(Pooler::finish).unwrap_or_default();
                        self.push(entry.unit, rows.iter().map(Vec::as_slice));
                    }
                }
            }
            Ok(())
        })?;
        let unusable: HashSet<ClipId> = failed.iter().filter_map(|row| row.clip_id).collect();
        if reused.iter().any(|unit| unusable.contains(&unit.clip_id)) {
            self.rows.retain(|unit| !unusable.contains(&unit.clip_id));
        }
        context.quarantine(&failed, wanted.len())?;
        Ok(failed.len())
    }

    fn push<'a>(&mut self, unit: Unit, rows: impl Iterator<Item = &'a [f32]>) {
        rows.for_each(|row| self.rows.push(unit, &self.labels.clips[&unit.clip_id], row));
    }
}

/// What was found of each fold.
#[derive(Default)]
struct ByFold {
    accuracy: BTreeMap<String, f64>,
    clips: BTreeMap<String, u64>,
}

/// What is about to be done, in words.
fn announcement(split: &Split, folds: Folds, of_clip: &HashMap<ClipId, String>) -> String {
    let n = of_clip.values().collect::<BTreeSet<_>>().len();
    let word = if folds == Folds::Each { split.group_by.word() } else { "fold" };
    format!("leaving out each of {n} {word}s in turn: {n} trainings")
}

/// Follows the procedure of `train` on all folds but one and scores that one, for each fold.
fn score(
    context: &Context<'_>,
    settings: &Settings,
    rows: &Rows,
    folds: &HashMap<ClipId, String>,
    labels: &Labels,
) -> Result<(Metrics, ByFold), StageErrorKind> {
    let of_row: Vec<&String> = rows.units.iter().map(|unit| &folds[&unit.clip_id]).collect();
    let names: BTreeSet<&String> = of_row.iter().copied().collect();
    let total = names.len() as u64;
    let progress = |done| context.emit(Event::Progress { stage: NAME, done, total, unit: "folds" });
    progress(0);
    let procedure = Procedure { config: &settings.train, labels, unit: settings.split.group_by.word() };
    let judge = Judge::new(labels, procedure.unit);
    let (mut all, mut answers, mut by_fold) = (Clips::default(), Vec::new(), ByFold::default());
    for (name, done) in names.into_iter().zip(1..) {
        let (held_out, fitted): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|&row| of_row[row] == name);
        let missing = labels.missing(fitted.iter().map(|&row| rows.y[row]));
        if !missing.is_empty() {
            let message = format!("without fold `{name}` no usable clip of class {} is left", missing.join(", "));
            return Err(StageErrorKind::data(message, "repair the files that are reported above, or add recordings"));
        }
        let held_out: Vec<usize> = held_out.into_iter().filter(|&row| rows.is_original[row]).collect();
        let found = procedure.held_out(rows, &fitted, &held_out, &|| context.check_cancelled().is_err())?;
        let found = found.ok_or(StageErrorKind::Cancelled)?;
        let metrics = judge.figures(&found.clips, &found.answers).map_err(ModelError::from)?;
        by_fold.accuracy.insert(name.clone(), metrics.accuracy);
        by_fold.clips.insert(name.clone(), metrics.n);
        all.append(found.clips);
        answers.extend(found.answers);
        progress(done);
    }
    let metrics = judge.measure(&all, &answers)?;
    Ok((metrics, by_fold))
}

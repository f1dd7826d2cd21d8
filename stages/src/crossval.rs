//! Cross-validation on originals: over the given folds, or over k groups of recordings.
//!
//! Each recording is scored by a head that was trained on the others. Nothing is written; embeddings of originals that the table
//! already holds are used, the others are computed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ecosight_datasets::key::{ClipId, KeyHasher};
use ecosight_datasets::tables::{ClipRow, EmbedParts, EmbedTable, SplitRow, Unit, UnitEntry};
use ecosight_models::ModelError;
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
use crate::pooled::{Rows, read_pooled};
use crate::split::{Split, warn_unmatched};
use crate::stage::Context;
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
    /// Number of groups; none: the given folds, and five groups where there are none.
    pub groups: Option<usize>,
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
    let (split, unmatched) = settings.split.assign(&found.clips);
    warn_unmatched(context, NAME, &unmatched, found.clips.len());
    let folds = folds(&split, &found.clips, settings.groups, settings.split.seed)?;
    let labels = Labels::join(&found.clips, split, &settings.train);
    if let Some(problem) = labels.problem() {
        return Err(problem);
    }
    check_classes(&labels, &folds)?;
    let embedder = open_embedder(settings.embed.spec(), context.weights)?;
    let mut originals = Originals { settings, embedder: &*embedder, labels: &labels, rows: Rows::default() };
    let reused = originals.reuse(context)?;
    let failed = originals.compute(context, &found.clips)?;
    let mut rows = originals.rows;
    rows.sort();
    let (metrics, by_fold) = score(context, settings, &rows, &folds, &labels)?;
    Ok(CrossValidation {
        embedder: embedder.id().slug(),
        metrics,
        folds: by_fold,
        reused,
        computed: rows.len() - reused,
        quarantined: found.failed.len() + failed,
    })
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

/// The fold of each clip: the given ones, or `groups` dealt ones; five where none are given.
fn folds(
    split: &[SplitRow],
    clips: &[ClipRow],
    groups: Option<usize>,
    seed: u64,
) -> Result<HashMap<ClipId, String>, StageErrorKind> {
    let given = split.iter().filter(|row| row.fold.is_some()).count();
    if groups.is_some() || given == 0 {
        return Ok(grouped(split, clips, groups.unwrap_or(5), seed));
    }
    if given < split.len() {
        let message = format!("{given} of {} clips have a fold, the others have none", split.len());
        return Err(StageErrorKind::data(message, "give each clip a fold, or ask for groups: `--groups 5`"));
    }
    let mut of_recording: HashMap<&str, &str> = HashMap::new();
    for row in split {
        let fold = row.fold.as_deref().unwrap_or_default();
        let first = of_recording.entry(&row.recording_id).or_insert(fold);
        if *first != fold {
            let message = format!("recording `{}` has clips in the folds `{first}` and `{fold}`", row.recording_id);
            return Err(StageErrorKind::data(
                message,
                "put all clips of a recording into one fold, or use `--groups 5`",
            ));
        }
    }
    Ok(split.iter().filter_map(|row| Some((row.clip_id, row.fold.clone()?))).collect())
}

/// An error unless there are two classes, each with recordings in two folds.
fn check_classes(labels: &Labels, folds: &HashMap<ClipId, String>) -> Result<(), StageErrorKind> {
    let mut of_class: BTreeMap<usize, BTreeSet<&String>> = BTreeMap::new();
    for (clip_id, labelled) in &labels.clips {
        for class in labels.classes_of(labelled.label) {
            of_class.entry(class).or_default().insert(&folds[clip_id]);
        }
    }
    if of_class.len() < 2 {
        let hint = "the first folder below the source is the class; add another class";
        return Err(StageErrorKind::data("a classifier needs clips of at least two classes", hint));
    }
    let narrow: Vec<_> = of_class
        .iter()
        .filter(|(_, folds)| folds.len() < 2)
        .map(|(class, _)| format!("`{}`", labels.classes[*class]))
        .collect();
    if narrow.is_empty() {
        return Ok(());
    }
    let message = format!("all recordings of class {} are in one fold", narrow.join(", "));
    Err(StageErrorKind::data(message, "a class needs recordings in at least two folds; add some, or use `--groups`"))
}

/// Deals the recordings of each class to `k` groups in the order of a seeded hash.
fn grouped(split: &[SplitRow], clips: &[ClipRow], k: usize, seed: u64) -> HashMap<ClipId, String> {
    let mut label_of: BTreeMap<&str, &str> = BTreeMap::new();
    for (row, clip) in split.iter().zip(clips) {
        label_of.entry(&row.recording_id).or_insert(&clip.label);
    }
    let rank = |recording: &str| KeyHasher::new("cross-validation").u64(seed).str(recording).finish();
    let mut ranked: Vec<_> = label_of.iter().map(|(recording, label)| (*label, rank(recording), *recording)).collect();
    ranked.sort_unstable();
    let group: HashMap<&str, usize> =
        ranked.iter().enumerate().map(|(i, (.., recording))| (*recording, i % k)).collect();
    let name = |row: &SplitRow| (row.clip_id, format!("group {}", group[row.recording_id.as_str()] + 1));
    split.iter().map(name).collect()
}

/// Trains on all folds but one and scores that one, for each fold.
fn score(
    context: &Context<'_>,
    settings: &Settings,
    rows: &Rows,
    folds: &HashMap<ClipId, String>,
    labels: &Labels,
) -> Result<(Metrics, BTreeMap<String, f64>), StageErrorKind> {
    let names: BTreeSet<&String> = rows.units.iter().map(|unit| &folds[&unit.clip_id]).collect();
    // Where clips can be of several classes, each is predicted from a half on.
    let judge = Judge::new(labels, vec![0.5; labels.classes.len()], &settings.train.background);
    let (mut probabilities, mut truth, mut groups, mut by_fold) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
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
        let clips = held_out.clips(&trained.head.probabilities(&held_out.x), labels.classes.len());
        let metrics = judge.figures(&clips.scores, &clips.y).map_err(ModelError::from)?;
        by_fold.insert(name.clone(), metrics.accuracy);
        probabilities.extend(clips.scores);
        truth.extend(clips.y);
        groups.extend(clips.groups);
    }
    let metrics = judge.measure(&probabilities, &truth, &groups)?;
    Ok((metrics, by_fold))
}

//! Which clips are held out together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ecosight_datasets::key::{ClipId, KeyHasher};
use ecosight_datasets::tables::{ClipRow, SplitRow};

use super::Folds;
use crate::StageErrorKind;
use crate::labels::Labels;
use crate::split::{GroupBy, Split, Told, deal, told_by, wholes};

/// Where nobody says how many.
const FOLDS: usize = 5;

/// The fold of each clip.
pub(super) fn folds(
    split: &Split,
    told: &mut Told,
    clips: &[ClipRow],
    folds: Folds,
) -> Result<HashMap<ClipId, String>, StageErrorKind> {
    let rows = &told.rows;
    match folds {
        Folds::Given if rows.iter().any(|row| row.fold.is_some()) => {
            let (folds, warning) = given(split, rows, &told.unjoined)?;
            told.warnings.extend(warning);
            Ok(folds)
        }
        Folds::Given => dealt(split, told, clips, None),
        Folds::Number(k) => dealt(split, told, clips, Some(k)),
        Folds::Each => {
            groups(split, told)?;
            Ok(rows.iter().map(|row| (row.clip_id, row.group_id.clone())).collect())
        }
    }
}

/// The number of groups; an error where none is known, or there is nothing to be left out.
fn groups(split: &Split, told: &Told) -> Result<usize, StageErrorKind> {
    let word = split.group_by.word();
    if split.group_by != GroupBy::Recording && told.ungrouped == told.rows.len() {
        let message = format!("no clip has a {word}, so no {word} can be left out");
        let hint = format!("{}; or let `split.group_by` be \"recording\"", told_by(split.group_by));
        return Err(StageErrorKind::data(message, hint));
    }
    let names: BTreeSet<&str> = told.rows.iter().map(|row| row.group_id.as_str()).collect();
    match names.into_iter().collect::<Vec<_>>()[..] {
        [] | [_] => {
            let message = format!("to leave out a {word} there must be two");
            Err(StageErrorKind::data(message, "add recordings, or let `split.group_by` be another word"))
        }
        ref names => Ok(names.len()),
    }
}

/// The folds that the source or the pattern names, and what a person should know. Copies that they part are in the fold with most of the group's clips; of
/// equals in the first by name. `unjoined` names the group of each clip without its copies, where any were joined.
fn given(
    split: &Split,
    rows: &[SplitRow],
    unjoined: &[String],
) -> Result<(HashMap<ClipId, String>, Option<String>), StageErrorKind> {
    let given = rows.iter().filter(|row| row.fold.is_some()).count();
    if given < rows.len() {
        let message = format!("{given} of {} clips have a fold, the others have none", rows.len());
        return Err(StageErrorKind::data(message, "give each clip a fold, or ask for groups: `--groups 5`"));
    }
    split.check_contradictions(rows, unjoined, "or use `--groups 5`", |fold| Some(fold.to_owned()))?;
    let mut clips_in: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows {
        *clips_in.entry(&row.group_id).or_default().entry(row.fold.as_deref().unwrap_or_default()).or_insert(0) += 1;
    }
    let most = |folds: &BTreeMap<&'_ str, usize>| {
        let most = folds.values().max();
        folds.iter().find(|(_, n)| Some(*n) == most).map_or_else(String::new, |(fold, _)| (*fold).to_owned())
    };
    let fold_of: BTreeMap<&str, String> = clips_in.iter().map(|(group, folds)| (*group, most(folds))).collect();
    let moved: Vec<&str> = clips_in.iter().filter(|(_, folds)| folds.len() > 1).map(|(group, _)| *group).collect();
    let warning = moved.first().map(|first| {
        let (n, fold) = (moved.len(), &fold_of[first]);
        format!("copies lie in different folds; each group of them is in the fold with most of its clips ({n}, first `{first}` in `{fold}`)")
    });
    let folds = rows.iter().map(|row| (row.clip_id, fold_of[row.group_id.as_str()].clone())).collect();
    Ok((folds, warning))
}

/// As many folds as are wanted, each class spread over them.
fn dealt(
    split: &Split,
    told: &Told,
    clips: &[ClipRow],
    wanted: Option<usize>,
) -> Result<HashMap<ClipId, String>, StageErrorKind> {
    let rows = &told.rows;
    if split.group_by == GroupBy::Recording {
        return Ok(recordings(rows, clips, wanted.unwrap_or(FOLDS), split.seed));
    }
    let (there, word) = (groups(split, told)?, split.group_by.word());
    if let Some(wanted) = wanted.filter(|wanted| *wanted > there) {
        let message = format!("there are {there} {word}s, which do not make {wanted} folds");
        return Err(StageErrorKind::data(message, "`--groups each` leaves each of them out in turn"));
    }
    let k = wanted.unwrap_or_else(|| FOLDS.min(there));
    let wholes = wholes(clips, rows);
    let fold: HashMap<&str, usize> =
        wholes.keys().copied().zip(deal(&wholes, &vec![1.0 / k as f64; k], None, split.seed)).collect();
    let named = |row: &SplitRow| (row.clip_id, format!("group {}", fold[row.group_id.as_str()] + 1));
    Ok(rows.iter().map(named).collect())
}

/// Deals the recordings of each class, with their copies, to `k` folds in the order of a seeded hash.
fn recordings(rows: &[SplitRow], clips: &[ClipRow], k: usize, seed: u64) -> HashMap<ClipId, String> {
    let mut label_of: BTreeMap<&str, &str> = BTreeMap::new();
    for (row, clip) in rows.iter().zip(clips) {
        label_of.entry(&row.group_id).or_insert(&clip.label);
    }
    let rank = |recording: &str| KeyHasher::new("cross-validation").u64(seed).str(recording).finish();
    let mut ranked: Vec<_> = label_of.iter().map(|(recording, label)| (*label, rank(recording), *recording)).collect();
    ranked.sort_unstable();
    let fold: HashMap<&str, usize> =
        ranked.iter().enumerate().map(|(i, (.., recording))| (*recording, i % k)).collect();
    let named = |row: &SplitRow| (row.clip_id, format!("group {}", fold[row.group_id.as_str()] + 1));
    rows.iter().map(named).collect()
}

/// An error unless there are two classes, each with clips in two folds: a held-out fold may lack a class, what is trained on may not.
pub(super) fn check_classes(
    split: &Split,
    labels: &Labels,
    folds: &HashMap<ClipId, String>,
) -> Result<(), StageErrorKind> {
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
        .map(|(class, folds)| (&labels.classes[*class], folds.first().map_or("", |fold| fold.as_str())))
        .collect();
    if narrow.is_empty() {
        return Ok(());
    }
    if split.group_by == GroupBy::Recording {
        let names: Vec<_> = narrow.iter().map(|(class, _)| format!("`{class}`")).collect();
        let message = format!("all recordings of class {} are in one fold", names.join(", "));
        return Err(StageErrorKind::data(
            message,
            "a class needs recordings in at least two folds; add some, or use `--groups`",
        ));
    }
    let word = split.group_by.word();
    let names: Vec<_> = narrow.iter().map(|(class, fold)| format!("`{class}` (`{fold}`)")).collect();
    let message =
        format!("nothing is left to train on where the only fold of a class is held out: {}", names.join(", "));
    let hint = format!(
        "a class must have clips in two {word}s to be judged this way; add some, or let `split.group_by` be \"recording\""
    );
    Err(StageErrorKind::data(message, hint))
}

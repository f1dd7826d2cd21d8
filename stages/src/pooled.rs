//! Embeddings as the head sees them: one pooled row per clip and variant, with its label and side.

use std::collections::{BTreeMap, BTreeSet};

use ecosight_datasets::key::{Key, KeyHasher};
use ecosight_datasets::tables::{EmbedReader, Side, Unit};
use ecosight_models::decision::{Answer, Decision};
use ecosight_models::embedder::EmbedderId;
use ecosight_models::head::{Examples, Head, Pooler, Scored, Summary, mean_of_rows};

use crate::embed::EMBEDDER_KEY;
use crate::error::InStage;
use crate::labels::{Labelled, Labels};
use crate::stage::Context;
use crate::{StageError, StageErrorKind};

/// Pooled rows with labels.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// `[rows, dim]`, row-major.
    pub x: Vec<f32>,
    /// Label of each row.
    pub y: Vec<usize>,
    /// Clip and variant of each row.
    pub units: Vec<Unit>,
    /// Recording of each row: by these figures vary.
    pub groups: Vec<u32>,
    /// What an inner cross-validation keeps together, as the split does.
    pub kept: Vec<u32>,
    /// Whether each row is an original.
    pub is_original: Vec<bool>,
    /// Length of a row.
    pub dim: usize,
}

impl Rows {
    /// Appends a row.
    pub fn push(&mut self, unit: Unit, labelled: &Labelled, row: &[f32]) {
        self.dim = row.len();
        self.x.extend_from_slice(row);
        self.y.push(labelled.label);
        self.units.push(unit);
        self.groups.push(labelled.group);
        self.kept.push(labelled.kept);
        self.is_original.push(unit.variant == 0);
    }

    /// Puts the rows into the order of their identity: what is made of them must not depend on when each was computed.
    pub fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        // Windows of a clip stay in order of time.
        order.sort_by_key(|&row| self.units[row]);
        self.y = order.iter().map(|&row| self.y[row]).collect();
        self.units = order.iter().map(|&row| self.units[row]).collect();
        self.groups = order.iter().map(|&row| self.groups[row]).collect();
        self.kept = order.iter().map(|&row| self.kept[row]).collect();
        self.is_original = order.iter().map(|&row| self.is_original[row]).collect();
        // The values are moved in place, along the cycles of the permutation: there may be gigabytes of them.
        let dim = self.dim;
        let mut kept = vec![0.0; dim];
        for start in 0..order.len() {
            if order[start] == start {
                continue;
            }
            kept.copy_from_slice(&self.x[start * dim..(start + 1) * dim]);
            let mut to = start;
            loop {
                let from = std::mem::replace(&mut order[to], to);
                if from == start {
                    break;
                }
                self.x.copy_within(from * dim..(from + 1) * dim, to * dim);
                to = from;
            }
            self.x[to * dim..(to + 1) * dim].copy_from_slice(&kept);
        }
    }

    /// These rows, in this order.
    pub(crate) fn some(&self, rows: &[usize]) -> Self {
        Self {
            x: self.x_of(rows),
            y: rows.iter().map(|&row| self.y[row]).collect(),
            units: rows.iter().map(|&row| self.units[row]).collect(),
            groups: rows.iter().map(|&row| self.groups[row]).collect(),
            kept: rows.iter().map(|&row| self.kept[row]).collect(),
            is_original: rows.iter().map(|&row| self.is_original[row]).collect(),
            dim: self.dim,
        }
    }

    /// Number of originals and variants of the rows: windows of one lie together.
    pub(crate) fn unit_count(&self) -> usize {
        self.units.chunk_by(|a, b| a == b).count()
    }

    /// The values of these rows, one after the other.
    pub(crate) fn x_of(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&row| &self.x[row * self.dim..(row + 1) * self.dim]).copied().collect()
    }

    /// Keeps the rows of the units that are wanted.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&Unit) -> bool) {
        let kept: Vec<usize> = (0..self.len()).filter(|&row| is_wanted(&self.units[row])).collect();
        self.x = self.x_of(&kept);
        self.y = kept.iter().map(|&row| self.y[row]).collect();
        self.units = kept.iter().map(|&row| self.units[row]).collect();
        self.groups = kept.iter().map(|&row| self.groups[row]).collect();
        self.kept = kept.iter().map(|&row| self.kept[row]).collect();
        self.is_original = kept.iter().map(|&row| self.is_original[row]).collect();
    }

    /// As the head takes them.
    pub fn examples(&self) -> Examples<'_> {
        Examples { x: (&self.x).into(), y: &self.y, groups: &self.kept, is_original: &self.is_original, dim: self.dim }
    }

    /// As the head takes them, values given away: training needs no second copy.
    pub fn take_examples(&mut self) -> Examples<'_> {
        let x = std::mem::take(&mut self.x);
        Examples { x: x.into(), ..self.examples() }
    }

    /// The clips of some of the rows, scored by `head`.
    pub(crate) fn clips_of(&self, rows: &[usize], head: &Head) -> Clips {
        let of = |all: &[u32]| rows.iter().map(|&row| all[row]).collect::<Vec<_>>();
        let units: Vec<Unit> = rows.iter().map(|&row| self.units[row]).collect();
        let y: Vec<usize> = rows.iter().map(|&row| self.y[row]).collect();
        let (groups, kept) = (of(&self.groups), of(&self.kept));
        let of_rows = OfRows { units: &units, y: &y, groups: &groups, kept: &kept };
        Clips::of(of_rows, &head.scored(&self.x_of(rows)), head.classes())
    }

    /// The clips of all rows, scored by `head`.
    pub fn scored(&self, head: &Head) -> Clips {
        let of_rows = OfRows { units: &self.units, y: &self.y, groups: &self.groups, kept: &self.kept };
        Clips::of(of_rows, &head.scored(&self.x), head.classes())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// Hash of the values, labels and identities, and of which rows are kept together.
    pub fn fingerprint(&self) -> Key {
        let key = KeyHasher::new("pooled-rows").u64(self.dim as u64).f32s(&self.x);
        // Numbered among themselves: recordings elsewhere do not matter.
        let ranks: BTreeMap<u32, u64> =
            self.kept.iter().copied().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let with_unit = |key: KeyHasher, ((unit, label), group): ((&Unit, &usize), &u32)| {
            let key = key.str(&unit.clip_id.to_string()).u64(u64::from(unit.variant));
            key.u64(*label as u64).u64(ranks[group])
        };
        self.units.iter().zip(&self.y).zip(&self.kept).fold(key, with_unit).finish()
    }
}

/// What is known of rows beside their values, `[rows]` each.
#[derive(Clone, Copy, Debug)]
pub struct OfRows<'a> {
    /// Clip and variant.
    pub units: &'a [Unit],
    /// Labels.
    pub y: &'a [usize],
    /// Recordings.
    pub groups: &'a [u32],
    /// What the split keeps together.
    pub kept: &'a [u32],
}

/// Clips, each with the means of the scores of its rows.
#[derive(Clone, Debug, Default)]
pub struct Clips {
    /// Clip and variant.
    pub units: Vec<Unit>,
    /// Labels.
    pub y: Vec<usize>,
    /// Recordings.
    pub groups: Vec<u32>,
    /// What the split keeps together.
    pub kept: Vec<u32>,
    /// Probabilities, `[clips, classes]`.
    pub scores: Vec<f32>,
    /// What they were made from, `[clips, classes]`.
    pub logits: Vec<f32>,
}

impl Clips {
    /// The clips of rows that were scored, `[rows, classes]`; rows of a clip lie together.
    pub fn of(rows: OfRows<'_>, scored: &Scored, classes: usize) -> Self {
        let mut clips = Self::default();
        let mut first = 0;
        for of_clip in rows.units.chunk_by(|a, b| a == b) {
            let end = first + of_clip.len();
            clips.units.push(of_clip[0]);
            clips.y.push(rows.y[first]);
            clips.groups.push(rows.groups[first]);
            clips.kept.push(rows.kept[first]);
            let of_clip = first * classes..end * classes;
            clips.scores.extend(mean_of_rows(&scored.probabilities[of_clip.clone()], classes));
            clips.logits.extend(mean_of_rows(&scored.logits[of_clip], classes));
            first = end;
        }
        clips
    }

    /// What a model with this rule answers of each.
    pub fn answers(&self, decision: &Decision) -> Vec<Answer> {
        decision.answers(&self.scores, &self.logits)
    }

    /// Those with these numbers, of `classes` scores each.
    pub(crate) fn some(&self, chosen: &[usize], classes: usize) -> Self {
        let scores =
            |all: &[f32]| chosen.iter().flat_map(|clip| &all[clip * classes..(clip + 1) * classes]).copied().collect();
        Self {
            units: chosen.iter().map(|&clip| self.units[clip]).collect(),
            y: chosen.iter().map(|&clip| self.y[clip]).collect(),
            groups: chosen.iter().map(|&clip| self.groups[clip]).collect(),
            kept: chosen.iter().map(|&clip| self.kept[clip]).collect(),
            scores: scores(&self.scores),
            logits: scores(&self.logits),
        }
    }

    /// Puts other clips behind these.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.units.append(&mut others.units);
        self.y.append(&mut others.y);
        self.groups.append(&mut others.groups);
        self.kept.append(&mut others.kept);
        self.scores.append(&mut others.scores);
        self.logits.append(&mut others.logits);
    }
}

/// The rows of each side. Val and test hold originals only, whatever the table holds.
#[derive(Default)]
pub struct Sides {
    /// Originals and variants.
    pub train: Rows,
    /// Originals.
    pub val: Rows,
    /// Originals.
    pub test: Rows,
}

impl Sides {
    /// Hash of all that a model is made from: the train and val rows, and the names of their labels.
    pub fn fingerprint(&self, labels: &[String]) -> Key {
        let [train, val] = [&self.train, &self.val].map(|rows| rows.fingerprint().to_string());
        let key = KeyHasher::new("model-data").str(&train).str(&val);
        labels.iter().fold(key, |key, label| key.str(label)).finish()
    }
}

/// Reads the table of embeddings, pooled; calls `each` with labels for the rows of labelled clips.
pub fn read_pooled(
    context: &Context<'_>,
    summary: Summary,
    labels: &Labels,
    each: &mut dyn FnMut(Unit, &Labelled, Vec<f32>),
) -> Result<EmbedderId, StageErrorKind> {
    let reader = EmbedReader::open(context.layout)?;
    let embedder = embedder_of(&reader)?;
    let mut hand_over = |(unit, pooler): (Unit, Pooler)| {
        if let Some(labelled) = labels.clips.get(&unit.clip_id) {
            pooler.finish().into_iter().for_each(|row| each(unit, labelled, row));
        }
    };
    let mut current: Option<(Unit, Pooler)> = None;
    for run in reader {
        context.check_cancelled()?;
        let (unit, patches) = run?;
        if current.as_ref().is_none_or(|(of, _)| *of != unit) {
            let dim = patches.embeddings.len() / patches.len();
            if let Some(complete) = current.replace((unit, Pooler::new(summary, dim))) {
                hand_over(complete);
            }
        }
        if let Some((_, pooler)) = &mut current {
            pooler.push(&patches.embeddings);
        }
    }
    if let Some(complete) = current {
        hand_over(complete);
    }
    Ok(embedder)
}

/// Reads the table of embeddings, pooled and parted by side, each in the order of its units.
pub fn read_sides(
    context: &Context<'_>,
    summary: Summary,
    labels: &Labels,
) -> Result<(Sides, EmbedderId), StageErrorKind> {
    let mut sides = Sides::default();
    let id = read_pooled(context, summary, labels, &mut |unit, labelled, row| match labelled.split.side {
        Side::Train => sides.train.push(unit, labelled, &row),
        Side::Val if unit.variant == 0 => sides.val.push(unit, labelled, &row),
        Side::Test if unit.variant == 0 => sides.test.push(unit, labelled, &row),
        Side::Val | Side::Test => {}
    })?;
    for rows in [&mut sides.train, &mut sides.val, &mut sides.test] {
        rows.sort();
    }
    Ok((sides, id))
}

/// The embedder that made a table.
pub fn embedder_of(reader: &EmbedReader) -> Result<EmbedderId, StageErrorKind> {
    let unknown = || {
        StageErrorKind::data(
            "the table of embeddings does not say which embedder made it",
            "compute it again: `ecosight retrain --force=embed`",
        )
    };
    let text = reader.metadata(EMBEDDER_KEY)?.ok_or_else(unknown)?;
    serde_json::from_str(&text).map_err(|_| unknown())
}

/// An error of `stage` unless each class has train rows and each side has rows.
pub(crate) fn check_usable(stage: &'static str, sides: &Sides, labels: &Labels) -> Result<(), StageError> {
    let refuse = |message: String| {
        let hint = "the reasons stand in tables/quarantine; repair the files or add recordings";
        Err(StageErrorKind::data(message, hint)).in_stage(stage)
    };
    let missing = labels.missing(sides.train.y.iter().copied());
    if !missing.is_empty() {
        return refuse(format!("no usable train clip is left in class {}", missing.join(", ")));
    }
    for (rows, side) in [(&sides.val, "val"), (&sides.test, "test")] {
        if rows.is_empty() {
            return refuse(format!("no usable clip is left on the {side} side"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecosight_datasets::key::{ClipId, ContentHash};
    use ecosight_datasets::tables::SplitRow;

    #[test]
    fn the_order_of_the_table_does_not_matter() {
        let unit = |n: u32| {
            let clip_id = ClipId::of_file(&ContentHash::of_reader(&(n / 3).to_le_bytes()[..]).unwrap());
            Unit { clip_id, variant: n % 3 }
        };
        let rows = |order: &mut dyn Iterator<Item = u32>| {
            let mut rows = Rows::default();
            order.for_each(|n| {
                let split = SplitRow::new(unit(n).clip_id, String::new(), Side::Train);
                rows.push(unit(n), &Labelled { label: n as usize, group: n / 3, kept: n / 3, split }, &[n as f32, 0.5]);
            });
            rows.sort();
            rows
        };
        let sorted = rows(&mut (0..30));
        assert!(sorted.units.is_sorted());
        for row in 0..30 {
            assert_eq!(sorted.x[2 * row] as usize, sorted.y[row]);
            assert_eq!(sorted.units[row], unit(sorted.y[row] as u32));
        }
        for step in [7, 11, 29] {
            let shuffled = rows(&mut (0..30).map(|n| n * step % 30));
            assert_eq!(shuffled.fingerprint(), sorted.fingerprint());
        }
    }
}

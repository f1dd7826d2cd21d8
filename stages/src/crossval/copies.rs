//! Copies of one recording in different folds: what is known of them without listening once more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ecosight_datasets::key::{ClipId, Key, KeyHasher};
use ecosight_datasets::tables::{LeakRow, Row, read_rows};

use crate::StageErrorKind;
use crate::pooled::Rows;
use crate::stage::Context;

/// Pairs of clips in different folds of which one is a copy of the other: those whose embeddings are equal bit by bit, and those that the audit of
/// the last retraining found.
pub(super) fn copies(
    context: &Context<'_>,
    rows: &Rows,
    folds: &HashMap<ClipId, String>,
) -> Result<BTreeSet<[ClipId; 2]>, StageErrorKind> {
    let mut by_content: BTreeMap<Key, Vec<ClipId>> = BTreeMap::new();
    let mut first = 0;
    for of_clip in rows.units.chunk_by(|a, b| a == b) {
        let end = first + of_clip.len();
        let key = KeyHasher::new("clip").f32s(&rows.x[first * rows.dim..end * rows.dim]).finish();
        by_content.entry(key).or_default().push(of_clip[0].clip_id);
        first = end;
    }
    let equal = by_content.into_values().flat_map(|clips| {
        let (one, others) = (clips[0], clips[1..].to_vec());
        others.into_iter().map(move |other| [one, other])
    });
    let table = context.layout.table(LeakRow::TABLE.name);
    let known: Vec<LeakRow> = if table.is_dir() { read_rows(&table)? } else { Vec::new() };
    let parted = |[a, b]: &[ClipId; 2]| folds.get(a).zip(folds.get(b)).is_some_and(|(a, b)| a != b);
    Ok(equal.chain(known.into_iter().map(|leak| leak.clips)).filter(parted).collect())
}

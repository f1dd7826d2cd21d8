//! Pairs of clips of which one is a copy of the other: what `audit` has found so far, kept in `index/copies.parquet`.
//!
//! A pair names clips by their content, so it holds wherever the files lie and whatever the split is. The index can be rebuilt: where it is missing or
//! unreadable, no pair is known, and the next audit finds those again that lie on different sides.

use std::collections::{BTreeMap, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::folder_of;
use ecosight_datasets::key::{ClipId, Key, KeyHasher};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, CopyRow, LeakRow, read_file};

use crate::StageErrorKind;
use crate::leaks::Fingerprints;
use crate::pooled::Rows;
use crate::stage::Context;
use crate::train::write_file;

/// Two clips of which one is a copy of the other, in ascending order.
pub(crate) type Pair = [ClipId; 2];

/// All pairs that are known, in ascending order.
pub(crate) fn known(layout: &Layout) -> Vec<CopyRow> {
    read_file(&layout.copies_index()).unwrap_or_default()
}

/// Adds pairs to those that are known; returns how many of them were not.
pub(crate) fn add(layout: &Layout, found: &[LeakRow]) -> Result<usize, StageErrorKind> {
    let mut rows: BTreeMap<Pair, CopyRow> = known(layout).into_iter().map(|row| (row.clips, row)).collect();
    let before = rows.len();
    for row in found.iter().map(copy_of) {
        rows.entry(row.clips).or_insert(row);
    }
    let new = rows.len() - before;
    if new > 0 {
        let path = layout.copies_index();
        std::fs::create_dir_all(folder_of(&path)).map_err(DatasetError::at("create folder", &path))?;
        write_file(&path, &rows.into_values().collect::<Vec<_>>())?;
    }
    Ok(new)
}

/// The pair of a leak, without its sides.
fn copy_of(leak: &LeakRow) -> CopyRow {
    let [a, b] = leak.clips;
    let is_ascending = a <= b;
    CopyRow {
        clips: if is_ascending { [a, b] } else { [b, a] },
        kind: leak.kind.clone(),
        similarity: leak.similarity,
        // Seen from the other clip, the same offset has the other sign.
        offset_s: leak.offset_s.map(|offset_s| if is_ascending { offset_s } else { 0.0 - offset_s }),
        overlap_s: leak.overlap_s,
    }
}

/// Digest of the pairs of which both clips are among `clips`; none where there is no such pair.
pub(crate) fn digest(pairs: &[Pair], clips: &[ClipRow]) -> Option<(usize, Key)> {
    let present: HashSet<ClipId> = clips.iter().map(|clip| clip.clip_id).collect();
    let pairs: Vec<&Pair> = pairs.iter().filter(|pair| pair.iter().all(|clip| present.contains(clip))).collect();
    let with = |key: KeyHasher, pair: &&Pair| pair.iter().fold(key, |key, clip| key.str(&clip.to_string()));
    (!pairs.is_empty()).then(|| (pairs.len(), pairs.iter().fold(KeyHasher::new("copies"), with).finish()))
}

/// Pairs of clips whose rows are equal bit by bit, hence equal decoded audio, one pair for each clip but the first of those that are equal. Silence is no
/// copy of silence, so clips with equal rows are read again on behalf of `stage`. Variants among `rows` are left out; the rows of a clip lie side by side.
pub(crate) fn equal(
    context: &Context<'_>,
    stage: &'static str,
    rows: &Rows,
    clips: &[ClipRow],
) -> Result<Vec<Pair>, StageErrorKind> {
    let mut of_content: BTreeMap<Key, Vec<ClipId>> = BTreeMap::new();
    let mut end = 0;
    for of_clip in rows.units.chunk_by(|a, b| a == b) {
        let first = end;
        end += of_clip.len();
        if of_clip[0].variant > 0 {
            continue;
        }
        let key = KeyHasher::new("clip").f32s(&rows.x[first * rows.dim..end * rows.dim]).finish();
        of_content.entry(key).or_default().push(of_clip[0].clip_id);
    }
    let sets: Vec<Vec<ClipId>> = of_content.into_values().filter(|set| set.len() > 1).collect();
    let wanted: HashSet<ClipId> = sets.iter().flatten().copied().collect();
    let clips: Vec<&ClipRow> = clips.iter().filter(|clip| wanted.contains(&clip.clip_id)).collect();
    let mut fingerprints = Fingerprints::default();
    fingerprints.compute(context, stage, &clips)?;
    let copies = sets.iter().filter(|set| !set.iter().any(|clip| fingerprints.is_silent(clip)));
    // Rows are in the order of their clips.
    let mut pairs: Vec<Pair> = copies.flat_map(|set| set[1..].iter().map(|other| [set[0], *other])).collect();
    pairs.sort_unstable();
    Ok(pairs)
}

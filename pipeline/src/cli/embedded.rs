//! What the table of embeddings holds of the clips: pooled rows of originals, lengths and numbers of variants.

use std::collections::BTreeMap;

use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{EmbedReader, Patches, Unit};
use ecosight_models::frontend::params::{FRAME_HOP_S, PATCH_FRAMES};
use ecosight_models::head::{Pooler, Summary};
use ecosight_stages::StageErrorKind;

/// A clip in the table of embeddings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedded {
    /// The original's pooled rows, one after the other, where they were wanted.
    pub(crate) rows: Option<Vec<f32>>,
    /// End of the original's last patch in seconds: its length, rounded up to a patch.
    pub(crate) length_s: f64,
    /// Augmented variants.
    pub(crate) variants: u64,
}

/// All clips of the table; those that are `wanted` with their pooled rows. Holds nothing else in memory.
pub(crate) fn embedded(
    layout: &Layout,
    summary: Summary,
    wanted: impl Fn(ClipId) -> bool,
) -> Result<BTreeMap<ClipId, Embedded>, StageErrorKind> {
    let mut clips: BTreeMap<ClipId, Embedded> = BTreeMap::new();
    let mut current: Option<(Unit, Option<Pooler>)> = None;
    let hand_over = |(unit, pooler): (Unit, Option<Pooler>), clips: &mut BTreeMap<ClipId, Embedded>| {
        if let Some(rows) = pooler.map(|pooler| pooler.finish().concat()).filter(|rows| !rows.is_empty()) {
            clips.entry(unit.clip_id).or_default().rows = Some(rows);
        }
    };
    for run in EmbedReader::open(layout)? {
        let (unit, patches): (Unit, Patches) = run?;
        if current.as_ref().is_none_or(|(of, _)| *of != unit) {
            let is_wanted = unit.variant == 0 && wanted(unit.clip_id);
            let pooler = is_wanted.then(|| Pooler::new(summary, patches.embeddings.len() / patches.len()));
            if let Some(complete) = current.replace((unit, pooler)) {
                hand_over(complete, &mut clips);
            }
            clips.entry(unit.clip_id).or_default().variants += u64::from(unit.variant > 0);
        }
        if let Some((_, Some(pooler))) = &mut current {
            pooler.push(&patches.embeddings);
        }
        if let (0, Some(start_s)) = (unit.variant, patches.start_s.last()) {
            clips.entry(unit.clip_id).or_default().length_s = start_s + PATCH_FRAMES as f64 * FRAME_HOP_S;
        }
    }
    if let Some(complete) = current {
        hand_over(complete, &mut clips);
    }
    Ok(clips)
}

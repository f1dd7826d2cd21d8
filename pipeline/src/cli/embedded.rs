//! What the table of embeddings holds of the clips: pooled rows of originals, lengths and numbers of variants.

use std::collections::{BTreeMap, HashMap};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{EmbedReader, Patches, SoundRow, Unit, read_file};
use ecosight_models::frontend::Windowing;
use ecosight_models::head::{Pooler, Summary};
use ecosight_stages::StageErrorKind;
use ecosight_stages::pooled::embedder_of;

/// A clip in the table of embeddings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedded {
    /// The original's pooled rows, one after the other, where they were wanted.
    pub(crate) rows: Option<Vec<f32>>,
    /// Its length in seconds: as it was decoded for the evaluation, or else the end of the original's last patch.
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
    let reader = EmbedReader::open(layout)?;
    let patch_s = embedder_of(&reader)?.windowing().unwrap_or(Windowing::YAMNET).length_s();
    let sounds: Vec<SoundRow> = read_file(&layout.sounds_index()).unwrap_or_default();
    let lengths: HashMap<ClipId, f64> = sounds.into_iter().map(|row| (row.clip_id, row.duration_s)).collect();
    for run in reader {
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
            let length_s = lengths.get(&unit.clip_id).copied().unwrap_or(start_s + patch_s);
            clips.entry(unit.clip_id).or_default().length_s = length_s;
        }
    }
    if let Some(complete) = current {
        hand_over(complete, &mut clips);
    }
    Ok(clips)
}

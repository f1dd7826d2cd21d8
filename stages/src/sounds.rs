//! How long clips are, and how far their sounds rise above the noise. `embed` measures both while it decodes a clip, and keeps them by the clip's identity in
//! `index/sounds.parquet`; where they are missing there, the clip is read again.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::folder_of;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, SoundRow, read_file};
use rayon::prelude::*;

use crate::StageErrorKind;
use crate::acoustics::duration_and_snr;
use crate::bridge::{Listed, Opened, fetch};
use crate::stage::{Context, Event};
use crate::train::write_file;

/// Clips that are on their way at a time.
const AT_ONCE: usize = 64;

/// Keeps these rows, and of those that were kept before the rows of other clips, as far as there still are such clips.
pub(crate) fn keep(
    layout: &Layout,
    rows: &[SoundRow],
    is_known: impl Fn(&ClipId) -> bool,
) -> Result<(), StageErrorKind> {
    let path = layout.sounds_index();
    let before: Vec<SoundRow> = read_file(&path).unwrap_or_default();
    let all = before.iter().chain(rows).filter(|row| is_known(&row.clip_id)).map(|row| (row.clip_id, *row));
    let after: Vec<SoundRow> = all.collect::<BTreeMap<_, _>>().into_values().collect();
    if after != before {
        std::fs::create_dir_all(folder_of(&path)).map_err(DatasetError::at("create folder", &path))?;
        write_file(&path, &after)?;
    }
    Ok(())
}

/// Length and noise of these clips, on behalf of `stage`. Clips that cannot be read are left out with a warning; `is_known` says which clips there
/// still are: of others nothing is kept.
pub(crate) fn sounds(
    context: &Context<'_>,
    stage: &'static str,
    clips: &[&ClipRow],
    is_known: impl Fn(&ClipId) -> bool,
) -> Result<HashMap<ClipId, SoundRow>, StageErrorKind> {
    let known: Vec<SoundRow> = read_file(&context.layout.sounds_index()).unwrap_or_default();
    let mut heard: HashMap<ClipId, SoundRow> = known.into_iter().map(|row| (row.clip_id, row)).collect();
    let wanted: Vec<&ClipRow> = clips.iter().copied().filter(|clip| !heard.contains_key(&clip.clip_id)).collect();
    let read = listen(context, stage, &wanted)?;
    keep(context.layout, &read, is_known)?;
    heard.extend(read.into_iter().map(|row| (row.clip_id, row)));
    let lost: HashSet<ClipId> = wanted.iter().map(|clip| clip.clip_id).filter(|id| !heard.contains_key(id)).collect();
    if !lost.is_empty() {
        let (n, all) = (lost.len(), clips.len());
        let message =
            format!("{n} of {all} test clips cannot be read any more: no slice by duration or noise counts them");
        context.emit(Event::Warning { stage, message });
    }
    Ok(heard)
}

/// Reads clips. That their store is out of reach is no reason to stop: they are not needed for the figures as a whole.
fn listen(context: &Context<'_>, stage: &'static str, clips: &[&ClipRow]) -> Result<Vec<SoundRow>, StageErrorKind> {
    let Some(store) = context.store().ok().filter(|_| !clips.is_empty()) else { return Ok(Vec::new()) };
    let files: Vec<Listed<'_>> = clips.iter().map(|clip| Listed { uri: &clip.uri, version: clip.version() }).collect();
    let total = clips.len() as u64;
    let mut heard = Vec::new();
    fetch(&store, &files, |opened| {
        let mut opened = clips.iter().zip(opened);
        let mut done = 0;
        loop {
            context.check_cancelled()?;
            let some: Vec<(&&ClipRow, Opened)> = opened.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(heard);
            }
            done += some.len() as u64;
            let of = |(clip, file): (&&ClipRow, Opened)| {
                let (duration_s, snr_db) = duration_and_snr(file.ok()?, clip.span)?;
                Some(SoundRow { clip_id: clip.clip_id, duration_s, snr_db })
            };
            heard.extend(some.into_par_iter().filter_map(of).collect::<Vec<_>>());
            context.emit(Event::Progress { stage, done, total, unit: "clips" });
        }
    })
}

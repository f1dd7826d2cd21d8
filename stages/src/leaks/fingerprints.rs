//! Fingerprints of clips of the source, each computed once however often it is compared.

use std::collections::{HashMap, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::clip_values::ClipValues;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::ClipRow;
use rayon::prelude::*;

use super::fingerprint::Fingerprint;
use crate::StageErrorKind;
use crate::acoustics::fingerprint;
use crate::bridge::{Listed, fetch};
use crate::stage::{Context, Event};

/// Raised when equal audio gives another fingerprint: by the front end, by the decoders or by what is made of their frames.
const VERSION: u32 = 2;

/// Clips that are read at a time.
const AT_ONCE: usize = 64;

/// Fingerprints by clip; none of a clip that cannot be read any more.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    of_clip: HashMap<ClipId, Option<Fingerprint>>,
}

impl Fingerprints {
    /// Looks up those of `clips` that are missing, on behalf of `stage`, and computes those that are not kept. Clips that cannot be read are counted in one
    /// warning.
    pub(crate) fn compute(
        &mut self,
        context: &Context<'_>,
        stage: &'static str,
        clips: &[&ClipRow],
    ) -> Result<(), StageErrorKind> {
        let missing: Vec<&ClipRow> =
            clips.iter().copied().filter(|clip| !self.of_clip.contains_key(&clip.clip_id)).collect();
        if !missing.is_empty() {
            let mut kept = KeptFingerprints::open(context, stage);
            let found = kept.get(&missing.iter().map(|clip| clip.clip_id).collect::<Vec<_>>());
            let unknown: Vec<&ClipRow> =
                missing.into_iter().filter(|clip| !found.contains_key(&clip.clip_id)).collect();
            self.of_clip.extend(found.into_iter().map(|(clip, found)| (clip, Some(found))));
            self.read(context, stage, &unknown, &mut kept)?;
        }
        let mut unread = clips.iter().filter(|clip| self.of(&clip.clip_id).is_none());
        if let Some(first) = unread.next() {
            let (n, all) = (unread.count() + 1, clips.len());
            let message = format!(
                "{n} of {all} clips could not be read again to be compared with others (first: `{}`); of their copies, only those with equal embeddings \
                 are found",
                first.uri
            );
            context.emit(Event::Warning { stage, message });
        }
        Ok(())
    }

    fn read(
        &mut self,
        context: &Context<'_>,
        stage: &'static str,
        clips: &[&ClipRow],
        kept: &mut KeptFingerprints<'_>,
    ) -> Result<(), StageErrorKind> {
        if clips.is_empty() {
            return Ok(());
        }
        let store = context.store()?;
        let files: Vec<Listed<'_>> =
            clips.iter().map(|clip| Listed { uri: &clip.uri, version: clip.version() }).collect();
        let total = clips.len() as u64;
        fetch(&store, &files, |opened| {
            let mut opened = clips.iter().zip(opened);
            let mut done = 0;
            loop {
                context.check_cancelled()?;
                let some: Vec<_> = opened.by_ref().take(AT_ONCE).collect();
                if some.is_empty() {
                    return Ok(());
                }
                done += some.len() as u64;
                let read: Result<Vec<_>, StageErrorKind> = some
                    .into_par_iter()
                    .map(|(clip, file)| match file {
                        Ok(source) => Ok((clip.clip_id, fingerprint(source, clip.span))),
                        Err(OpenError::File { .. }) => Ok((clip.clip_id, None)),
                        Err(OpenError::Store(error)) => Err(error.into()),
                    })
                    .collect();
                let read = read?;
                kept.put(read.iter().filter_map(|(clip, read)| Some((*clip, read.as_ref()?))));
                self.of_clip.extend(read);
                context.emit(Event::Progress { stage, done, total, unit: "clips" });
            }
        })
    }

    /// The fingerprint of a clip.
    pub(crate) fn of(&self, clip: &ClipId) -> Option<&Fingerprint> {
        self.of_clip.get(clip)?.as_ref()
    }

    /// Whether a clip was read and nothing is heard in it.
    pub(crate) fn is_silent(&self, clip: &ClipId) -> bool {
        self.of(clip).is_some_and(Fingerprint::is_blank)
    }
}

/// Fingerprints that were computed before, in the data root's index. They save time and nothing else: where they cannot be read or written, one warning says
/// so, and clips are read again.
pub(crate) struct KeptFingerprints<'a> {
    context: &'a Context<'a>,
    stage: &'static str,
    values: Option<ClipValues>,
}

impl<'a> KeptFingerprints<'a> {
    /// Opens them on behalf of `stage`.
    pub(crate) fn open(context: &'a Context<'a>, stage: &'static str) -> Self {
        let mut kept = Self { context, stage, values: None };
        kept.values = kept.allowing(ClipValues::open(&context.layout.fingerprints(), VERSION));
        kept
    }

    fn get(&mut self, clips: &[ClipId]) -> HashMap<ClipId, Fingerprint> {
        let Some(values) = &self.values else { return HashMap::new() };
        let found = values.get(clips);
        let found = self.allowing(found).unwrap_or_default();
        found.into_iter().filter_map(|(clip, bytes)| Some((clip, Fingerprint::from_bytes(&bytes)?))).collect()
    }

    /// Keeps these.
    pub(crate) fn put<'f>(&mut self, fingerprints: impl IntoIterator<Item = (ClipId, &'f Fingerprint)>) {
        let Some(values) = &mut self.values else { return };
        let bytes: Vec<(ClipId, Vec<u8>)> =
            fingerprints.into_iter().map(|(clip, fingerprint)| (clip, fingerprint.to_bytes())).collect();
        let put = values.put(bytes.iter().map(|(clip, bytes)| (*clip, bytes.as_slice())));
        self.allowing(put);
    }

    /// Forgets those of all other clips.
    pub(crate) fn retain(&mut self, clips: &HashSet<ClipId>) {
        let Some(values) = &mut self.values else { return };
        let retained = values.retain(|clip| clips.contains(clip));
        self.allowing(retained);
    }

    fn allowing<T>(&mut self, result: Result<T, DatasetError>) -> Option<T> {
        result
            .inspect_err(|error| {
                let message =
                    format!("fingerprints cannot be kept, so that clips are read again: {error}: {}", error.kind);
                self.context.emit(Event::Warning { stage: self.stage, message });
                self.values = None;
            })
            .ok()
    }
}

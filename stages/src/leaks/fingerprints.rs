//! Fingerprints of clips of the source, each computed once however often it is compared.

use std::collections::HashMap;

use ecosight_datasets::audio::{AudioSource, MonoReader, SAMPLE_RATE_HZ, Span};
use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::ClipRow;
use ecosight_models::frontend::LogMel;
use rayon::prelude::*;

use super::fingerprint::Fingerprint;
use crate::StageErrorKind;
use crate::bridge::{Listed, fetch};
use crate::stage::{Context, Event};

/// Longer clips are compared by their beginning: ten minutes take a megabyte.
const COMPARED_S: usize = 600;

/// Clips that are read at a time.
const AT_ONCE: usize = 64;

/// Fingerprints by clip; none of a clip that cannot be read any more.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    of_clip: HashMap<ClipId, Option<Fingerprint>>,
}

impl Fingerprints {
    /// Computes those of `clips` that are missing, on behalf of `stage`. Clips that cannot be read are counted in one warning.
    pub(crate) fn compute(
        &mut self,
        context: &Context<'_>,
        stage: &'static str,
        clips: &[&ClipRow],
    ) -> Result<(), StageErrorKind> {
        let missing: Vec<&ClipRow> =
            clips.iter().copied().filter(|clip| !self.of_clip.contains_key(&clip.clip_id)).collect();
        if !missing.is_empty() {
            self.read(context, stage, &missing)?;
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

    fn read(&mut self, context: &Context<'_>, stage: &'static str, clips: &[&ClipRow]) -> Result<(), StageErrorKind> {
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
                let found: Result<Vec<_>, StageErrorKind> = some
                    .into_par_iter()
                    .map(|(clip, file)| match file {
                        Ok(source) => Ok((clip.clip_id, fingerprint(source, clip.span))),
                        Err(OpenError::File { .. }) => Ok((clip.clip_id, None)),
                        Err(OpenError::Store(error)) => Err(error.into()),
                    })
                    .collect();
                self.of_clip.extend(found?);
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

/// The fingerprint of the beginning of a clip; none where it cannot be decoded.
fn fingerprint(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<Fingerprint> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let mut samples = Vec::new();
    while samples.len() < COMPARED_S * SAMPLE_RATE_HZ as usize {
        let Some(block) = reader.next_block().ok()? else { break };
        samples.extend_from_slice(block);
    }
    let mut rows = Vec::new();
    LogMel::new().rows(&samples, &mut rows);
    Some(Fingerprint::new(&rows))
}

//! Whether new recordings are held back: each model costs people a review, and a handful of recordings seldom makes a better one.
//!
//! Only a run whose one difference from the last training are too few new recordings is held back. A corrected label, a clip that is gone, a new class, another
//! recording or group of a known clip, and a changed setting are trained on at once, together with whatever is new.
//!
//! Format: `models/held_back.json`, version 1, while a run is held back.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::{ClipId, Key};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{EmbedReader, KnownClipRow, Side};
use ecosight_models::artefact::Artefact;
use serde::{Deserialize, Serialize};

use super::KnownClips;
use crate::StageErrorKind;
use crate::evaluate::candidate;
use crate::pooled::embedder_of;
use crate::publish::current;
use crate::stage::{Context, Event, Output, RowCounts};
use crate::train::output;

/// Word of the stage that is held back.
const NAME: &str = "train";

/// There are too few new recordings: the model trained last stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// Version of this format.
    pub schema_version: u32,
    /// The model that stays.
    pub model: String,
    /// Recordings that the model in production was not trained beside.
    pub new: u64,
    /// New recordings that are needed (`train.min_samples`).
    pub needed: u64,
}

impl HeldBack {
    /// Whether the last run was held back; none where it was not, or where another model has been trained since.
    pub fn read(layout: &Layout) -> Option<Self> {
        let held_back: Self = serde_json::from_slice(&std::fs::read(path(layout)).ok()?).ok()?;
        let candidate = crate::train::Pointer::read(&layout.candidate()).ok().flatten()?;
        (candidate.version == held_back.model).then_some(held_back)
    }

    /// In words, with the way out.
    pub fn words(&self) -> String {
        let Self { new, needed, model, .. } = self;
        let recordings = if *new == 1 { "recording" } else { "recordings" };
        format!(
            "{new} new {recordings} since the model in production, {needed} are needed (`train.min_samples`); model `{model}` stays. \
             `ecosight retrain --force=train` trains all the same"
        )
    }

    /// Records it for the stages after the training.
    fn write(&self, layout: &Layout) -> Result<(), StageErrorKind> {
        Ok(write_atomic(&path(layout), &serde_json::to_vec_pretty(self).expect("this is plain data"))?)
    }

    /// Removes the marker: the model covers all recordings.
    pub(crate) fn clear(layout: &Layout) -> Result<(), StageErrorKind> {
        match std::fs::remove_file(path(layout)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DatasetError::at("remove file", &path(layout))(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a training is held back for which the source and the settings are as in `now`.
    pub(crate) fn find(
        context: &Context<'_>,
        now: &KnownClips,
        is_leaky: bool,
        min_samples: u64,
    ) -> Result<Option<Self>, StageErrorKind> {
        let layout = context.layout;
        let Ok(model) = candidate(context) else { return Ok(None) };
        let Ok(artefact) = Artefact::load(&layout.model(&model)) else { return Ok(None) };
        let Some(trained) = KnownClips::read(layout, &model) else { return Ok(None) };
        // Without readable embeddings nothing is held back, and the training reports what is wrong with them.
        let embedder = EmbedReader::open(layout).ok().and_then(|reader| embedder_of(&reader).ok());
        let is_same = embedder.as_ref() == Some(&artefact.meta.embedder) && artefact.meta.is_leaky == is_leaky;
        if !is_same || !differs_by_new_recordings_alone(&trained, now) {
            return Ok(None);
        }
        let Some(in_production) = current(layout)?.and_then(|version| KnownClips::read(layout, &version)) else {
            return Ok(None);
        };
        let known = recordings(&in_production.clips);
        let new = recordings(&now.clips).difference(&known).count() as u64;
        let is_held_back = 0 < new && new < min_samples;
        Ok(is_held_back.then_some(Self { schema_version: 1, model, new, needed: min_samples }))
    }
}

/// The output of the model trained last, where too few new recordings are the one difference from its training.
pub(crate) fn hold_back(
    context: &Context<'_>,
    now: &KnownClips,
    is_leaky: bool,
    min_samples: u64,
) -> Result<Option<Output>, StageErrorKind> {
    if context.forced {
        return Ok(None);
    }
    let Some(held_back) = HeldBack::find(context, now, is_leaky, min_samples)? else { return Ok(None) };
    let meta = Artefact::load(&context.layout.model(&held_back.model)).map_err(ecosight_models::ModelError::from)?.meta;
    let Ok(key) = meta.digest.parse::<Key>() else { return Ok(None) };
    held_back.write(context.layout)?;
    context.emit(Event::Skipped { stage: NAME, why: held_back.words() });
    let reused = meta.counts.get(Side::Train.word()).copied().unwrap_or(0);
    output(context, &held_back.model, key, RowCounts { reused, ..RowCounts::default() }).map(Some)
}

fn recordings(clips: &[KnownClipRow]) -> BTreeSet<&str> {
    clips.iter().map(|clip| clip.recording_id.as_str()).collect()
}

/// Whether all that `now` has and `trained` has not are clips of new recordings of known classes. Sides are no difference: a new recording moves others.
fn differs_by_new_recordings_alone(trained: &KnownClips, now: &KnownClips) -> bool {
    let labels =
        |clips: &KnownClips| clips.clips.iter().map(|clip| clip.label.clone()).collect::<BTreeSet<Option<String>>>();
    if trained.settings.is_none() || trained.settings != now.settings || labels(trained) != labels(now) {
        return false;
    }
    let mut left: HashMap<ClipId, &KnownClipRow> = trained.clips.iter().map(|clip| (clip.clip_id, clip)).collect();
    let known = recordings(&trained.clips);
    let is_as_before = |clip: &KnownClipRow| match left.remove(&clip.clip_id) {
        None => !known.contains(clip.recording_id.as_str()),
        Some(before) => {
            (&before.label, &before.recording_id, &before.group_id) == (&clip.label, &clip.recording_id, &clip.group_id)
        }
    };
    now.clips.iter().all(is_as_before) && left.is_empty()
}

fn path(layout: &Layout) -> PathBuf {
    layout.models().join("held_back.json")
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::key::ContentHash;

    use super::*;
    use crate::stage::KeyPart;

    fn clip(number: u32, label: &str, recording: &str) -> KnownClipRow {
        KnownClipRow {
            clip_id: ClipId::of_file(&ContentHash::of_reader(&number.to_le_bytes()[..]).unwrap()),
            uri: None,
            label: Some(label.to_owned()),
            recording_id: recording.to_owned(),
            group_id: recording.to_owned(),
            side: Side::Train,
        }
    }

    fn known() -> KnownClips {
        let clips = vec![clip(0, "a", "r0"), clip(1, "a", "r1"), clip(2, "b", "r2"), clip(3, "b", "r3")];
        KnownClips { clips, settings: Some(vec![KeyPart::new("split.seed", "42")]) }
    }

    fn is_held_back(change: fn(&mut KnownClips)) -> bool {
        let mut now = known();
        now.clips.push(clip(9, "a", "r9"));
        change(&mut now);
        differs_by_new_recordings_alone(&known(), &now)
    }

    #[test]
    fn new_recordings_of_known_classes_are_the_one_difference() {
        assert!(is_held_back(|_| {}));
        // A new recording may move others to another side of the split.
        assert!(is_held_back(|now| now.clips[0].side = Side::Test));
    }

    #[test]
    fn every_other_difference_beside_new_recordings_trains() {
        assert!(!is_held_back(|now| now.clips[0].label = Some("b".to_owned())), "a corrected label");
        assert!(!is_held_back(|now| drop(now.clips.remove(2))), "a clip that is gone");
        assert!(!is_held_back(|now| now.clips.iter_mut().skip(2).take(2).for_each(|c| c.label = Some("c".to_owned()))));
        assert!(!is_held_back(|now| now.clips.push(clip(10, "new class", "r10"))), "a new class");
        assert!(!is_held_back(|now| now.clips.push(clip(10, "a", "r0"))), "a new clip of a known recording");
        assert!(!is_held_back(|now| now.clips[0].recording_id = "r1".to_owned()), "another recording");
        assert!(!is_held_back(|now| now.clips[0].group_id = "site".to_owned()), "another group");
        assert!(!is_held_back(|now| now.settings = Some(vec![KeyPart::new("split.seed", "43")])), "a changed setting");
        let older = KnownClips { settings: None, ..known() };
        assert!(!differs_by_new_recordings_alone(&older, &known()), "a model of an earlier version");
    }
}

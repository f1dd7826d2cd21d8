//! Recordings and classes of the model in production that the source has lost: a disk that is not mounted, half a synchronisation, a folder moved away.
//!
//! A model that is trained without them forgets what they taught, and nothing in its figures shows it: they are gone from the test side, too.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::removals::Removals;
use ecosight_datasets::tables::{ClipRow, KnownClipRow, Row, read_rows};
use ecosight_models::artefact::Artefact;
use serde::{Deserialize, Serialize};

use super::KnownClips;
use crate::StageErrorKind;
use crate::labels::parts_there;
use crate::publish::current;
use crate::stage::Context;

/// Recordings that are named.
const NAMED: usize = 3;

/// What the source has lost of what the model in production was trained beside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The model in production.
    pub model: String,
    /// Recordings that it was trained beside.
    pub known: u64,
    /// Recordings of these of which no clip is left.
    pub lost: u64,
    /// Its classes of which no clip is left, although their clips were not given another label.
    pub classes: Vec<String>,
    /// Paths of some of the lost recordings.
    pub examples: Vec<String>,
}

impl Loss {
    /// Compares the table `manifest` with the model in production; none where there is no such model, or where it does not say what it was trained beside.
    pub(crate) fn find(context: &Context<'_>) -> Result<Option<Self>, StageErrorKind> {
        let listed: Vec<ClipRow> = read_rows(&context.layout.table(ClipRow::TABLE.name))?;
        Self::of(context, &listed)
    }

    /// What a source with these clips has lost.
    pub(crate) fn of(context: &Context<'_>, listed: &[ClipRow]) -> Result<Option<Self>, StageErrorKind> {
        let Some(model) = current(context.layout)? else { return Ok(None) };
        let Some(mut known) = KnownClips::read(context.layout, &model) else { return Ok(None) };
        // What a person has removed is no loss.
        let removals = Removals::read(context.layout)?;
        known.clips.retain(|clip| !removals.has_file(&clip.clip_id));
        // Of a model that cannot be read, the labels of its recordings say the classes; whoever needs the model itself reports what is wrong with it.
        let classes = match Artefact::load(&context.layout.model(&model)) {
            Ok(artefact) => artefact.meta.classes,
            Err(_) => classes_of(&known.clips),
        };
        Ok(Some(Self::between(model, &classes, &known.clips, listed)))
    }

    fn between(model: String, classes: &[String], known: &[KnownClipRow], listed: &[ClipRow]) -> Self {
        let present: HashSet<ClipId> = listed.iter().map(|clip| clip.clip_id).collect();
        let paths: HashSet<&str> = listed.iter().map(|clip| clip.uri.as_str()).collect();
        let labels: BTreeSet<&str> = listed.iter().map(|clip| clip.label.as_str()).collect();
        let is_there = |class: &str| labels.iter().any(|label| is_of(label, class));
        // Whether any clip of each recording is left, and the path of its first one. What has other bytes at the same path was replaced, and is not lost.
        let mut recordings: BTreeMap<&str, (bool, Option<&String>)> = BTreeMap::new();
        for clip in known {
            let (is_left, uri) = recordings.entry(&clip.recording_id).or_default();
            *is_left |= present.contains(&clip.clip_id) || clip.uri.as_deref().is_some_and(|uri| paths.contains(uri));
            *uri = uri.or(clip.uri.as_ref());
        }
        let lost: Vec<_> = recordings.iter().filter(|(_, (is_left, _))| !is_left).collect();
        let mut examples: Vec<String> =
            lost.iter().map(|(id, (_, uri))| uri.map_or_else(|| (**id).to_owned(), Clone::clone)).collect();
        examples.sort();
        examples.truncate(NAMED);
        // Clips that are there under another label were renamed by a person, which is no loss.
        let was_renamed = |class: &str| {
            let of_class = |clip: &&KnownClipRow| clip.label.as_deref().is_some_and(|label| is_of(label, class));
            let (left, gone): (Vec<_>, Vec<_>) =
                known.iter().filter(of_class).partition(|clip| present.contains(&clip.clip_id));
            left.len() > gone.len()
        };
        let is_lost = |class: &&String| !is_there(class) && !was_renamed(class);
        Self {
            model,
            known: recordings.len() as u64,
            lost: lost.len() as u64,
            classes: classes.iter().filter(is_lost).cloned().collect(),
            examples,
        }
    }

    /// Whether a class is lost, or more than the share `max_loss` of the recordings.
    pub fn exceeds(&self, max_loss: f64) -> bool {
        !self.classes.is_empty() || self.lost as f64 > max_loss * self.known as f64
    }

    /// In words: `class `chainsaw` and 24 of 238 known recordings (10.1 %) are gone: chainsaw/1.ogg, …`.
    pub fn words(&self) -> String {
        let Self { known, lost, classes, examples, .. } = self;
        if *lost == 0 && classes.is_empty() {
            return format!("all {known} recordings of the model in production are there");
        }
        let classes: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
        let classes = match classes.len() {
            0 => String::new(),
            1 => format!("class {} and ", classes[0]),
            _ => format!("classes {} and ", classes.join(", ")),
        };
        let share = 100.0 * *lost as f64 / (*known).max(1) as f64;
        let names: Vec<String> = examples.iter().map(|uri| format!("`{uri}`")).collect();
        let more = if *lost as usize > names.len() { ", …" } else { "" };
        format!("{classes}{lost} of {known} known recordings ({share:.1} %) are gone: {}{more}", names.join(", "))
    }
}

/// The classes that the labels of these clips name.
fn classes_of(known: &[KnownClipRow]) -> Vec<String> {
    let labels = known.iter().filter_map(|clip| clip.label.as_deref());
    labels.flat_map(parts_there).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether a clip with this label is of the class.
fn is_of(label: &str, class: &str) -> bool {
    label == class || parts_there(label).any(|part| part == class)
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::key::ContentHash;
    use ecosight_datasets::tables::Side;

    use super::*;

    fn id(number: u32) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(&number.to_le_bytes()[..]).unwrap())
    }

    /// Two clips of each of eight recordings; the first four are of class a, the others of b.
    fn known() -> Vec<KnownClipRow> {
        let row = |number: u32| KnownClipRow {
            clip_id: id(number),
            uri: Some(format!("{number:02}.wav")),
            label: Some(if number < 8 { "a" } else { "b" }.to_owned()),
            recording_id: format!("r{}", number / 2),
            group_id: format!("r{}", number / 2),
            side: Side::Train,
        };
        (0..16).map(row).collect()
    }

    fn listed(numbers: impl Iterator<Item = u32>, label: impl Fn(u32) -> &'static str) -> Vec<ClipRow> {
        let row = |number: u32| ClipRow {
            clip_id: id(number),
            file_id: id(number),
            uri: String::new(),
            label: label(number).to_owned(),
            recording_id: None,
            fold: None,
            site: None,
            device: None,
            recorded_at: None,
            span: None,
            container: String::new(),
            size_bytes: 1,
            etag: None,
        };
        numbers.map(row).collect()
    }

    fn loss(listed: &[ClipRow]) -> Loss {
        Loss::between("m".to_owned(), &["a".to_owned(), "b".to_owned()], &known(), listed)
    }

    fn class(number: u32) -> &'static str {
        if number < 8 { "a" } else { "b" }
    }

    #[test]
    fn a_class_that_is_gone_exceeds_any_share_and_a_renamed_one_does_not() {
        let gone = loss(&listed(0..8, class));
        assert_eq!((gone.lost, gone.classes.as_slice()), (4, &["b".to_owned()][..]));
        assert!(gone.exceeds(1.0));
        assert_eq!(
            gone.words(),
            "class `b` and 4 of 8 known recordings (50.0 %) are gone: `08.wav`, `10.wav`, `12.wav`, …"
        );
        let renamed = loss(&listed(0..16, |number| if number < 8 { "a" } else { "c" }));
        assert_eq!((renamed.lost, renamed.classes.len(), renamed.exceeds(0.0)), (0, 0, false));
        assert_eq!(renamed.words(), "all 8 recordings of the model in production are there");
    }

    #[test]
    fn recordings_are_lost_when_none_of_their_clips_is_left() {
        let one_clip_each = loss(&listed((0..16).step_by(2), class));
        assert_eq!(one_clip_each.lost, 0);
        let two_recordings = loss(&listed(4..16, class));
        assert_eq!(two_recordings.lost, 2);
        assert!(two_recordings.exceeds(0.2) && !two_recordings.exceeds(0.25));
        assert_eq!(two_recordings.words(), "2 of 8 known recordings (25.0 %) are gone: `00.wav`, `02.wav`");
        let replaced = ClipRow { uri: "00.wav".to_owned(), ..listed(99..100, class).remove(0) };
        assert_eq!(loss(&[listed(4..16, class), vec![replaced]].concat()).lost, 1, "there are other bytes at its path");
    }

    #[test]
    fn rows_of_earlier_versions_have_no_labels_and_count_all_the_same() {
        let older: Vec<KnownClipRow> =
            known().into_iter().map(|row| KnownClipRow { label: None, uri: None, ..row }).collect();
        let found = Loss::between("m".to_owned(), &["a".to_owned(), "b".to_owned()], &older, &listed(0..8, class));
        assert_eq!((found.lost, found.classes, found.examples[0].as_str()), (4, vec!["b".to_owned()], "r4"));
    }
}

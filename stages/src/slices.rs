//! Figures of parts of the test side: of one source, site or recorder, of clips of about one length, or of about as much noise.

use std::collections::{BTreeSet, HashMap};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::tables::{ClipRow, SliceRow, SoundRow, read_rows};
use ecosight_models::decision::Decision;
use ecosight_models::metrics::{DURATION_EDGES_S, Metrics, SNR_EDGES_DB, bucketed, rows_of_slices};

use crate::StageErrorKind;
use crate::figures::Judge;
use crate::labels::Labels;
use crate::pooled::Clips;
use crate::sounds::sounds;
use crate::stage::Context;

/// Name of the file, in a model's folder, of the figures of parts of the test side.
pub const SLICES_FILE: &str = "slices.parquet";

/// Figures of the parts of the test side.
pub(crate) fn slices(
    context: &Context<'_>,
    stage: &'static str,
    test: &Clips,
    labels: &Labels,
    decision: &Decision,
) -> Result<Vec<SliceRow>, StageErrorKind> {
    let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest"))?;
    let by_id: HashMap<ClipId, &ClipRow> = clips.iter().map(|clip| (clip.clip_id, clip)).collect();
    let tested: Vec<&ClipRow> = test.units.iter().map(|unit| by_id[&unit.clip_id]).collect();
    let heard = sounds(context, stage, &tested, |id| labels.clips.contains_key(id))?;
    let (mut rows, judge) = (Vec::new(), Judge::new(labels, context.kept_together()));
    for (by, values) in values(context.source, &tested, labels, &heard) {
        // What all clips have in common is no slice.
        if values.iter().collect::<BTreeSet<_>>().len() < 2 {
            continue;
        }
        for ((_, slice), of_slice) in rows_of_slices(&values) {
            let clips = test.some(&of_slice, labels.classes.len());
            let metrics = judge.measure(&clips, &clips.answers(decision))?;
            rows.push(row(by, slice, &clips.groups, &metrics));
        }
    }
    Ok(rows)
}

/// What a slice is called, behind what orders it among the others.
type Value = Option<(usize, String)>;

/// The slice of each test clip, for each thing that they are sliced by.
fn values(
    source: &Source,
    clips: &[&ClipRow],
    labels: &Labels,
    heard: &HashMap<ClipId, SoundRow>,
) -> [(&'static str, Vec<Value>); 5] {
    let split = |clip: &ClipRow| &labels.clips[&clip.clip_id].split;
    let named = |name: &dyn Fn(&ClipRow) -> Option<String>| clips.iter().map(|clip| Some((0, name(clip)?))).collect();
    let banded = |value: &dyn Fn(&SoundRow) -> Option<f64>, edges: &[f64], unit: &str| {
        let values: Vec<Option<f64>> = clips.iter().map(|clip| value(heard.get(&clip.clip_id)?)).collect();
        bucketed(&values, edges, unit)
            .into_iter()
            .map(|band| band.map(|band| (band.index(), band.to_string())))
            .collect()
    };
    [
        ("source", named(&|clip| source_of(source, &clip.uri))),
        ("site", named(&|clip| split(clip).site.clone())),
        ("device", named(&|clip| split(clip).device.clone())),
        ("duration", banded(&|sound| Some(sound.duration_s), &DURATION_EDGES_S, "s")),
        ("signal to noise", banded(&|sound| sound.snr_db, &SNR_EDGES_DB, "dB")),
    ]
}

/// The source of a file: the bucket of an address, else the first folder, which in a folder of classes is the one below the class.
fn source_of(source: &Source, uri: &str) -> Option<String> {
    if let Some((scheme, rest)) = uri.split_once("://") {
        let bucket = rest.split('/').next().unwrap_or_default();
        return Some(format!("{scheme}://{bucket}"));
    }
    let folders = uri.rsplit_once('/')?.0;
    let mut folders = folders.split('/').skip(usize::from(matches!(source, Source::Folder(_))));
    folders.next().map(str::to_owned)
}

fn row(by: &str, slice: String, recordings: &[u32], metrics: &Metrics) -> SliceRow {
    let ends = metrics.ci95.as_ref().filter(|ci95| ci95.is_reliable()).map(|ci95| ci95.accuracy);
    SliceRow {
        by: by.to_owned(),
        slice,
        clips: recordings.len() as u64,
        recordings: recordings.iter().collect::<BTreeSet<_>>().len() as u64,
        accuracy: metrics.accuracy,
        accuracy_low: ends.map(|ends| ends.low),
        accuracy_high: ends.map(|ends| ends.high),
        balanced_accuracy: metrics.balanced_accuracy,
        macro_f1: metrics.macro_f1,
    }
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::store::Place;

    use super::*;

    #[test]
    fn the_source_of_a_file_is_a_bucket_or_a_folder_that_is_no_class() {
        let folder = Source::Folder(Place::parse("recordings").unwrap());
        let manifest = Source::Manifest(Place::parse("m.csv").unwrap());
        for (source, uri, expected) in [
            (&folder, "dog/a.wav", None),
            (&folder, "dog/north/1/a.wav", Some("north")),
            (&manifest, "a.wav", None),
            (&manifest, "north/1/a.wav", Some("north")),
            (&manifest, "s3://bucket/x/a.wav", Some("s3://bucket")),
        ] {
            assert_eq!(source_of(source, uri).as_deref(), expected, "{uri}");
        }
    }
}

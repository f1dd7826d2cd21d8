use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::tables::{ClipRow, Side, SplitRow, Unit};
use ecosight_models::head::{HeadKind, L2};

use super::*;

/// A clip, by its number: its class, its recording, and its windows.
type Made = (&'static str, usize, Vec<Vec<f32>>);

/// Labels and rows of these clips.
fn made(config: &TrainConfig, clips: &[Made]) -> (Labels, Rows) {
    let id = |n: usize| ClipId::of_file(&ContentHash::of_reader(&n.to_le_bytes()[..]).unwrap());
    let row = |(n, (label, recording, _)): (usize, &Made)| ClipRow {
        clip_id: id(n),
        file_id: id(n),
        uri: format!("{n}.wav"),
        label: (*label).to_owned(),
        recording_id: Some(recording.to_string()),
        fold: None,
        site: None,
        device: None,
        recorded_at: None,
        span: None,
        container: "wav".to_owned(),
        size_bytes: 1,
        etag: None,
    };
    let rows: Vec<ClipRow> = clips.iter().enumerate().map(row).collect();
    let split =
        rows.iter().map(|row| SplitRow::new(row.clip_id, row.recording_id.clone().unwrap(), Side::Train)).collect();
    let labels = Labels::join(&rows, split, config);
    let mut pooled = Rows::default();
    for (row, (.., windows)) in rows.iter().zip(clips) {
        for window in windows {
            pooled.push(Unit { clip_id: row.clip_id, variant: 0 }, &labels.clips[&row.clip_id], window);
        }
    }
    pooled.sort();
    (labels, pooled)
}

/// A number in −1…1 that depends on both (`SplitMix64`).
fn noise(a: usize, b: usize) -> f32 {
    let mut mixed = ((a as u64) << 32 | b as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Clips of two classes that overlap, each a recording of its own; the last column is 0.
fn overlapping(n: usize) -> Vec<Made> {
    let clip = |n: usize| {
        let centre = if n.is_multiple_of(2) { 0.5 } else { -0.5 };
        let row = (0..6).map(|column| centre + 2.0 * noise(n, column)).chain([0.0]).collect();
        (["a", "b"][n % 2], n, vec![row])
    };
    (0..n).map(clip).collect()
}

fn found(config: &TrainConfig, clips: &[Made]) -> Metrics {
    let (labels, rows) = made(config, clips);
    Procedure { config, labels: &labels, unit: "recording" }.cross_validate(&rows, &|| false).unwrap().unwrap()
}

#[test]
fn the_mlp_stops_early_within_a_fold() {
    let clips = overlapping(60);
    let with = |patience| {
        let config = TrainConfig { head: HeadKind::Mlp, patience, max_epochs: 40, ..TrainConfig::default() };
        found(&config, &clips)
    };
    let (one, fifty) = (with(1), with(50));
    assert_ne!(one.log_loss, fifty.log_loss);
    assert_eq!(with(1), one);
}

#[test]
fn the_scores_of_held_out_clips_are_calibrated() {
    // Without a penalty every clip is known by heart, and the head is far too sure of the others.
    let config = TrainConfig { l2: L2::Given(0.0), ..TrainConfig::default() };
    let (labels, rows) = made(&config, &overlapping(60));
    let procedure = Procedure { config: &config, labels: &labels, unit: "recording" };
    let (fitted, scored): (Vec<usize>, Vec<usize>) = (0..60).partition(|row| row % 3 > 0);
    let held_out = procedure.held_out(&rows, &fitted, &scored, &|| false).unwrap().unwrap();
    let on_epoch: &mut OnEpoch<'_> = &mut |_, _| ControlFlow::Continue(());
    let watch = Watch { resume: None, on_epoch, is_stopped: &|| false };
    let raw = train_on(rows.some(&fitted).examples(), None, 2, &config, watch).unwrap().head;
    let raw = rows.clips_of(&scored, &raw);
    let loss =
        |clips: &Clips| Judge::new(&labels, "recording").figures(clips, &held_out.answers).unwrap().log_loss.unwrap();
    let (calibrated, raw) = (loss(&held_out.clips), loss(&raw));
    assert!(calibrated < 0.8 * raw, "{calibrated} and {raw}");
}

#[test]
fn windows_of_a_clip_count_as_one_clip() {
    let one = overlapping(30);
    let windows = |n: usize| if n.is_multiple_of(2) { 1 } else { 5 };
    let several: Vec<Made> = one
        .iter()
        .enumerate()
        .map(|(n, (label, recording, rows))| (*label, *recording, vec![rows[0].clone(); windows(n)]))
        .collect();
    let config = TrainConfig::default();
    let metrics = found(&config, &several);
    assert_eq!(metrics.n, 30);
    assert!(metrics.per_class.iter().all(|class| class.support == 15), "{metrics:?}");
    let (_, rows) = made(&config, &several);
    assert_eq!((rows.len(), rows.unit_count()), (15 + 15 * 5, 30));
}

#[test]
fn what_is_learnt_by_heart_counts_for_nothing() {
    // Each recording has a feature of its own that identifies it; no feature depends on its class.
    let clip = |n: usize| {
        let recording = n / 4;
        let row = (0..30).map(|column| f32::from(u8::from(column == recording))).collect();
        (["a", "b"][recording % 2], recording, vec![row])
    };
    let clips: Vec<Made> = (0..120).map(clip).collect();
    for head in [HeadKind::Linear, HeadKind::Mlp] {
        let config = TrainConfig { head, max_epochs: 5, ..TrainConfig::default() };
        let metrics = found(&config, &clips);
        assert!(metrics.log_loss.unwrap() > 0.65 && metrics.accuracy < 0.7, "{head:?}: {metrics:?}");
        let (labels, rows) = made(&config, &clips);
        let stopped =
            Procedure { config: &config, labels: &labels, unit: "recording" }.cross_validate(&rows, &|| true).unwrap();
        assert_eq!(stopped, None);
    }
}

#[test]
fn a_class_with_one_recording_does_not_decide_between_settings() {
    let clips = overlapping(60);
    let row = |n: usize| (0..6).map(|column| noise(1000 + n, column)).chain([3.0]).collect();
    let rare = (0..10).map(|n| ("rare", 100, vec![row(n)]));
    let both: Vec<Made> = clips.iter().cloned().chain(rare).collect();
    let config = TrainConfig::default();
    let (without, with) = (found(&config, &clips), found(&config, &both));
    assert_eq!((without.n, with.n), (60, 60));
    let [without, with] = [without, with].map(|metrics| metrics.log_loss.unwrap());
    assert!((with / without - 1.0).abs() < 0.15, "{with} and {without}");
}

#[test]
fn one_recording_cannot_be_parted() {
    let config = TrainConfig::default();
    let (labels, rows) = made(&config, &[("a", 1, vec![vec![0.0]]), ("b", 1, vec![vec![1.0]])]);
    let error =
        Procedure { config: &config, labels: &labels, unit: "recording" }.cross_validate(&rows, &|| false).unwrap_err();
    assert!(error.to_string().contains("one recording"), "{error}");
    let clips =
        Procedure { config: &config, labels: &labels, unit: "recording" }.held_out(&rows, &[0, 1], &[0], &|| false);
    assert_eq!(clips.unwrap().unwrap().clips.units.len(), 1, "without an inner part nothing is calibrated");
}

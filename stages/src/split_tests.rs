use ecosight_datasets::key::{ClipId, ContentHash};
use proptest::prelude::*;

use super::*;

fn clip(uri: &str, label: &str) -> ClipRow {
    let id = ClipId::of_file(&ContentHash::of_reader(uri.as_bytes()).unwrap());
    ClipRow {
        clip_id: id,
        file_id: id,
        uri: uri.into(),
        label: label.into(),
        recording_id: None,
        fold: None,
        site: None,
        span: None,
        container: "wav".into(),
        size_bytes: 1,
        etag: None,
    }
}

fn class(label: &str, recordings: &[u16]) -> Vec<ClipRow> {
    recordings.iter().map(|r| clip(&format!("{label}/1-{r}-A.wav"), label)).collect()
}

fn sides(split: &Split, clips: &[ClipRow]) -> BTreeMap<String, Side> {
    split.assign(clips).0.into_iter().map(|row| (row.recording_id, row.side)).collect()
}

fn esc10() -> Split {
    Split { pattern: r"(?<fold>\d)-(?<recording>\d+)-".into(), ..Split::default() }
}

proptest! {
    #[test]
    fn adding_a_recording_moves_at_most_two_others(mut names in prop::collection::btree_set(0u16..5000, 1..60), new in 5000u16..9000) {
        let split = esc10();
        let before = sides(&split, &class("a", &names.iter().copied().collect::<Vec<_>>()));
        names.insert(new);
        let after = sides(&split, &class("a", &names.iter().copied().collect::<Vec<_>>()));
        let moved = before.iter().filter(|(name, side)| after[*name] != **side).count();
        prop_assert!(moved <= 2, "{moved} moved");
    }

    #[test]
    fn quotas_are_kept_within_one_recording_and_every_side_is_served(n in 3usize..2000) {
        let (test, val) = Split::default().cuts(n);
        prop_assert!((test as f64 - 0.15 * n as f64).abs() <= 1.0);
        prop_assert!((val as f64 - 0.30 * n as f64).abs() <= 1.0 + f64::from(u8::from(n < 4)) * 0.2);
        prop_assert!(test >= 1 && val > test && n > val);
    }
}

#[test]
fn clips_of_one_recording_are_never_on_two_sides_even_in_two_classes() {
    let mut clips: Vec<_> =
        (0..40).flat_map(|r| ["A", "B"].map(|take| clip(&format!("x/1-{r}-{take}.wav"), "x"))).collect();
    clips.extend((0..40).map(|r| clip(&format!("y/2-{r}-C.wav"), "y")));
    let (rows, unmatched) = esc10().assign(&clips);
    assert!(unmatched.is_empty());
    let mut seen: BTreeMap<&str, Side> = BTreeMap::new();
    for row in &rows {
        assert_eq!(*seen.entry(&row.recording_id).or_insert(row.side), row.side);
    }
    assert_eq!(seen.len(), 40);
}

#[test]
fn given_folds_are_honoured() {
    let mut clips = class("a", &[1, 2, 3, 4, 5]);
    clips[0].fold = Some("test".into());
    clips[1].fold = Some("Validation".into());
    clips[2].fold = Some("9".into());
    let split = Split { test_folds: vec!["9".into()], ..esc10() };
    let (rows, _) = split.assign(&clips);
    assert_eq!([rows[0].side, rows[1].side, rows[2].side], [Side::Test, Side::Val, Side::Test]);
    assert_eq!(rows[3].fold.as_deref(), Some("1"));
}

#[test]
fn a_recording_column_wins_over_the_pattern_and_a_file_without_either_stands_for_itself() {
    let mut clips = class("a", &[1, 2]);
    clips[0].recording_id = Some("r".into());
    clips.push(clip("a/odd.wav", "a"));
    let (rows, unmatched) = esc10().assign(&clips);
    assert_eq!(rows[0].recording_id, "r");
    assert_eq!(rows[1].recording_id, "2");
    assert_eq!(rows[2].recording_id, clips[2].file_id.to_string());
    assert_eq!(unmatched, ["a/odd.wav"]);
}

#[test]
fn unusable_splits_are_refused_with_the_reason() {
    let refuse = |clips: &[ClipRow]| check_sides(clips, &esc10().assign(clips).0).unwrap_err().to_string();
    assert!(refuse(&class("a", &[1, 2, 3])).contains("only `a`"));
    let two = [class("a", &[1, 2]), class("b", &[3, 4])].concat();
    assert!(refuse(&two).contains("the val side of the split is empty"));
    let mut lost = [class("a", &[1, 2, 3]), class("b", &[4])].concat();
    lost[3].fold = Some("test".into());
    assert!(refuse(&lost).contains("no train clips in class `b`"));
}

#[test]
fn parameters_out_of_range_are_named() {
    let table = "train = 0.5\npattern = '(x)'\nval_folds = ['1']\ntest_folds = ['1']".parse().unwrap();
    let at: Vec<_> = parse::<Split>(&table).unwrap_err().into_iter().map(|p| p.at).collect();
    assert_eq!(at, ["train", "pattern", "val_folds"]);
}

#[test]
fn a_fold_that_no_clip_has_is_refused() {
    let check = |split: Split| split.check_folds(&split.assign(&class("a", &[1, 2, 3])).0);
    let named = |fold: &str| vec![fold.to_owned()];
    assert!(check(Split { val_folds: named("1"), ..esc10() }).is_ok());
    let error = check(Split { test_folds: named("7"), ..esc10() }).unwrap_err();
    assert_eq!(error.to_string(), "no clip has the fold `7`; there are `1`");
    let error = check(Split { val_folds: named("3"), ..Split::default() }).unwrap_err();
    assert!(error.to_string().ends_with("no clip has any"), "{error}");
}

use ecosight_datasets::key::{ClipId, ContentHash};
use proptest::prelude::*;
use std::collections::BTreeMap;

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
        device: None,
        recorded_at: None,
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
    split.assign(clips, &[]).rows.into_iter().map(|row| (row.recording_id, row.side)).collect()
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
    let Assigned { rows, warnings, .. } = esc10().assign(&clips, &[]);
    assert!(warnings.is_empty());
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
    let rows = split.assign(&clips, &[]).rows;
    assert_eq!([rows[0].side, rows[1].side, rows[2].side], [Side::Test, Side::Val, Side::Test]);
    assert_eq!(rows[3].fold.as_deref(), Some("1"));
}

#[test]
fn a_recording_column_wins_over_the_pattern_and_a_file_without_either_stands_for_itself() {
    let mut clips = class("a", &[1, 2]);
    clips[0].recording_id = Some("r".into());
    clips.push(clip("a/odd.wav", "a"));
    let Assigned { rows, warnings, .. } = esc10().assign(&clips, &[]);
    assert_eq!(rows[0].recording_id, "r");
    assert_eq!(rows[1].recording_id, "2");
    assert_eq!(rows[2].recording_id, clips[2].file_id.to_string());
    assert!(
        warnings[0].starts_with("1 of 3 files do not match") && warnings[0].contains("`a/odd.wav`"),
        "{warnings:?}"
    );
}

#[test]
fn unusable_splits_are_refused_with_the_reason() {
    let refuse =
        |clips: &[ClipRow]| esc10().check_sides(clips, &esc10().assign(clips, &[]).rows).unwrap_err().to_string();
    assert!(refuse(&class("a", &[1, 2, 3])).contains("only `a`"));
    let two = [class("a", &[1, 2]), class("b", &[3, 4])].concat();
    assert!(refuse(&two).contains("the val side of the split is empty"));
    let mut lost = [class("a", &[1, 2, 3]), class("b", &[4])].concat();
    lost[3].fold = Some("test".into());
    assert!(refuse(&lost).contains("no train clips in class `b`"));
}

#[test]
fn parameters_out_of_range_are_named() {
    let table = "train = 0.5\npattern = '(x)'\nval_folds = ['1']\ntest_folds = ['1']\nby = 'time'".parse().unwrap();
    let at: Vec<_> = parse::<Split>(&table).unwrap_err().into_iter().map(|p| p.at).collect();
    assert_eq!(at, ["train", "pattern", "val_folds", "by"]);
}

#[test]
fn where_val_and_test_folds_are_named_the_others_are_trained_on() {
    let mut clips = class("a", &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (number, clip) in clips.iter_mut().enumerate() {
        clip.fold = Some((number % 3).to_string());
    }
    let split = Split { val_folds: vec!["1".into()], test_folds: vec!["2".into()], ..Split::default() };
    for (number, row) in split.assign(&clips, &[]).rows.into_iter().enumerate() {
        assert_eq!(row.side, [Side::Train, Side::Val, Side::Test][number % 3]);
    }
}

#[test]
fn a_recording_in_folds_of_different_sides_is_refused() {
    let mut clips = class("a", &[1, 2, 3, 4]);
    clips[1].recording_id = Some("1".into());
    let problem = |folds: [&str; 2], split: &Split| {
        let mut clips = clips.clone();
        (clips[0].fold, clips[1].fold) = (Some(folds[0].into()), Some(folds[1].into()));
        split.assign(&clips, &[]).problem
    };
    let named = Split { val_folds: vec!["4".into()], test_folds: vec!["5".into()], ..esc10() };
    let error = problem(["3", "5"], &named).unwrap();
    assert_eq!(error.to_string(), "recording `1` has clips in the folds `3` and `5`");
    assert!(error.hint().unwrap().starts_with("put all clips of a recording into one fold"), "{error:?}");
    assert!(problem(["train", "test"], &esc10()).is_some());
    // Both on the train side, or in folds that stand for no side.
    assert!(problem(["2", "3"], &named).is_none() && problem(["2", "3"], &esc10()).is_none());
}

#[test]
fn a_fold_that_no_clip_has_is_refused() {
    let check = |split: Split| split.check_folds(&split.assign(&class("a", &[1, 2, 3]), &[]).rows);
    let named = |fold: &str| vec![fold.to_owned()];
    assert!(check(Split { val_folds: named("1"), ..esc10() }).is_ok());
    let error = check(Split { test_folds: named("7"), ..esc10() }).unwrap_err();
    assert_eq!(error.to_string(), "no clip has the fold `7`; there are `1`");
    let error = check(Split { val_folds: named("3"), ..Split::default() }).unwrap_err();
    assert!(error.to_string().ends_with("no clip has any"), "{error}");
}

/// A clip of a class and recording, made at a site.
fn at_site((label, recording, site): (u8, u8, u8)) -> ClipRow {
    let text = |n: u8| Some(n.to_string());
    let uri = format!("{label}/{recording}-{site}.wav");
    // 0: nobody has said where.
    ClipRow { recording_id: text(recording), site: text(site).filter(|_| site > 0), ..clip(&uri, &label.to_string()) }
}

proptest! {
    #[test]
    fn neither_a_recording_nor_a_site_is_ever_on_two_sides(
        told in prop::collection::vec((0u8..4, 0u8..30, 0u8..9), 1..80), seed in 0u64..9, by_time: bool,
    ) {
        let mut clips: Vec<_> = told.iter().copied().map(at_site).collect();
        for (n, clip) in clips.iter_mut().enumerate() {
            clip.recorded_at = Some(format!("2026-03-{:02}", n * 7 % 28 + 1));
        }
        let by = if by_time { By::Time } else { By::Share };
        let split = Split { group_by: GroupBy::Site, by, seed, ..Split::default() };
        let rows = split.assign(&clips, &[]).rows;
        let mut of_recording = BTreeMap::new();
        let mut of_site = BTreeMap::new();
        for row in &rows {
            prop_assert_eq!(*of_recording.entry(&row.recording_id).or_insert(row.side), row.side);
            if row.site.is_some() {
                prop_assert_eq!(*of_site.entry(&row.site).or_insert(row.side), row.side);
            }
        }
        // The order of the clips decides nothing.
        let backwards: Vec<_> = clips.iter().rev().cloned().collect();
        let mut again = split.assign(&backwards, &[]).rows;
        again.reverse();
        prop_assert!(by_time || again == rows);
    }
}

#[test]
fn the_day_is_told_by_a_column_before_the_pattern_and_that_before_the_name_of_the_file() {
    let mut clips =
        vec![clip("a/20260301_070509.WAV", "a"), clip("a/d9/20260301_080000.WAV", "a"), clip("a/x.wav", "a")];
    clips.push(ClipRow { recorded_at: Some("2026-04-01T23:59:00-05:00".into()), ..clip("a/d7/20260301_1.wav", "a") });
    let split = Split { group_by: GroupBy::Day, pattern: r"/(?<day>d\d)/".into(), ..Split::default() };
    let Assigned { rows, warnings, .. } = split.assign(&clips, &[]);
    let groups: Vec<_> = rows.iter().map(|row| row.group_id.as_str()).collect();
    let alone = format!("recording {}", clips[2].file_id);
    assert_eq!(groups, ["2026-03-01", "d9", &alone, "2026-04-01"]);
    assert!(warnings.iter().any(|told| told.starts_with("1 of 4 clips have no day")), "{warnings:?}");
}

/// Clips of two classes on so many days.
fn days(days: u8) -> Vec<ClipRow> {
    let of_day = |day: u8| ["a", "b"].map(|label| clip(&format!("{label}/202603{day:02}_070000.wav"), label));
    (1..=days).flat_map(of_day).collect()
}

#[test]
fn by_time_the_oldest_train_and_the_newest_test() {
    let mut clips = days(20);
    clips.push(clip("a/nobody-knows.wav", "a"));
    let split = Split { by: By::Time, ..Split::default() };
    let Assigned { rows, warnings, problem, .. } = split.assign(&clips, &[]);
    assert!(problem.is_none());
    for (row, day) in rows.iter().zip((0..40).map(|n| n / 2 + 1)) {
        let expected = if day <= 14 {
            Side::Train
        } else if day <= 17 {
            Side::Val
        } else {
            Side::Test
        };
        assert_eq!(row.side, expected, "day {day}");
    }
    assert_eq!(rows[40].side, Side::Train);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("1 of 41 clips have no time and are on the train side"), "{warnings:?}");
}

#[test]
fn what_was_recorded_at_one_time_is_not_parted() {
    let clips = [days(1), days(1), days(3)].concat();
    let mut clips: Vec<_> =
        clips.into_iter().enumerate().map(|(n, row)| ClipRow { recording_id: Some(n.to_string()), ..row }).collect();
    let split = Split { by: By::Time, train: 0.4, val: 0.2, test: 0.4, ..Split::default() };
    let Assigned { rows, warnings, .. } = split.assign(&clips, &[]);
    let sides: Vec<_> = rows.iter().map(|row| row.side as u8).collect();
    assert_eq!(sides, [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]);
    assert!(warnings.iter().any(|told| told.starts_with("6 recordings begin at 2026-03-01 07:00:00")), "{warnings:?}");
    clips.truncate(8);
    let problem = split.assign(&clips, &[]).problem.unwrap().to_string();
    assert!(problem.contains("at least three times are needed; 2 different ones are known of 8 clips"), "{problem}");
}

#[test]
fn sites_that_overlap_in_time_are_told() {
    let mut clips = days(9);
    for (n, clip) in clips.iter_mut().enumerate() {
        clip.site = Some((n / 2 % 3).to_string());
    }
    let split = Split { by: By::Time, group_by: GroupBy::Site, ..Split::default() };
    let warnings = split.assign(&clips, &[]).warnings;
    assert!(warnings[0].starts_with("8 of 12 val and test clips are older than the newest train clip"), "{warnings:?}");
}

#[test]
fn sites_that_cannot_be_dealt_out_are_told_with_a_hint() {
    let refuse = |told: &[(u8, u8, u8)]| {
        let clips: Vec<_> = told.iter().copied().map(at_site).collect();
        let split = Split { group_by: GroupBy::Site, ..Split::default() };
        let assigned = split.assign(&clips, &[]);
        let error = assigned.problem.or_else(|| split.check_sides(&clips, &assigned.rows).err()).unwrap();
        assert!(matches!(&error, StageErrorKind::Data { hint, .. } if hint.contains("split.group_by")), "{error:?}");
        error.to_string()
    };
    let two = refuse(&[(0, 1, 1), (1, 2, 2), (0, 3, 2)]);
    assert_eq!(two, "three sides need at least three sites, there are 2: `1`, `2`");
    // Each class at a site of its own.
    assert_eq!(refuse(&[(0, 1, 1), (1, 2, 2), (2, 3, 3)]), "the val side of the split is empty");
    let mut clips: Vec<_> = (0..6).map(|n| at_site((n % 2, n, n % 3 + 1))).collect();
    (clips[0].fold, clips[3].fold) = (Some("train".into()), Some("test".into()));
    let problem = Split { group_by: GroupBy::Site, ..Split::default() }.assign(&clips, &[]).problem.unwrap();
    assert_eq!(problem.to_string(), "site `1` has clips in the folds `train` and `test`");
}

/// The pair of two clips.
fn pair(a: &ClipRow, b: &ClipRow) -> [ClipId; 2] {
    let mut pair = [a.clip_id, b.clip_id];
    pair.sort_unstable();
    pair
}

proptest! {
    #[test]
    fn copies_are_on_one_side_and_hardly_any_other_recording_moves(
        names in prop::collection::btree_set(0u16..5000, 8..60), a: prop::sample::Index, b: prop::sample::Index,
    ) {
        let clips = class("a", &names.iter().copied().collect::<Vec<_>>());
        let (a, b) = (a.get(&clips), b.get(&clips));
        prop_assume!(a.clip_id != b.clip_id);
        let split = esc10();
        let (before, after) = (split.assign(&clips, &[]).rows, split.assign(&clips, &[pair(a, b)]));
        let row = |of: &ClipRow| after.rows.iter().find(|row| row.clip_id == of.clip_id).unwrap();
        prop_assert_eq!(row(a).side, row(b).side);
        prop_assert_eq!(&row(a).group_id, (&row(a).recording_id).min(&row(b).recording_id));
        prop_assert_eq!(after.rows.iter().filter(|row| row.group_id != row.recording_id).count(), 1);
        // One recording less in the ranking, as if it had gone: two others cross a boundary at most.
        let is_other = |row: &&SplitRow| ![a.clip_id, b.clip_id].contains(&row.clip_id);
        let moved = before.iter().zip(&after.rows).filter(|(old, new)| is_other(new) && old.side != new.side).count();
        prop_assert!(moved <= 2, "{moved} moved");
    }
}

#[test]
fn joined_recordings_are_told_by_the_paths_of_their_clips() {
    let clips = class("a", &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let copies = [pair(&clips[4], &clips[1]), pair(&clips[6], &clips[7]), pair(&clips[7], &clips[8])];
    let Assigned { rows, joined, .. } = esc10().assign(&clips, &copies);
    let joined = joined.unwrap();
    let expected = "5 recordings are copies of others, wholly or in part, and were joined into 2 groups: `a/1-2-A.wav` + `a/1-5-A.wav`; \
                    `a/1-7-A.wav` + `a/1-8-A.wav` + `a/1-9-A.wav`";
    assert_eq!(joined, expected);
    let groups: Vec<&str> = rows.iter().map(|row| row.group_id.as_str()).collect();
    assert_eq!(groups, ["1", "2", "3", "4", "2", "6", "7", "7", "7"]);
    // Pairs of which a clip is gone, and clips of one recording, join nothing.
    let gone = [pair(&clips[0], &clip("a/1-77-A.wav", "a")), pair(&clips[0], &clips[0])];
    assert!(esc10().assign(&clips, &gone).joined.is_none());
}

#[test]
fn copies_in_folds_of_different_sides_are_on_the_test_side_before_val_before_train() {
    let mut clips = class("a", &[1, 2, 3, 4, 5, 6]);
    for (clip, fold) in clips.iter_mut().zip(["train", "test", "val", "train", "val", "test"]) {
        clip.fold = Some(fold.into());
    }
    let copies = [pair(&clips[0], &clips[1]), pair(&clips[2], &clips[3])];
    let Assigned { rows, warnings, .. } = esc10().assign(&clips, &copies);
    let sides: Vec<_> = rows.iter().map(|row| row.side.word()).collect();
    assert_eq!(sides, ["test", "test", "val", "val", "val", "test"]);
    assert!(warnings[0].contains("(2): `1` (test), `3` (val)"), "{warnings:?}");
    // A recording whose own clips are in folds of different sides is refused, whatever its copies are.
    clips[4].recording_id = Some("6".into());
    clips[5].recording_id = Some("6".into());
    let problem = esc10().assign(&clips, &copies).problem.unwrap();
    assert_eq!(problem.to_string(), "recording `6` has clips in the folds `val` and `test`");
}

#[test]
fn copies_join_sites_and_days_and_never_part_them() {
    let mut clips: Vec<_> = (0..12).map(|n| at_site((n % 2, n, n / 2 + 1))).collect();
    let copies = [pair(&clips[0], &clips[11])];
    let split = Split { group_by: GroupBy::Site, ..Split::default() };
    let Assigned { rows, problem, joined, .. } = split.assign(&clips, &copies);
    assert!(problem.is_none() && joined.is_some());
    assert_eq!((&*rows[0].group_id, &rows[0].side), ("1 + 6", &rows[11].side));
    // Sites in folds of different sides are still refused, unless it is a copy that joins them.
    (clips[0].fold, clips[11].fold) = (Some("train".into()), Some("test".into()));
    let Assigned { rows, problem, warnings, .. } = split.assign(&clips, &copies);
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!([rows[0].side, rows[1].side, rows[10].side, rows[11].side], [Side::Test; 4]);
    assert!(warnings.iter().any(|told| told.contains("`1 + 6` (test)")), "{warnings:?}");
    clips[1].fold = Some("val".into());
    let problem = split.assign(&clips, &copies).problem.unwrap().to_string();
    assert_eq!(problem, "site `1` has clips in the folds `train` and `val`");

    let by_time = Split { by: By::Time, group_by: GroupBy::Day, ..Split::default() };
    let clips = days(20);
    let rows = by_time.assign(&clips, &[pair(&clips[0], &clips[39])]).rows;
    assert_eq!((rows[0].side, rows[39].side), (Side::Train, Side::Train));
}

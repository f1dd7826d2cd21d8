use super::*;
use crate::key::{ClipId, ContentHash};
use crate::tables::schema::{ValueType, Vectors};
use crate::tables::{EmbedReader, Patches};
use std::collections::BTreeMap;
use std::fs;

fn clip(n: u32) -> ClipId {
    ClipId::of_file(&ContentHash::of_reader(&n.to_le_bytes()[..]).unwrap())
}

/// A unit whose key depends on `made`, with `rows` rows of values that depend on it too.
fn unit(n: u32, variant: u32, made: u32) -> UnitEntry {
    let key = KeyHasher::new("test").u64(n.into()).u64(variant.into()).u64(made.into()).finish();
    UnitEntry { unit: Unit { clip_id: clip(n), variant }, key: UnitKey::of(key), recipe: format!("[{made}]").into() }
}

fn rows(entry: &UnitEntry, first: u32, count: u32) -> Patches {
    let start_s = (first..first + count).map(|k| f64::from(k) * 0.48).collect();
    let value = f32::from(entry.key.as_bytes()[0]);
    Patches {
        first,
        start_s,
        embeddings: (first * 3..(first + count) * 3).map(|k| (k % 2000) as f32 + value).collect(),
    }
}

fn format() -> EmbedFormat {
    let vectors = Vectors { dim: 3, values: ValueType::Float32 };
    EmbedFormat { embedder: "test-v1".into(), vectors, metadata: vec![("who", "me".into())] }
}

/// Computes what is missing of `units` and commits them; gives how many were computed.
fn update(layout: &Layout, units: &[UnitEntry]) -> (usize, Committed) {
    let present = EmbedTable::open(layout, "test-v1").unwrap().present();
    let mut writer = EmbedWriter::new(&EmbedTable::staging(layout, "test-v1"), format());
    let missing: Vec<_> = units.iter().filter(|entry| !present.contains(&entry.key)).collect();
    for entry in &missing {
        writer.write([((*entry).clone(), rows(entry, 0, 3))]).unwrap();
    }
    writer.finish().unwrap();
    let wanted = units.iter().map(|entry| entry.key).collect();
    (missing.len(), EmbedTable::open(layout, "test-v1").unwrap().commit(&format(), &wanted, false, &|| false).unwrap())
}

/// A table of ten units.
fn filled() -> (tempfile::TempDir, Layout, Vec<UnitEntry>) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..10).map(|n| unit(n, 0, 1)).collect();
    update(&layout, &units);
    (dir, layout, units)
}

/// The rows of the table, whole and in the order of their units.
fn content(layout: &Layout) -> BTreeMap<Unit, Patches> {
    let mut units = BTreeMap::<Unit, Patches>::new();
    for run in EmbedReader::open(layout).unwrap() {
        let (unit, rows) = run.unwrap();
        units.entry(unit).or_insert_with(|| Patches { first: rows.first, ..Patches::default() }).append(&rows);
    }
    units
}

fn expected(units: &[UnitEntry]) -> BTreeMap<Unit, Patches> {
    units.iter().map(|entry| (entry.unit, rows(entry, 0, 3))).collect()
}

fn parts_in(folder: &Path) -> Vec<PathBuf> {
    files_below(folder)
        .unwrap()
        .into_iter()
        .map(|(_, path)| path)
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect()
}

#[test]
fn only_what_is_missing_is_computed_and_the_table_is_exactly_what_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let mut units: Vec<_> = (0..20).flat_map(|n| [unit(n, 0, 1), unit(n, 1, 1)]).collect();
    assert_eq!(update(&layout, &units).0, 40);
    let (computed, again) = update(&layout, &units);
    assert_eq!((computed, again.live, again.retired), (0, 40, 0));
    assert!(content(&layout) == expected(&units));

    // One clip more, one clip less, and one variant made otherwise.
    let before = units.clone();
    units.retain(|entry| entry.unit.clip_id != clip(3));
    units.push(unit(50, 0, 1));
    *units.iter_mut().find(|entry| entry.unit == (Unit { clip_id: clip(7), variant: 1 })).unwrap() = unit(7, 1, 2);
    let (computed, changed) = update(&layout, &units);
    assert_eq!((computed, changed.retired, changed.returned, changed.live), (2, 3, 0, 39));
    assert!(content(&layout) == expected(&units));
    assert!(!parts_in(&layout.retired().join(NAME)).is_empty());

    // What was retired comes back by its key, and nothing is computed.
    let (computed, back) = update(&layout, &before);
    assert_eq!((computed, back.returned, back.retired), (0, 3, 2));
    assert!(content(&layout) == expected(&before));
    assert_ne!(changed.rows, back.rows);
}

#[test]
fn many_small_parts_become_few() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..20).map(|n| unit(n, 0, 1)).collect();
    for n in 1..=units.len() {
        update(&layout, &units[..n]);
        assert!(parts_in(&layout.table(NAME)).len() < MANY, "after {n}");
    }
    assert!(content(&layout) == expected(&units));
    assert!(parts_in(&layout.retired().join(NAME)).is_empty(), "merging retires nothing");
}

#[test]
fn what_an_interrupted_run_has_computed_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..10).map(|n| unit(n, 0, 1)).collect();
    let staging = EmbedTable::staging(&layout, "test-v1");
    let mut writer = EmbedWriter::new(&staging, format());
    writer.write(units[..4].iter().map(|entry| (entry.clone(), rows(entry, 0, 3)))).unwrap();
    writer.finish().unwrap();
    // Left by a crash: a part that was being written, and one that was damaged.
    fs::write(staging.join(".7.tmp"), "half a part").unwrap();
    fs::write(staging.join("part-0123456789abcdef.parquet"), "no part at all").unwrap();
    assert_eq!(update(&layout, &units).0, 6);
    assert!(content(&layout) == expected(&units));
    assert!(!staging.exists());
}

#[test]
fn a_commit_that_was_cut_off_is_completed_or_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..10).map(|n| unit(n, 0, 1)).collect();
    update(&layout, &units[..5]);
    let old = fs::read(layout.embed_index()).unwrap();
    update(&layout, &units);
    let next = layout.embed_index().with_extension("parquet.next");
    // Between the folder's change and the index's.
    fs::rename(layout.embed_index(), &next).unwrap();
    fs::write(layout.embed_index(), &old).unwrap();
    assert_eq!(content(&layout).len(), 10, "a reader does not wait for the repair");
    assert_eq!(update(&layout, &units).0, 0);
    // Before the folder's change: the next index names parts that are not there.
    let new = fs::read(layout.embed_index()).unwrap();
    update(&layout, &units[..3]);
    fs::write(&next, &new).unwrap();
    assert_eq!(content(&layout).len(), 3);
    // While the next index was written.
    fs::write(&next, &new[..new.len() / 2]).unwrap();
    assert_eq!(update(&layout, &units[..3]).0, 0);
    assert!(!next.exists());
}

#[test]
fn damaged_and_deleted_parts_are_noticed_and_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..10).map(|n| unit(n, 0, 1)).collect();
    let part = |layout: &Layout| parts_in(&layout.table(NAME)).remove(0);
    for damage in 0..3 {
        update(&layout, &units);
        let path = part(&layout);
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            0 => fs::remove_file(&path).unwrap(),
            1 => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            _ => {
                bytes[20] ^= 1;
                fs::write(&path, &bytes).unwrap();
            }
        }
        let error = EmbedReader::open(&layout).unwrap().find_map(Result::err).unwrap();
        assert!(matches!(error.kind, crate::DatasetErrorKind::Damaged), "{error}");
        assert_eq!(EmbedTable::open(&layout, "test-v1").unwrap().damaged().len(), 1);
        assert_eq!(update(&layout, &units).0, 10);
        assert!(content(&layout) == expected(&units));
    }
}

#[test]
fn a_lost_or_damaged_index_is_made_again_from_the_parts() {
    let (_dir, layout, units) = filled();
    let index = fs::read(layout.embed_index()).unwrap();
    for damage in [None, Some(&index[..index.len() / 2]), Some(b"nonsense"), Some(b"")] {
        match damage {
            None => fs::remove_file(layout.embed_index()).unwrap(),
            Some(bytes) => fs::write(layout.embed_index(), bytes).unwrap(),
        }
        assert_eq!(EmbedTable::open(&layout, "test-v1").unwrap().damaged().len(), 1);
        assert_eq!(update(&layout, &units).0, 0);
        assert!(content(&layout) == expected(&units));
    }
}

#[test]
fn a_commit_that_is_stopped_changes_nothing() {
    let (_dir, layout, units) = filled();
    let wanted = units[..3].iter().map(|entry| entry.key).collect();
    let stopped = EmbedTable::open(&layout, "test-v1").unwrap().commit(&format(), &wanted, false, &|| true);
    assert!(stopped.is_err());
    assert!(content(&layout) == expected(&units));
    assert_eq!(update(&layout, &units[..3]).1.retired, 7);
}

#[test]
fn the_rows_of_another_embedder_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..5).map(|n| unit(n, 0, 1)).collect();
    update(&layout, &units);
    let other = EmbedFormat { embedder: "other".into(), ..format() };
    EmbedTable::open(&layout, "other").unwrap().commit(&other, &HashSet::new(), false, &|| false).unwrap();
    assert_eq!(content(&layout).len(), 0);
    assert_eq!(parts_in(&layout.table(NAME)).len(), 1, "an empty part says what the columns are");
    assert_eq!(update(&layout, &units).0, 0, "they come back");
    assert!(content(&layout) == expected(&units));
}

#[test]
fn long_clips_have_parts_of_their_own_and_vanish_when_they_fail() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let mut writer = EmbedWriter::new(&EmbedTable::staging(&layout, "test-v1"), format());
    let entry = |n| unit(n, 0, 1);
    writer.write_long(&entry(3), rows(&entry(3), 0, 1500)).unwrap();
    writer.write([(entry(1), rows(&entry(1), 0, 3))]).unwrap();
    writer.write_long(&entry(2), rows(&entry(2), 0, 4)).unwrap();
    writer.write_long(&entry(3), rows(&entry(3), 1500, 2)).unwrap();
    writer.keep_long(clip(3)).unwrap();
    writer.drop_long(clip(2)).unwrap();
    writer.drop_long(clip(9)).unwrap();
    assert_eq!(writer.finish().unwrap().len(), 2);
    let wanted = (0..5).map(|n| entry(n).key).collect();
    EmbedTable::open(&layout, "test-v1").unwrap().commit(&format(), &wanted, false, &|| false).unwrap();
    let lengths: BTreeMap<_, _> = content(&layout).into_iter().map(|(unit, rows)| (unit.clip_id, rows.len())).collect();
    assert_eq!(lengths, BTreeMap::from([(clip(1), 3), (clip(3), 1502)]));
}

#[test]
fn a_unit_that_retires_under_two_keys_comes_back_under_either() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let made = |made| (0..12).map(|n| unit(n, 1, made)).collect::<Vec<_>>();
    update(&layout, &made(1));
    // A run that was cut off has computed other rows for the same units.
    let mut writer = EmbedWriter::new(&EmbedTable::staging(&layout, "test-v1"), format());
    for entry in made(2) {
        writer.write([(entry.clone(), rows(&entry, 0, 3))]).unwrap();
    }
    writer.finish().unwrap();
    // Some of both stay where they are, so that the parts are parcelled out.
    let kept: Vec<_> = made(3)[..10].iter().chain(&made(1)[10..11]).chain(&made(2)[11..]).cloned().collect();
    assert_eq!(update(&layout, &kept).0, 10);
    assert!(content(&layout) == expected(&kept));
    for back in [1, 2, 3, 1] {
        let (computed, _) = update(&layout, &made(back));
        assert!(computed == 0 || back == 3, "{computed} computed again for {back}");
        assert!(content(&layout) == expected(&made(back)), "{back}");
    }
}

#[test]
fn what_two_renames_have_left_is_put_back() {
    let (_dir, layout, units) = filled();
    let old = layout.staging("embed.old");
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    // Killed between the first rename and the second, then behind the second.
    fs::rename(layout.table(NAME), &old).unwrap();
    assert_eq!(update(&layout, &units).0, 0);
    fs::create_dir_all(old.join("embedder=test-v1")).unwrap();
    assert_eq!(update(&layout, &units).0, 0);
    assert!(!old.exists() && content(&layout) == expected(&units));
}

#[test]
fn a_commit_that_was_cut_off_counts_in_a_copy_with_other_times() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let units: Vec<_> = (0..10).map(|n| unit(n, 0, 1)).collect();
    update(&layout, &units[..5]);
    let old = fs::read(layout.embed_index()).unwrap();
    update(&layout, &units);
    fs::rename(layout.embed_index(), layout.embed_index().with_extension("parquet.next")).unwrap();
    fs::write(layout.embed_index(), &old).unwrap();
    for part in parts_in(&layout.table(NAME)) {
        let later = fs::metadata(&part).unwrap().modified().unwrap() + std::time::Duration::from_mins(1);
        fs::File::options().write(true).open(&part).unwrap().set_modified(later).unwrap();
    }
    assert_eq!(update(&layout, &units).0, 0);
    assert!(content(&layout) == expected(&units));
}

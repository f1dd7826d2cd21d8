use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::memory::InMemory;

use super::*;
use crate::DatasetErrorKind;
use crate::runtime::block_on;
use crate::snapshot::Snapshot;
use crate::store::{Labels, Place};

/// A bucket, and the copies that machines have of it.
struct World {
    bucket: Arc<InMemory>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { bucket: Arc::default(), dir: tempfile::tempdir().unwrap() }
    }

    fn machine(&self, name: &str) -> Mirror {
        let store = Store::over(Place::parse("s3://memory").unwrap(), self.bucket.clone());
        Mirror::open(Arc::new(store), Layout::new(self.dir.path().join(name))).unwrap()
    }
}

fn write(mirror: &Mirror, name: &str, text: &str) {
    let path = mirror.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Another time, even where clocks are coarse.
    let later = std::time::UNIX_EPOCH
        + std::time::Duration::from_nanos(text.len() as u64 * 1000 + u64::from(text.as_bytes()[0]));
    // Another file, as everything is written: the one before may have a second name.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
}

fn read(mirror: &Mirror, name: &str) -> Option<String> {
    fs::read_to_string(mirror.path(name)).ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is compared with the times that the store in memory gives its objects"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn pull(mirror: &Mirror) -> Pulled {
    block_on(mirror.pull(&AREAS, &|_, _| {})).unwrap()
}

fn push(mirror: &Mirror) -> Pushed {
    block_on(mirror.push_all(now())).unwrap()
}

/// What a reader of the bucket finds: the content of each file of the tables that the latest snapshot names.
fn tables(mirror: &Mirror) -> Vec<String> {
    let read = |name: &str| block_on(mirror.store.read(name, None)).unwrap();
    let latest = Snapshot::parse(&read(SNAPSHOT).unwrap(), SNAPSHOT).unwrap();
    let parts = latest.tables.values().flatten();
    parts.map(|part| String::from_utf8(read(&part.path).unwrap()).unwrap()).collect()
}

/// The names of all files of tables in the bucket.
fn listed(mirror: &Mirror) -> Vec<String> {
    let names = |area: Area| block_on(mirror.store.list_below(area.name())).unwrap().objects;
    let mut names: Vec<String> =
        [Area::Snapshots, Area::Tables, Area::Index].into_iter().flat_map(names).map(|object| object.uri).collect();
    names.sort();
    names
}

#[test]
fn what_one_machine_made_another_goes_on_with() {
    let world = World::new();
    let a = world.machine("a");
    assert_eq!(pull(&a), Pulled::default());
    for (name, text) in [
        ("tables/embed/part-1.parquet", "one"),
        ("index/embed.json", "1"),
        ("models/candidate.json", "m"),
        (".last_run.json", "l"),
    ] {
        write(&a, name, text);
    }
    write(&a, "tables/.staging.tmp", "hidden");
    assert_eq!(push(&a).files, 5, "the snapshot, and the two files that it names");
    assert_eq!(push(&a), Pushed::default(), "nothing is sent twice");

    let b = world.machine("b");
    assert_eq!(pull(&b).files, 5);
    assert_eq!(pull(&b), Pulled::default(), "nothing is fetched twice");
    assert_eq!(read(&b, ".last_run.json").as_deref(), Some("l"));
    fs::remove_file(b.path("tables/embed/part-1.parquet")).unwrap();
    write(&b, "tables/embed/part-2.parquet", "two");
    write(&b, "index/embed.json", "2");
    assert_eq!(push(&b).files, 3);
    assert_eq!(tables(&b), ["two"]);

    // The first machine's process was another one meanwhile.
    let a = world.machine("a");
    let pulled = pull(&a);
    assert_eq!((pulled.files, pulled.removed), (3, 1));
    assert_eq!(read(&a, "index/embed.json").as_deref(), Some("2"));
    assert_eq!(read(&a, "tables/embed/part-1.parquet"), None);
}

#[test]
fn what_was_not_sent_is_kept_unless_the_bucket_has_moved_on() {
    let world = World::new();
    let (a, b) = (world.machine("a"), world.machine("b"));
    write(&a, "index/embed.json", "1");
    push(&a);
    pull(&b);
    // Killed before it could send.
    write(&a, "tables/embed/part-1.parquet", "one");
    write(&a, "index/embed.json", "22");
    write(&a, "runs/1/run.json", "r");
    pull(&a);
    assert_eq!(read(&a, "index/embed.json").as_deref(), Some("22"));
    assert!(read(&a, "tables/embed/part-1.parquet").is_some());

    write(&b, "index/embed.json", "333");
    push(&b);
    let error = block_on(a.push_all(now())).unwrap_err();
    assert_eq!(tables(&b), Vec::<String>::new(), "what was sent for nothing is not seen");
    assert!(matches!(error.kind, DatasetErrorKind::Conflict), "{error}");
    pull(&a);
    assert_eq!(read(&a, "index/embed.json").as_deref(), Some("333"));
    assert_eq!(read(&a, "tables/embed/part-1.parquet"), None, "it is made again");
    assert!(read(&a, "runs/1/run.json").is_some(), "a record is never thrown away");
    push(&a);
}

#[test]
fn a_copy_without_its_record_is_compared_not_trusted() {
    let world = World::new();
    let a = world.machine("a");
    write(&a, "index/embed.json", "1");
    write(&a, "tables/x/part-1.parquet", "one");
    push(&a);
    fs::remove_file(a.path(".mirror.json")).unwrap();
    write(&a, "tables/x/part-1.parquet", "bad");
    let a = world.machine("a");
    assert_eq!(pull(&a).files, 1, "the snapshot; the files that it names are here");
    assert_eq!(read(&a, "tables/x/part-1.parquet").as_deref(), Some("one"));
}

#[test]
fn what_a_person_has_decided_is_sent_after_all_though_another_machine_wrote_meanwhile() {
    let world = World::new();
    let (a, b) = (world.machine("a"), world.machine("b"));
    let entry = "journal/corrections/20260301-120000-000_0123456789abcdef.csv";
    write(&a, "index/embed.json", "1");
    push(&a);
    pull(&b);
    // The upload of an import failed, and of a `corrections.csv` of an earlier version.
    write(&a, entry, "a says");
    write(&a, "corrections.csv", "old");
    write(&b, "index/embed.json", "22");
    write(&b, "models/new/model.json", "m");
    push(&b);

    let a = world.machine("a");
    assert_eq!(pull(&a).files, 3);
    assert_eq!(read(&a, entry).as_deref(), Some("a says"));
    assert_eq!(read(&a, "corrections.csv").as_deref(), Some("old"));
    assert_eq!(push(&a).files, 2);
    pull(&b);
    assert_eq!(read(&b, entry).as_deref(), Some("a says"));
}

#[test]
fn entries_of_two_machines_are_merged_and_neither_replaced_nor_removed() {
    let world = World::new();
    let (a, b) = (world.machine("a"), world.machine("b"));
    let [of_a, of_b] = ["00000000000000aa", "00000000000000bb"]
        .map(|hash| format!("journal/corrections/20260301-120000-000_{hash}.csv"));
    write(&a, &of_a, "a says");
    write(&b, &of_b, "b says");
    push(&a);
    push(&b);
    for machine in [&a, &b] {
        pull(machine);
        assert_eq!([&of_a, &of_b].map(|name| read(machine, name).is_some()), [true, true]);
    }
    // Lost here, it is fetched again; changed here, it does not replace what others have.
    fs::remove_file(a.path(&of_b)).unwrap();
    write(&a, &of_a, "edited by hand");
    assert_eq!(push(&a), Pushed::default());
    pull(&a);
    assert_eq!(read(&a, &of_b).as_deref(), Some("b says"));
    let c = world.machine("c");
    pull(&c);
    assert_eq!(read(&c, &of_a).as_deref(), Some("a says"));
}

#[test]
fn entries_are_sent_even_where_the_rest_is_refused() {
    let world = World::new();
    let (a, b) = (world.machine("a"), world.machine("b"));
    write(&a, "index/embed.json", "1");
    push(&a);
    pull(&b);
    write(&b, "index/embed.json", "22");
    push(&b);
    let entry = "journal/history/20260301-120000-000_0123456789abcdef.json";
    write(&a, entry, "promoted");
    write(&a, "index/embed.json", "333");
    assert!(matches!(block_on(a.push_all(now())).unwrap_err().kind, DatasetErrorKind::Conflict));
    pull(&b);
    assert_eq!(read(&b, entry).as_deref(), Some("promoted"));
}

#[test]
fn a_reader_of_the_bucket_finds_one_state_and_has_a_day_to_read_it() {
    let world = World::new();
    let a = world.machine("a");
    write(&a, "tables/split/part-00000.parquet", "split 1");
    write(&a, "tables/embed/part-1.parquet", "rows 1");
    push(&a);
    let before = listed(&a);
    write(&a, "tables/split/part-00000.parquet", "split 22");
    write(&a, "tables/embed/part-2.parquet", "rows 22");
    // Sent while the engine works: it has not said yet that these belong together.
    block_on(a.push()).unwrap();
    assert_eq!(tables(&a), ["rows 1", "split 1"]);
    fs::remove_file(a.path("tables/embed/part-1.parquet")).unwrap();
    push(&a);
    assert_eq!(tables(&a), ["rows 22", "split 22"]);
    assert!(before.iter().all(|name| listed(&a).contains(name)), "who has read the earlier snapshot reads on");

    let b = world.machine("b");
    pull(&b);
    write(&b, "runs/1/run.json", "r");
    write(&b, "index/x.json", "1");
    let later = now() + TimeDelta::hours(25);
    assert_eq!(block_on(b.push_all(later)).unwrap().removed, 2);
    assert_eq!(tables(&b), ["rows 22", "split 22"]);
    // The machine that sent what is gone now makes it anew, and sends it again.
    pull(&a);
    write(&a, "tables/split/part-00000.parquet", "split 1");
    push(&a);
    assert_eq!(tables(&a), ["rows 22", "split 1"]);
}

#[test]
fn a_file_that_the_bucket_has_lost_is_left_to_the_next_run() {
    let world = World::new();
    let a = world.machine("a");
    write(&a, "tables/split/part-00000.parquet", "split");
    write(&a, "index/split.json", "1");
    push(&a);
    let lost = listed(&a).into_iter().find(|name| name.contains("/split/")).unwrap();
    block_on(a.store.delete(&lost)).unwrap();
    let b = world.machine("b");
    assert_eq!(pull(&b).files, 2);
    assert_eq!(
        (read(&b, "tables/split/part-00000.parquet"), read(&b, "index/split.json").as_deref()),
        (None, Some("1"))
    );
    write(&b, "tables/split/part-00000.parquet", "split");
    write(&b, "index/split.json", "22");
    push(&b);
    assert_eq!(tables(&b), ["split"]);
}

#[test]
fn the_tables_of_an_earlier_version_become_a_snapshot() {
    let world = World::new();
    let old = world.machine("old");
    for (name, text) in [("tables/split/part-00000.parquet", "split"), ("index/split.json", "1")] {
        block_on(old.store.put(name, text.into(), &Labels::default())).unwrap();
    }
    let a = world.machine("a");
    assert_eq!(pull(&a).files, 2);
    assert_eq!(read(&a, "tables/split/part-00000.parquet").as_deref(), Some("split"));
    let pushed = push(&a);
    assert_eq!((pushed.files, pushed.removed), (3, 2), "a pattern over the old folder would find rows that grow old");
    assert_eq!(tables(&a), ["split"]);
    assert!(listed(&a).iter().all(|name| name.starts_with("snapshots/")), "{:?}", listed(&a));
    let b = world.machine("b");
    assert_eq!(pull(&b).files, 3);
}

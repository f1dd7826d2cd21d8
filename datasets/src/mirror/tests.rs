use std::fs;

use object_store::memory::InMemory;

use super::*;
use crate::DatasetErrorKind;
use crate::runtime::block_on;
use crate::store::Place;

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
    fs::write(&path, text).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
}

fn read(mirror: &Mirror, name: &str) -> Option<String> {
    fs::read_to_string(mirror.path(name)).ok()
}

fn pull(mirror: &Mirror) -> Pulled {
    block_on(mirror.pull(&AREAS, &|_, _| {})).unwrap()
}

fn push(mirror: &Mirror) -> Pushed {
    block_on(mirror.push_all()).unwrap()
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
    assert_eq!(push(&a).files, 4);
    assert_eq!(push(&a), Pushed::default(), "nothing is sent twice");

    let b = world.machine("b");
    assert_eq!(pull(&b).files, 4);
    assert_eq!(pull(&b), Pulled::default(), "nothing is fetched twice");
    assert_eq!(read(&b, ".last_run.json").as_deref(), Some("l"));
    fs::remove_file(b.path("tables/embed/part-1.parquet")).unwrap();
    write(&b, "tables/embed/part-2.parquet", "two");
    write(&b, "index/embed.json", "2");
    assert_eq!(push(&b), Pushed { files: 2, bytes: 4, removed: 1 });

    // The first machine's process was another one meanwhile.
    let a = world.machine("a");
    assert_eq!(pull(&a), Pulled { files: 2, bytes: 4, removed: 1 });
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
    let error = block_on(a.push()).unwrap_err();
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
    assert_eq!(pull(&a), Pulled { files: 1, bytes: 3, removed: 0 });
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
    assert_eq!(pull(&a), Pulled { files: 2, bytes: 3, removed: 0 });
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
    assert!(matches!(block_on(a.push_all()).unwrap_err().kind, DatasetErrorKind::Conflict));
    pull(&b);
    assert_eq!(read(&b, entry).as_deref(), Some("promoted"));
}

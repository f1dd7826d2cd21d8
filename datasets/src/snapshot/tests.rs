use std::fs;

use super::*;
use crate::files::write_atomic;

const MORNING: &str = "2026-03-01T07:00:00Z";
const NOON: &str = "2026-03-01T12:00:00Z";

struct Root {
    layout: Layout,
    _dir: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { layout: Layout::new(dir.path()), _dir: dir }
    }

    fn write(&self, name: &str, text: &str) {
        write_atomic(&self.layout.root().join(name), text.as_bytes()).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.layout.root().join(name)).ok()
    }

    fn filled() -> Self {
        let root = Self::new();
        root.write("tables/split/part-00000.parquet", "split 1");
        root.write("tables/embed/embedder=x/part-0000000000000001.parquet", "rows 1");
        root.write("index/split.json", "{}");
        root.write("index/tracks.db", "of this machine");
        root
    }
}

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

#[test]
fn a_snapshot_names_each_file_by_its_content_and_stays_readable() {
    let root = Root::filled();
    let first = Snapshot::take(&root.layout, MORNING).unwrap();
    assert_eq!(first.version, 1);
    assert!(first.tables.keys().eq(["embed", "split"]));
    assert_eq!(first.index.len(), 1, "the database of tracks belongs to this machine");
    let split = &first.tables["split"][0];
    assert!(split.path.starts_with("snapshots/tables/split/part-") && split.path.ends_with(".parquet"), "{split:?}");
    assert!(first.tables["embed"][0].path.starts_with("snapshots/tables/embed/embedder=x/part-"));
    assert_eq!(Snapshot::take(&root.layout, NOON).unwrap(), first, "nothing has changed");

    root.write("tables/split/part-00000.parquet", "split 2");
    let second = Snapshot::take(&root.layout, NOON).unwrap();
    assert_eq!(second.version, 2);
    assert_eq!(second.tables["embed"], first.tables["embed"]);
    assert_eq!(root.read(&split.path).as_deref(), Some("split 1"), "the earlier version can be read");
    assert_eq!(root.read(&second.tables["split"][0].path).as_deref(), Some("split 2"));
    assert_eq!(second.superseded, [Superseded { path: split.path.clone(), since: NOON.to_owned() }]);
    assert!(split.is_whole(root.layout.root()).unwrap());

    // What comes back is not on its way out any more.
    root.write("tables/split/part-00000.parquet", "split 1");
    let third = Snapshot::take(&root.layout, NOON).unwrap();
    assert_eq!(third.tables, first.tables);
    assert!(third.superseded.iter().all(|old| old.path != split.path));
}

#[test]
fn a_file_stays_for_a_day_and_as_long_as_a_model_names_it() {
    let root = Root::filled();
    let first = Snapshot::take(&root.layout, MORNING).unwrap();
    let [of_split, of_index] = [&first.tables["split"][0].path, &first.index[0].path].map(Clone::clone);
    first.clone().of_tables().write(&root.layout.model("m").join(SNAPSHOT_FILE)).unwrap();
    root.write("tables/split/part-00000.parquet", "split 2");
    root.write("index/split.json", "{\"a\": 1}");
    Snapshot::take(&root.layout, NOON).unwrap();

    assert_eq!(vacuum(&root.layout, at("2026-03-02T11:59:59Z")).unwrap(), 0);
    assert_eq!(vacuum(&root.layout, at("2026-03-02T12:00:01Z")).unwrap(), 1, "no model needs the index");
    assert_eq!((root.read(&of_index), root.read(&of_split).is_some()), (None, true));
    let unused = unused(&root.layout, at("2026-03-02T12:00:01Z"), &|model| model != "m").unwrap();
    assert_eq!(unused, std::slice::from_ref(&of_split));
    fs::remove_dir_all(root.layout.model("m")).unwrap();
    assert_eq!(vacuum(&root.layout, at("2026-03-02T12:00:01Z")).unwrap(), 1);
    assert_eq!(root.read(&of_split), None);
    assert_eq!(root.read("tables/split/part-00000.parquet").as_deref(), Some("split 2"));
}

#[test]
fn tables_and_index_become_what_a_snapshot_says() {
    let root = Root::filled();
    let first = Snapshot::take(&root.layout, MORNING).unwrap();
    assert!(!first.is_outdated(&root.layout).unwrap());
    root.write("tables/split/part-00000.parquet", "something else");
    root.write("tables/audit/part-00000.parquet", "not of it");
    fs::remove_file(root.layout.root().join("index/split.json")).unwrap();
    assert!(first.is_outdated(&root.layout).unwrap());
    assert_eq!(first.restore(&root.layout).unwrap(), 1);
    assert_eq!(root.read("tables/split/part-00000.parquet").as_deref(), Some("split 1"));
    assert_eq!(root.read("index/split.json").as_deref(), Some("{}"));
    assert!(!root.layout.table("audit").exists());
    assert!(root.read("index/tracks.db").is_some());
    assert!(!first.is_outdated(&root.layout).unwrap());
}

#[test]
fn a_strange_snapshot_is_refused() {
    let root = Root::filled();
    let mut snapshot = Snapshot::take(&root.layout, MORNING).unwrap();
    let text = |snapshot: &Snapshot| serde_json::to_vec(snapshot).unwrap();
    for (path, name) in [
        ("snapshots/../../etc/passwd", "index/split.json"),
        ("snapshots/index/x", "tables/../../x"),
        ("extracted_audio/x", "index/x"),
        ("snapshots/index/x", "models/production.json"),
        ("/snapshots/index/x", "index/x"),
    ] {
        snapshot.index = vec![Part { path: path.to_owned(), name: name.to_owned(), size_bytes: 1 }];
        assert!(Snapshot::parse(&text(&snapshot), "x").is_err(), "{path} {name}");
    }
    snapshot.index.clear();
    snapshot.schema_version = 2;
    let error = Snapshot::parse(&text(&snapshot), "x").unwrap_err().kind.to_string();
    assert!(error.contains("later version"), "{error}");
    // One that cannot be read is taken anew.
    root.write(SNAPSHOT, "{ no");
    assert!(Snapshot::read(&root.layout).is_err());
    assert_eq!(Snapshot::take(&root.layout, NOON).unwrap().version, 1);
}

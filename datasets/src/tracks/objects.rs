//! Rows whose objects were removed or moved by name, past the outbox.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::Tracks;
use crate::DatasetError;
use crate::removals::Removals;

/// Where an object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InBucket<'a> {
    /// The bucket, as [`Store::identity`](crate::store::Store::identity) tells it.
    pub bucket: &'a str,
    /// The object's name in it.
    pub name: &'a str,
}

pub(super) fn withdrawn(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT key FROM tracks WHERE withdrawn AND path IS NOT NULL";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

impl Tracks {
    /// Forgets the recording that is called `name`, here or in the bucket, and its place in the outbox.
    pub fn forget_recording(&self, name: &str) -> Result<(), DatasetError> {
        self.write(|connection| {
            let of = "(SELECT key FROM tracks WHERE key = ?1 OR s3_object_key = ?1)";
            connection.execute(&format!("DELETE FROM outbox WHERE key IN {of}"), [name])?;
            connection.execute("DELETE FROM tracks WHERE key = ?1 OR s3_object_key = ?1", [name]).map(drop)
        })
    }

    /// Takes what was removed off the outbox: copies of it that are here are not uploaded unless they are taken in again.
    pub fn withdraw_removed(&self, removals: &Removals, now_ms: i64) -> Result<(), DatasetError> {
        if removals.is_empty() {
            return Ok(());
        }
        self.write(|connection| {
            for removal in removals.iter() {
                let of = "hash = ?1 AND class = ?2 AND s3_object_key IS NULL";
                let sql = format!("DELETE FROM outbox WHERE key IN (SELECT key FROM tracks WHERE {of})");
                connection.prepare(&sql)?.execute([&removal.blake3, &removal.class])?;
                let sql = format!("UPDATE tracks SET withdrawn = 1, updated_ms = ?3 WHERE {of} AND NOT withdrawn");
                connection.prepare(&sql)?.execute(params![removal.blake3, removal.class, now_ms])?;
            }
            Ok(())
        })
    }

    /// Recordings in the data root whose objects were removed from the bucket by name.
    pub fn withdrawn(&self) -> Result<BTreeSet<String>, DatasetError> {
        self.read(withdrawn)
    }

    /// The object called `name` is not in the bucket any more: the same bytes may be taken in again, and are uploaded again.
    pub fn forget_object(&self, name: &str, now_ms: i64) -> Result<(), DatasetError> {
        self.write(|connection| {
            connection.execute("DELETE FROM tracks WHERE s3_object_key = ?1 AND path IS NULL", [name])?;
            let sql =
                "UPDATE tracks SET s3_object_key = NULL, s3_bucket = NULL, updated_ms = ?2 WHERE s3_object_key = ?1";
            connection.execute(sql, params![name, now_ms]).map(drop)
        })
    }

    /// The object called `old` is called `new` now. A file in the data root keeps its name, and so does the row that stands for it.
    pub fn move_object(&self, old: &str, new: &str, now_ms: i64) -> Result<(), DatasetError> {
        self.write(|connection| {
            let sql = "UPDATE tracks SET s3_object_key = ?2, updated_ms = ?3,
                       key = CASE WHEN path IS NULL AND NOT EXISTS (SELECT 1 FROM tracks WHERE key = ?2) THEN ?2 ELSE key END
                       WHERE s3_object_key = ?1";
            connection.execute(sql, params![old, new, now_ms])?;
            // Of two rows that stand for one object alone, one is enough.
            let sql = "DELETE FROM tracks WHERE s3_object_key = ?1 AND path IS NULL AND key <> ?1
                       AND EXISTS (SELECT 1 FROM tracks WHERE key = ?1)";
            connection.execute(sql, [new]).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Incoming, LocalCopy, Reserved, Upload};
    use super::*;
    use crate::key::ContentHash;
    use crate::layout::{ClassName, Layout};
    use crate::removals::{Removal, RemovalAction};

    #[test]
    fn what_becomes_of_an_object_is_known_whether_or_not_a_copy_is_here() {
        let dir = tempfile::tempdir().unwrap();
        let tracks = Tracks::open(&Layout::new(dir.path())).unwrap().0;
        let class = ClassName::new("dog").unwrap();
        for (name, copy) in [("kept", LocalCopy::Kept), ("dropped", LocalCopy::Dropped)] {
            let hash = ContentHash::of_reader(name.as_bytes()).unwrap();
            let keys = [name.to_owned(), format!("{name}_1")];
            let incoming =
                Incoming { class: &class, hash, size_bytes: 1, duration_s: 1.0, keys, now_ms: 5, ingest_id: None };
            let (Reserved::Announced(track), _) = tracks.reserve(&incoming).unwrap() else { panic!("{name} is there") };
            tracks.complete(&track, Upload::Wanted, 6).unwrap();
            tracks.uploaded(name, &InBucket { bucket: "s3://b", name }, copy, 7).unwrap();
            tracks.move_object(name, &format!("new {name}"), 8).unwrap();
        }
        let row = |key: &str| tracks.track(key).unwrap().map(|track| (track.path, track.s3_object_key));
        assert_eq!(row("kept"), Some((Some("kept".to_owned()), Some("new kept".to_owned()))));
        assert_eq!(row("new dropped"), Some((None, Some("new dropped".to_owned()))));
        for name in ["new kept", "new dropped", "unknown"] {
            tracks.forget_object(name, 9).unwrap();
        }
        assert_eq!(row("kept"), Some((Some("kept".to_owned()), None)));
        assert_eq!(tracks.all().unwrap().len(), 1);
        assert_eq!(tracks.missing("s3://b").unwrap(), ["kept"; 0], "its key is none to upload");
    }

    #[test]
    fn another_bucket_lacks_what_the_first_has_and_nobody_lacks_what_was_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let tracks = Tracks::open(&Layout::new(dir.path())).unwrap().0;
        let class = ClassName::new("dog").unwrap();
        let key = "extracted_audio/dog/20260102_030405_a.wav";
        let hash = ContentHash::of_reader(&b"a"[..]).unwrap();
        let keys = [key.to_owned(), format!("{key}_1")];
        let incoming =
            Incoming { class: &class, hash, size_bytes: 1, duration_s: 1.0, keys, now_ms: 5, ingest_id: None };
        let (Reserved::Announced(track), _) = tracks.reserve(&incoming).unwrap() else { panic!("it is there") };
        tracks.complete(&track, Upload::Wanted, 6).unwrap();
        let twin = "extracted_audio/dog/20250102_030405_b.wav";
        tracks.uploaded(key, &InBucket { bucket: "s3://b", name: twin }, LocalCopy::Kept, 7).unwrap();
        assert_eq!(
            (tracks.missing("s3://b").unwrap(), tracks.missing("s3://c").unwrap()),
            (vec![], vec![key.to_owned()])
        );
        // Somebody has removed it.
        tracks.forget_object(twin, 8).unwrap();
        let layout = Layout::new(dir.path());
        let at = (chrono::DateTime::default(), None);
        Removal::note(&layout, RemovalAction::Remove, at, (key, "dog", &hash)).unwrap();
        tracks.withdraw_removed(&Removals::read(&layout).unwrap(), 8).unwrap();
        tracks.enqueue_missing("s3://c", 9).unwrap();
        assert_eq!((tracks.outbox().unwrap().len(), tracks.withdrawn().unwrap().len()), (0, 1));
        tracks.complete(&track, Upload::Wanted, 10).unwrap();
        assert_eq!((tracks.outbox().unwrap().len(), tracks.withdrawn().unwrap().len()), (1, 0));
        tracks.forget_recording(key).unwrap();
        assert_eq!((tracks.outbox().unwrap().len(), tracks.all().unwrap().len()), (0, 0));
    }
}

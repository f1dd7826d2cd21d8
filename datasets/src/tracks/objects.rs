//! Rows whose objects were removed or moved by name, past the outbox.

use rusqlite::params;

use super::Tracks;
use crate::DatasetError;

impl Tracks {
    /// The object called `name` is not in the bucket any more: the same bytes may be taken in again, and are uploaded again.
    pub fn forget_object(&self, name: &str, now_ms: i64) -> Result<(), DatasetError> {
        self.write(|connection| {
            connection.execute("DELETE FROM tracks WHERE s3_object_key = ?1 AND path IS NULL", [name])?;
            let sql = "UPDATE tracks SET s3_object_key = NULL, updated_ms = ?2 WHERE s3_object_key = ?1";
            connection.execute(sql, params![name, now_ms]).map(drop)
        })
    }

    /// The object called `old` is called `new` now. A file in the data root keeps its name, and so does the row that stands for it.
    pub fn move_object(&self, old: &str, new: &str, now_ms: i64) -> Result<(), DatasetError> {
        self.write(|connection| {
            let sql = "UPDATE tracks SET s3_object_key = ?2, updated_ms = ?3,
                       key = CASE WHEN path IS NULL AND NOT EXISTS (SELECT 1 FROM tracks WHERE key = ?2) THEN ?2 ELSE key END
                       WHERE s3_object_key = ?1";
            connection.execute(sql, params![old, new, now_ms]).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Incoming, LocalCopy, Reserved, Upload};
    use super::*;
    use crate::key::ContentHash;
    use crate::layout::{ClassName, Layout};

    #[test]
    fn what_becomes_of_an_object_is_known_whether_or_not_a_copy_is_here() {
        let dir = tempfile::tempdir().unwrap();
        let tracks = Tracks::open(&Layout::new(dir.path())).unwrap().0;
        let class = ClassName::new("dog").unwrap();
        for (name, copy) in [("kept", LocalCopy::Kept), ("dropped", LocalCopy::Dropped)] {
            let hash = ContentHash::of_reader(name.as_bytes()).unwrap();
            let keys = [name.to_owned(), format!("{name}_1")];
            let incoming = Incoming { class: &class, hash, size_bytes: 1, duration_s: 1.0, keys, now_ms: 5 };
            let (Reserved::Announced(track), _) = tracks.reserve(&incoming).unwrap() else { panic!("{name} is there") };
            tracks.complete(&track, Upload::Wanted, 6).unwrap();
            tracks.uploaded(name, copy, 7).unwrap();
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
        assert_eq!(tracks.missing().unwrap(), ["kept"; 0], "its key is none to upload");
    }
}

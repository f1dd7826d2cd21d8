//! Rows of the table of tracks.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::Tracks;
use crate::DatasetError;
use crate::key::{ClipId, ContentHash};
use crate::layout::ClassName;

/// One recording that was taken in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Track {
    /// Where it lies: `extracted_audio/<class>/<YYYYMMDD_HHMMSS>_<name>`, in the data root and in the bucket.
    pub key: String,
    /// Its identity.
    pub id: ClipId,
    /// What it is filed under.
    pub class: String,
    /// Where the copy in the data root lies, if one is kept.
    pub path: Option<String>,
    /// Where the copy in the bucket lies, once it is there.
    pub s3_object_key: Option<String>,
    /// Which bucket that is in, as [`Store::identity`](crate::store::Store::identity) tells it.
    pub s3_bucket: Option<String>,
    /// BLAKE3 of its bytes.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its length in seconds, where that is known.
    pub duration_s: Option<f64>,
    /// How far it is.
    pub status: Status,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its row was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
    /// The call of `ecosight ingest` that took it in, where that is known.
    pub ingest_id: Option<String>,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its file is about to appear.
    Receiving,
    /// It is there.
    Stored,
}

impl Status {
    /// As it stands in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Stored => "stored",
        }
    }
}

/// A recording that was found good and wants to be taken in.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// What it is filed under.
    pub class: &'a ClassName,
    /// BLAKE3 of its bytes.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its length in seconds.
    pub duration_s: f64,
    /// Keys that it may have, the preferred one first.
    pub keys: [String; 2],
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// The call of `ecosight ingest` that takes it in.
    pub ingest_id: Option<&'a str>,
}

/// What was found when a recording was announced.
#[derive(Clone, Debug, PartialEq)]
pub enum Reserved {
    /// The same bytes are stored under this class.
    Present(Track),
    /// Its file is to appear under the key of this row.
    Announced(Track),
}

const COLUMNS: &str = "key, id, class, path, s3_object_key, hash, size_bytes, duration_s, status, created_ms, updated_ms, s3_bucket, ingest_id";

impl Tracks {
    /// Announces a recording, unless the same bytes are there; and the other classes that have the same bytes.
    pub fn reserve(&self, incoming: &Incoming<'_>) -> Result<(Reserved, Vec<String>), DatasetError> {
        self.write(|connection| {
            let (hash, class) = (incoming.hash.to_string(), incoming.class.as_str());
            let others = others(connection, &hash, class)?;
            let sql = format!(
                "SELECT {COLUMNS} FROM tracks WHERE hash = ?1 AND class = ?2 ORDER BY status DESC, created_ms, key LIMIT 1"
            );
            let found = connection.prepare(&sql)?.query_row([&hash, class], row).optional()?;
            if let Some(track) = found {
                let reserved =
                    if track.status == Status::Stored { Reserved::Present(track) } else { Reserved::Announced(track) };
                return Ok((reserved, others));
            }
            let [preferred, with_hash] = &incoming.keys;
            let is_taken: bool =
                connection.query_row("SELECT EXISTS (SELECT 1 FROM tracks WHERE key = ?1)", [preferred], |r| r.get(0))?;
            let track = Track {
                key: if is_taken { with_hash.clone() } else { preferred.clone() },
                id: ClipId::of_file(&incoming.hash),
                class: class.to_owned(),
                path: None,
                s3_object_key: None,
                s3_bucket: None,
                hash: incoming.hash,
                size_bytes: incoming.size_bytes,
                duration_s: Some(incoming.duration_s),
                status: Status::Receiving,
                created_ms: incoming.now_ms,
                updated_ms: incoming.now_ms,
                ingest_id: incoming.ingest_id.map(str::to_owned),
            };
            insert(connection, &track)?;
            Ok((Reserved::Announced(track), others))
        })
    }

    /// Says that the file of `track` is there, synced; and that it is to be uploaded, where `upload` says so. Whether it was not stored before.
    pub fn complete(&self, track: &Track, upload: Upload, now_ms: i64) -> Result<bool, DatasetError> {
        self.write(|connection| {
            let sql = "SELECT status, s3_object_key, s3_bucket FROM tracks WHERE key = ?1";
            let row = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
            let before: Option<(String, Option<String>, Option<String>)> =
                connection.query_row(sql, [&track.key], row).optional()?;
            let (status, s3_object_key, s3_bucket) =
                before.map_or((None, None, None), |(status, key, bucket)| (Some(status), key, bucket));
            let is_waiting = upload == Upload::Wanted && s3_object_key.is_none();
            let path = Some(track.key.clone());
            let stored = Status::Stored;
            let track = &Track { path, s3_object_key, s3_bucket, status: stored, updated_ms: now_ms, ..track.clone() };
            insert(connection, track)?;
            connection.execute("UPDATE tracks SET withdrawn = 0 WHERE key = ?1", [&track.key])?;
            if is_waiting {
                super::outbox::enqueue(connection, &track.key, now_ms)?;
            }
            Ok(status.is_none_or(|status| status != stored.word()))
        })
    }

    /// Gives a recording another key, in the outbox as well.
    pub fn rekey(&self, track: &Track, new: &str, now_ms: i64) -> Result<(), DatasetError> {
        let (old, hash) = (&track.key, track.hash.to_string());
        self.write(|connection| {
            let exists = "SELECT EXISTS (SELECT 1 FROM tracks WHERE key = ?1)";
            let is_taken: bool = connection.query_row(exists, [new], |row| row.get(0))?;
            let rows = if is_taken {
                // Somebody was here before and could not finish, or one is the file and the other the object: the two are one.
                let sql = "UPDATE tracks SET path = coalesce(path, (SELECT ?2 FROM tracks WHERE key = ?1 AND path IS NOT NULL)),
                           s3_object_key = coalesce(s3_object_key, (SELECT s3_object_key FROM tracks WHERE key = ?1)),
                           s3_bucket = coalesce(s3_bucket, (SELECT s3_bucket FROM tracks WHERE key = ?1)), updated_ms = ?3
                           WHERE key = ?2 AND hash = ?4 AND key <> ?1";
                connection.execute(sql, params![old, new, now_ms, hash])?;
                connection.execute("DELETE FROM tracks WHERE key = ?1 AND hash = ?2", [old, &hash])?
            } else {
                let sql =
                    "UPDATE tracks SET key = ?2, path = CASE WHEN path IS NULL THEN NULL ELSE ?2 END, updated_ms = ?3
                           WHERE key = ?1 AND hash = ?4";
                connection.execute(sql, params![old, new, now_ms, hash])?
            };
            if rows > 0 {
                connection.execute("UPDATE OR REPLACE outbox SET key = ?2 WHERE key = ?1", [old.as_str(), new])?;
            }
            Ok(())
        })
    }

    /// The recording under `key`.
    pub fn track(&self, key: &str) -> Result<Option<Track>, DatasetError> {
        let sql = format!("SELECT {COLUMNS} FROM tracks WHERE key = ?1");
        self.read(|connection| connection.prepare(&sql)?.query_row([key], row).optional())
    }

    /// The recording with these bytes that is stored under `class`.
    pub fn present(&self, class: &ClassName, hash: &ContentHash) -> Result<Option<Track>, DatasetError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM tracks WHERE hash = ?1 AND class = ?2 AND status = 'stored' ORDER BY created_ms, key LIMIT 1"
        );
        let of = [hash.to_string(), class.to_string()];
        self.read(|connection| connection.prepare(&sql)?.query_row(of, row).optional())
    }

    /// All recordings, in the order of their keys.
    pub fn all(&self) -> Result<Vec<Track>, DatasetError> {
        self.select("SELECT {} FROM tracks ORDER BY key")
    }

    /// What the call `id` of `ecosight ingest` took in, in the order of the keys.
    pub fn of_ingest(&self, id: &str) -> Result<Vec<Track>, DatasetError> {
        let sql = format!("SELECT {COLUMNS} FROM tracks WHERE ingest_id = ?1 ORDER BY key");
        self.read(|connection| connection.prepare(&sql)?.query_map([id], row)?.collect())
    }

    /// Recordings whose file was announced and not yet confirmed.
    pub fn receiving(&self) -> Result<Vec<Track>, DatasetError> {
        self.select("SELECT {} FROM tracks WHERE status = 'receiving' ORDER BY key")
    }

    fn select(&self, sql: &str) -> Result<Vec<Track>, DatasetError> {
        let sql = sql.replace("{}", COLUMNS);
        self.read(|connection| connection.prepare(&sql)?.query_map([], row)?.collect())
    }

    /// Takes an announcement back whose file never appeared.
    pub fn forget_announced(&self, key: &str) -> Result<(), DatasetError> {
        self.write(|connection| {
            connection.execute("DELETE FROM tracks WHERE key = ?1 AND status = 'receiving'", [key]).map(drop)
        })
    }

    /// All classes that have a recording.
    pub fn classes(&self) -> Result<Vec<String>, DatasetError> {
        let sql = "SELECT DISTINCT class FROM tracks WHERE status = 'stored' ORDER BY class";
        self.read(|connection| connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect())
    }
}

/// Whether a recording is to be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// There is a bucket for it.
    Wanted,
    /// It stays here.
    None,
}

/// Other classes that have the same bytes.
fn others(connection: &Connection, hash: &str, class: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT class FROM tracks WHERE hash = ?1 AND class <> ?2 AND status = 'stored' ORDER BY class";
    connection.prepare(sql)?.query_map([hash, class], |row| row.get(0))?.collect()
}

/// Writes a row in the place of any other with its key.
pub(super) fn insert(connection: &Connection, track: &Track) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO tracks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (key) DO UPDATE SET id = ?2, class = ?3, path = ?4, s3_object_key = ?5, hash = ?6, size_bytes = ?7,
         duration_s = coalesce(?8, duration_s), status = ?9, updated_ms = ?11, s3_bucket = ?12, ingest_id = coalesce(ingest_id, ?13)"
    );
    let Track {
        key,
        id,
        class,
        path,
        s3_object_key,
        s3_bucket,
        hash,
        size_bytes,
        duration_s,
        status,
        created_ms,
        updated_ms,
        ingest_id,
    } = track;
    connection.prepare(&sql)?.execute(params![
        key,
        id.to_string(),
        class,
        path,
        s3_object_key,
        hash.to_string(),
        *size_bytes as i64,
        duration_s,
        status.word(),
        created_ms,
        updated_ms,
        s3_bucket,
        ingest_id
    ])?;
    Ok(())
}

fn row(row: &Row<'_>) -> rusqlite::Result<Track> {
    let text = |error: Box<dyn std::error::Error + Send + Sync>, column| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let (id, hash, status): (String, String, String) = (row.get(1)?, row.get(5)?, row.get(8)?);
    Ok(Track {
        key: row.get(0)?,
        id: id.parse().map_err(|error| text(Box::new(error), 1))?,
        class: row.get(2)?,
        path: row.get(3)?,
        s3_object_key: row.get(4)?,
        hash: hash.parse().map_err(|error| text(Box::new(error), 5))?,
        size_bytes: row.get::<_, i64>(6)? as u64,
        duration_s: row.get(7)?,
        status: if status == Status::Stored.word() { Status::Stored } else { Status::Receiving },
        created_ms: row.get(9)?,
        updated_ms: row.get(10)?,
        s3_bucket: row.get(11)?,
        ingest_id: row.get(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{InBucket, Listed, LocalCopy};
    use super::*;
    use crate::layout::Layout;

    fn tracks() -> (tempfile::TempDir, Tracks) {
        let dir = tempfile::tempdir().unwrap();
        let tracks = Tracks::open(&Layout::new(dir.path())).unwrap().0;
        (dir, tracks)
    }

    fn incoming<'a>(class: &'a ClassName, bytes: &[u8], name: &str) -> Incoming<'a> {
        let key = format!("extracted_audio/{class}/20260102_030405_{name}");
        let keys = [format!("{key}.wav"), format!("{key}_1.wav")];
        Incoming {
            class,
            hash: ContentHash::of_reader(bytes).unwrap(),
            size_bytes: 1,
            duration_s: 1.0,
            keys,
            now_ms: 5,
            ingest_id: Some("call"),
        }
    }

    fn announced(reserved: (Reserved, Vec<String>)) -> Track {
        match reserved.0 {
            Reserved::Announced(track) => track,
            Reserved::Present(track) => panic!("{} is there", track.key),
        }
    }

    #[test]
    fn the_same_bytes_have_one_key_in_a_class_and_names_are_taken_once() {
        let (_dir, tracks) = tracks();
        let [dog, cat] = ["dog", "cat"].map(|name| ClassName::new(name).unwrap());
        let first = announced(tracks.reserve(&incoming(&dog, b"one", "a")).unwrap());
        // Announced only: whoever comes next may finish it, under the same key.
        assert_eq!(announced(tracks.reserve(&incoming(&dog, b"one", "b")).unwrap()).key, first.key);
        assert!(tracks.complete(&first, Upload::None, 6).unwrap());
        assert!(!tracks.complete(&first, Upload::None, 7).unwrap());
        assert!(
            matches!(tracks.reserve(&incoming(&dog, b"one", "c")).unwrap().0, Reserved::Present(t) if t.key == first.key)
        );
        let second = announced(tracks.reserve(&incoming(&dog, b"two", "a")).unwrap());
        assert!(second.key.ends_with("_a_1.wav"), "{}", second.key);
        let (reserved, others) = tracks.reserve(&incoming(&cat, b"one", "a")).unwrap();
        assert!(matches!(reserved, Reserved::Announced(_)) && others == ["dog"]);
        assert_eq!((tracks.classes().unwrap(), tracks.receiving().unwrap().len()), (vec!["dog".to_owned()], 2));
        tracks.forget_announced(&second.key).unwrap();
        tracks.forget_announced(&first.key).unwrap();
        assert_eq!(tracks.all().unwrap().len(), 2);
    }

    #[test]
    fn what_waits_comes_in_order_and_goes_when_it_is_uploaded() {
        let (_dir, tracks) = tracks();
        let dog = ClassName::new("dog").unwrap();
        let keys = ["b", "a"].map(|name| {
            let track = announced(tracks.reserve(&incoming(&dog, name.as_bytes(), name)).unwrap());
            tracks.complete(&track, Upload::Wanted, 10).unwrap();
            track.key
        });
        assert_eq!(tracks.outbox().unwrap().iter().map(|w| w.key.clone()).collect::<Vec<_>>(), keys);
        let first = tracks.due(0, 10, 1).unwrap().remove(0);
        tracks.failed(&first, "no", "forbidden", 10).unwrap();
        assert_eq!(tracks.due(0, 10, 1).unwrap()[0].key, keys[1]);
        assert_eq!(tracks.due(0, 1_000_000, 8).unwrap()[0].attempts, 1);
        assert_eq!(tracks.backlog().unwrap().oldest_ms, Some(10));
        let first = tracks.track(&keys[0]).unwrap().unwrap();
        tracks.rekey(&first, "extracted_audio/dog/20260102_030405_other.wav", 11).unwrap();
        assert!(tracks.waiting(&keys[0]).unwrap().is_none());
        tracks.uploaded(&keys[1], &InBucket { bucket: "s3://b", name: &keys[1] }, LocalCopy::Dropped, 12).unwrap();
        let track = tracks.track(&keys[1]).unwrap().unwrap();
        assert_eq!((track.path, track.s3_object_key), (None, Some(keys[1].clone())));
        assert_eq!(tracks.backlog().unwrap().count, 1);
    }

    #[test]
    fn a_rebuilt_index_has_what_was_found_and_what_came_meanwhile() {
        let (_dir, tracks) = tracks();
        let dog = ClassName::new("dog").unwrap();
        let [gone, found, late] = ["gone", "found", "late"].map(|name| {
            let track = announced(tracks.reserve(&incoming(&dog, name.as_bytes(), name)).unwrap());
            tracks.complete(&track, Upload::Wanted, if name == "late" { 200 } else { 10 }).unwrap();
            tracks.track(&track.key).unwrap().unwrap()
        });
        let there =
            Track { s3_object_key: Some(found.key.clone()), s3_bucket: Some("s3://b".to_owned()), ..found.clone() };
        tracks.rebuild(&[there], 100, Listed::Yes("s3://b")).unwrap();
        let keys: Vec<_> = tracks.all().unwrap().into_iter().map(|track| track.key).collect();
        assert_eq!(keys, [found.key.clone(), late.key.clone()], "without {}", gone.key);
        assert_eq!(tracks.outbox().unwrap().into_iter().map(|w| w.key).collect::<Vec<_>>(), [late.key]);
        tracks.rebuild(&[Track { s3_object_key: None, ..found.clone() }], 100, Listed::Yes("s3://b")).unwrap();
        assert_eq!(tracks.outbox().unwrap().len(), 2);
    }
}

//! What is still to be uploaded.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{InBucket, Tracks};
use crate::DatasetError;
use crate::layout::AudioKey;

/// A recording that waits for its upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its place in the order of uploads.
    pub position: i64,
    /// Its key.
    pub key: String,
    /// Since when it waits, in milliseconds since 1970.
    pub queued_ms: i64,
    /// Uploads that have failed.
    pub attempts: u32,
    /// Not before then, in milliseconds since 1970.
    pub next_try_ms: i64,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// The kind of that failure, in one word.
    pub trouble: Option<String>,
}

/// How much waits, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Recordings that wait.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Since when the oldest waits, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

const COLUMNS: &str = "position, key, queued_ms, attempts, next_try_ms, last_error, trouble";

/// The first pause between two tries.
const FIRST_PAUSE_MS: i64 = 2_000;

/// The longest pause between two tries.
const LONGEST_PAUSE_MS: i64 = 15 * 60_000;

impl Tracks {
    /// What waits behind `position` and is due at `now_ms`: the first `most` in order.
    pub fn due(&self, position: i64, now_ms: i64, most: usize) -> Result<Vec<Waiting>, DatasetError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE position > ?1 AND (next_try_ms <= ?2 OR next_try_ms > ?4) \
             ORDER BY position LIMIT ?3"
        );
        // What is due later than any pause lasts was put off by a clock that was wrong.
        let of = params![position, now_ms, most as i64, now_ms.saturating_add(2 * LONGEST_PAUSE_MS)];
        self.read(|connection| connection.prepare(&sql)?.query_map(of, row)?.collect())
    }

    /// The entry of `key`, as long as it waits.
    pub fn waiting(&self, key: &str) -> Result<Option<Waiting>, DatasetError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE key = ?1");
        self.read(|connection| connection.prepare(&sql)?.query_row([key], row).optional())
    }

    /// All that waits, in order.
    pub fn outbox(&self) -> Result<Vec<Waiting>, DatasetError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox ORDER BY position");
        self.read(|connection| connection.prepare(&sql)?.query_map([], row)?.collect())
    }

    /// How much waits.
    pub fn backlog(&self) -> Result<Backlog, DatasetError> {
        let sql =
            "SELECT count(*), coalesce(sum(size_bytes), 0), min(queued_ms) FROM outbox LEFT JOIN tracks USING (key)";
        self.read(|connection| {
            connection.query_row(sql, [], |row| {
                let (count, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Backlog { count: count as u64, bytes: bytes as u64, oldest_ms: row.get(2)? })
            })
        })
    }

    /// Puts everything in line that `bucket` does not have yet.
    pub fn enqueue_missing(&self, bucket: &str, now_ms: i64) -> Result<(), DatasetError> {
        self.write(|connection| {
            missing(connection, bucket)?.iter().try_for_each(|key| enqueue(connection, key, now_ms))
        })
    }

    /// What `bucket` does not have yet, as far as the index knows, in the order in which it was accepted; whether it waits or not. What was removed
    /// from a bucket by name is not missing.
    pub fn missing(&self, bucket: &str) -> Result<Vec<String>, DatasetError> {
        self.read(|connection| missing(connection, bucket))
    }

    /// The recording under `key` is in the bucket, verified, and waits no longer; `copy` says whether the one in the data root stays. A row
    /// without a copy here is called as its object is.
    pub fn uploaded(&self, key: &str, object: &InBucket<'_>, copy: LocalCopy, now_ms: i64) -> Result<(), DatasetError> {
        let InBucket { bucket, name } = object;
        let is_kept = copy == LocalCopy::Kept;
        self.write(|connection| {
            let sql = "UPDATE tracks SET s3_object_key = ?4, s3_bucket = ?5, withdrawn = 0,
                       path = CASE WHEN ?2 THEN path END, updated_ms = ?3 WHERE key = ?1";
            let changed = connection.execute(sql, params![key, is_kept, now_ms, name, bucket])?;
            connection.execute("DELETE FROM outbox WHERE key = ?1", [key])?;
            if *name == key || changed == 0 {
                return Ok(());
            }
            if is_kept {
                // The same recording, of which only the object was known.
                let sql = "DELETE FROM tracks WHERE key = ?1 AND path IS NULL AND status = 'stored'";
                return connection.execute(sql, [name]).map(drop);
            }
            connection.execute("UPDATE OR IGNORE tracks SET key = ?2 WHERE key = ?1", [key, name])?;
            connection.execute("DELETE FROM tracks WHERE key = ?1", [key]).map(drop)
        })
    }

    /// The upload of `key` has failed; it is tried again after a pause that grows with each failure.
    pub fn failed(&self, waiting: &Waiting, error: &str, trouble: &str, now_ms: i64) -> Result<(), DatasetError> {
        let next = now_ms + pause_ms(&waiting.key, waiting.attempts);
        self.write(|connection| {
            let sql = "UPDATE outbox SET attempts = attempts + 1, next_try_ms = ?2, last_error = ?3, trouble = ?4
                       WHERE key = ?1";
            connection.execute(sql, params![waiting.key, next, error, trouble]).map(drop)
        })
    }
}

/// What becomes of the copy in the data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalCopy {
    /// It stays.
    Kept,
    /// It is removed.
    Dropped,
}

fn missing(connection: &Connection, bucket: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT key FROM tracks WHERE status = 'stored' AND path IS NOT NULL AND NOT withdrawn
               AND (s3_object_key IS NULL OR s3_bucket IS NOT ?1) ORDER BY created_ms, key";
    let mut keys: Vec<String> =
        connection.prepare(sql)?.query_map([bucket], |row| row.get(0))?.collect::<Result<_, _>>()?;
    keys.retain(|key| AudioKey::parse(key).is_some());
    Ok(keys)
}

/// Puts `key` at the end of the line, if it does not wait yet.
pub(super) fn enqueue(connection: &Connection, key: &str, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO outbox (key, queued_ms) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
    connection.prepare(sql)?.execute(params![key, now_ms]).map(drop)
}

/// How long to wait after so many failures: twice as long each time, less up to half of it by the key, so that not all come back at once.
fn pause_ms(key: &str, attempts: u32) -> i64 {
    let longest = (FIRST_PAUSE_MS << attempts.min(20)).min(LONGEST_PAUSE_MS);
    let seed = blake3::hash(format!("{key} {attempts}").as_bytes());
    let share = f64::from(u16::from_le_bytes([seed.as_bytes()[0], seed.as_bytes()[1]])) / f64::from(u16::MAX);
    longest - (longest as f64 * share / 2.0) as i64
}

fn row(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        position: row.get(0)?,
        key: row.get(1)?,
        queued_ms: row.get(2)?,
        attempts: row.get(3)?,
        next_try_ms: row.get(4)?,
        last_error: row.get(5)?,
        trouble: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_quarter_of_an_hour_and_differ_by_key() {
        let pauses: Vec<i64> = (0..30).map(|attempts| pause_ms("a", attempts)).collect();
        for (attempts, pause) in pauses.iter().enumerate() {
            let longest = (FIRST_PAUSE_MS << attempts.min(20)).min(LONGEST_PAUSE_MS);
            assert!((longest / 2..=longest).contains(pause), "{attempts}: {pause}");
        }
        assert!(pauses[8] > pauses[4] && pauses[4] > pauses[0]);
        assert_ne!(pause_ms("a", 5), pause_ms("b", 5));
        assert_eq!(pause_ms("a", 5), pause_ms("a", 5));
    }
}

//! Making the index again from what is really there.

use std::collections::BTreeSet;

use super::objects::withdrawn;
use super::track::insert;
use super::{Track, Tracks, outbox};
use crate::DatasetError;
use crate::layout::AudioKey;

impl Tracks {
    /// Makes the table agree with what was `found` since `started_ms`; what was taken in or changed meanwhile stays as it is. With a `bucket` that
    /// was listed, the outbox becomes what is here and not there.
    pub fn rebuild(&self, found: &[Track], started_ms: i64, bucket: Listed<'_>) -> Result<(), DatasetError> {
        let keys: BTreeSet<&str> = found.iter().map(|track| track.key.as_str()).collect();
        self.write(|connection| {
            let old: Vec<String> = connection
                .prepare("SELECT key FROM tracks WHERE status = 'stored' AND updated_ms < ?1")?
                .query_map([started_ms], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for key in old.iter().filter(|key| !keys.contains(key.as_str())) {
                connection.prepare("DELETE FROM tracks WHERE key = ?1")?.execute([key])?;
            }
            let fresh: BTreeSet<String> = connection
                .prepare("SELECT key FROM tracks WHERE status = 'stored' AND updated_ms >= ?1")?
                .query_map([started_ms], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let found: Vec<&Track> = found.iter().filter(|track| !fresh.contains(&track.key)).collect();
            for track in &found {
                insert(connection, track)?;
            }
            connection.execute("DELETE FROM outbox WHERE key NOT IN (SELECT key FROM tracks)", [])?;
            let Listed::Yes(bucket) = bucket else { return Ok(()) };
            let there = "(SELECT key FROM tracks WHERE s3_object_key IS NOT NULL AND s3_bucket = ?1)";
            connection.execute(&format!("DELETE FROM outbox WHERE key IN {there}"), [bucket])?;
            // Who removed it by name has put it back.
            connection.execute(&format!("UPDATE tracks SET withdrawn = 0 WHERE key IN {there}"), [bucket])?;
            let withdrawn = withdrawn(connection)?;
            let waiting = found.iter().filter(|track| track.s3_object_key.is_none() && track.path.is_some());
            let waiting = waiting.filter(|track| !withdrawn.contains(&track.key));
            let mut waiting: Vec<_> = waiting.filter(|track| AudioKey::parse(&track.key).is_some()).collect();
            waiting.sort_by_key(|track| (track.created_ms, &track.key));
            waiting.into_iter().try_for_each(|track| outbox::enqueue(connection, &track.key, started_ms))
        })
    }
}

/// Whether a bucket was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed<'a> {
    /// This one was.
    Yes(&'a str),
    /// There is none.
    No,
}

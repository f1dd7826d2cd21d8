//! Values that take long to compute, each kept under the clip that it was computed of: an index in one `SQLite` file, which can be made again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use crate::DatasetError;
use crate::files::folder_of;
use crate::key::ClipId;

/// How long one process waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// Values by clip, of one version.
#[derive(Debug)]
pub struct ClipValues {
    path: PathBuf,
    connection: Connection,
}

impl ClipValues {
    /// Opens the values at `path`; the file is made where it is missing or damaged, and values of another version are dropped.
    pub fn open(path: &Path, version: u32) -> Result<Self, DatasetError> {
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
        let connection = match prepare(path, version) {
            Err(rusqlite::Error::SqliteFailure(cause, _))
                if matches!(cause.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
            {
                fs::remove_file(path).map_err(DatasetError::at("remove", path))?;
                prepare(path, version)
            }
            opened => opened,
        };
        Ok(Self { path: path.to_owned(), connection: connection.map_err(|error| failure(path, error))? })
    }

    /// The values of those clips that have one.
    pub fn get(&self, clips: &[ClipId]) -> Result<HashMap<ClipId, Vec<u8>>, DatasetError> {
        let read = || {
            let mut select = self.connection.prepare("SELECT value FROM clip_values WHERE clip_id = ?1")?;
            let mut found = HashMap::new();
            for clip in clips {
                let mut rows = select.query(params![clip.as_bytes()])?;
                if let Some(row) = rows.next()? {
                    found.insert(*clip, row.get(0)?);
                }
            }
            Ok(found)
        };
        read().map_err(|error| failure(&self.path, error))
    }

    /// Keeps these values, instead of those that their clips had before.
    pub fn put<'a>(&mut self, values: impl IntoIterator<Item = (ClipId, &'a [u8])>) -> Result<(), DatasetError> {
        let write = || {
            let transaction = self.connection.transaction()?;
            {
                let mut insert =
                    transaction.prepare("INSERT OR REPLACE INTO clip_values (clip_id, value) VALUES (?1, ?2)")?;
                for (clip, value) in values {
                    insert.execute(params![clip.as_bytes(), value])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|error| failure(&self.path, error))
    }

    /// Drops the values of all other clips. The space is used again.
    pub fn retain(&mut self, is_known: impl Fn(&ClipId) -> bool) -> Result<(), DatasetError> {
        let mut write = || {
            let transaction = self.connection.transaction()?;
            {
                let mut select = transaction.prepare("SELECT clip_id FROM clip_values")?;
                let all = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<[u8; 16]>>>()?;
                let mut delete = transaction.prepare("DELETE FROM clip_values WHERE clip_id = ?1")?;
                for clip in all.into_iter().filter(|clip| !is_known(&ClipId::from_bytes(*clip))) {
                    delete.execute(params![clip])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|error| failure(&self.path, error))
    }
}

fn prepare(path: &Path, version: u32) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != version {
        connection.execute_batch("DROP TABLE IF EXISTS clip_values")?;
        connection.pragma_update(None, "user_version", version)?;
    }
    let table = "CREATE TABLE IF NOT EXISTS clip_values (clip_id BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL)";
    connection.execute_batch(table)?;
    Ok(connection)
}

fn failure(path: &Path, error: rusqlite::Error) -> DatasetError {
    DatasetError::new("use the index", path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ContentHash;

    fn clip(name: &str) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(name.as_bytes()).unwrap())
    }

    #[test]
    fn values_are_kept_replaced_and_dropped_with_their_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index/values.db");
        let [a, b, c] = ["a", "b", "c"].map(clip);
        let mut values = ClipValues::open(&path, 1).unwrap();
        values.put([(a, &[1u8][..]), (b, &[2])]).unwrap();
        values.put([(b, &[3u8][..])]).unwrap();
        assert_eq!(values.get(&[a, b, c]).unwrap(), HashMap::from([(a, vec![1]), (b, vec![3])]));
        values.retain(|clip| *clip == b).unwrap();
        drop(values);
        assert_eq!(ClipValues::open(&path, 1).unwrap().get(&[a, b]).unwrap(), HashMap::from([(b, vec![3])]));
        assert!(ClipValues::open(&path, 2).unwrap().get(&[a, b]).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values.db");
        fs::write(&path, "no database at all, but long enough to look like one".repeat(30)).unwrap();
        let mut values = ClipValues::open(&path, 1).unwrap();
        values.put([(clip("a"), &[1u8][..])]).unwrap();
        assert_eq!(values.get(&[clip("a")]).unwrap().len(), 1);
    }
}

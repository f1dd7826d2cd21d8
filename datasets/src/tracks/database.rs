//! Opening the database: one writer at a time, every commit on the disk before it counts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use rusqlite_migration::{Error as MigrationError, M, MigrationDefinitionError, Migrations};

use crate::files::folder_of;
use crate::layout::Layout;
use crate::{DatasetError, DatasetErrorKind};

/// What was attempted in every error of the index.
pub const ACTION: &str = "use the index of tracks";

/// How long one process waits for the others.
const PATIENCE: Duration = Duration::from_mins(1);

/// Extended code of `SQLite` for a disk too full for the memory that processes share.
const SHARED_MEMORY_IS_FULL: i32 = 4874;

/// The table of tracks and the outbox of one data root.
#[derive(Debug)]
pub struct Tracks {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// Whether an index was there before it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It was made just now, and knows of no recording.
    New,
    /// It was there.
    Old,
}

impl Tracks {
    /// The index of a data root; made where it is missing.
    pub fn open(layout: &Layout) -> Result<(Self, Age), DatasetError> {
        let path = layout.tracks();
        let folder = folder_of(&path);
        fs::create_dir_all(folder).map_err(DatasetError::at("create folder", folder))?;
        let _turn = turn(&path)?;
        let mut connection = Connection::open(&path).map_err(|error| failure(&path, error))?;
        let age = prepare(&mut connection, &path)?;
        Ok((Self { path, connection: Mutex::new(connection) }, age))
    }

    /// The index of a data root, where it has one.
    pub fn find(layout: &Layout) -> Result<Option<Self>, DatasetError> {
        if !layout.tracks().exists() {
            return Ok(None);
        }
        Ok(Some(Self::open(layout)?.0))
    }

    /// Moves a broken index out of the way, under a name that ends in `stamp`; where it went.
    pub fn set_aside(layout: &Layout, stamp: &str) -> Result<PathBuf, DatasetError> {
        let path = layout.tracks();
        let _turn = turn(&path)?;
        let aside = path.with_extension(format!("db.broken-{stamp}"));
        for ending in ["", "-wal", "-shm"] {
            let with = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
            match fs::rename(with(&path), with(&aside)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DatasetError::new("move", path.display().to_string(), error));
                }
                _ => {}
            }
        }
        Ok(aside)
    }

    /// Reads all of it, and fails where it is damaged.
    pub fn check(&self) -> Result<(), DatasetError> {
        let told: String =
            self.read(|connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        if told == "ok" { Ok(()) } else { Err(invalid(&self.path, format!("it is damaged: {told}"))) }
    }

    /// Reads with `work`.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatasetError> {
        work(&self.lock()).map_err(|error| failure(&self.path, error))
    }

    /// Does `work` in one transaction that no other process can come between.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, DatasetError> {
        let mut connection = self.lock();
        let transact = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        transact().map_err(|error| failure(&self.path, error))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().expect("nobody panics while holding it")
    }
}

/// Processes open the file one after the other: the first of them makes its tables.
fn turn(path: &Path) -> Result<File, DatasetError> {
    let lock = path.with_extension("lock");
    let open = || -> std::io::Result<File> {
        let file = File::options().create(true).append(true).open(&lock)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(DatasetError::at("lock", &lock))
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<Age, DatasetError> {
    let failed = |error| failure(path, error);
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    // What is committed survives the loss of power, too.
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let migrations =
        Migrations::new(vec![M::up(include_str!("1.sql")), M::up(include_str!("2.sql")), M::up(include_str!("3.sql"))]);
    migrations.to_latest(connection).map_err(|error| match error {
        MigrationError::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            invalid(path, format!("it was written by a later version of EcoSight (its format is {version})"))
        }
        MigrationError::RusqliteError { err, .. } => failed(err),
        other => invalid(path, format!("it is damaged: {other}")),
    })?;
    Ok(if version == 0 { Age::New } else { Age::Old })
}

fn invalid(path: &Path, why: String) -> DatasetError {
    DatasetError::invalid(ACTION, path.display().to_string(), why)
}

/// What a refusal of `SQLite` means.
fn failure(path: &Path, error: rusqlite::Error) -> DatasetError {
    let full =
        || DatasetErrorKind::Io(std::io::Error::new(std::io::ErrorKind::StorageFull, "No space left on the disk"));
    let kind = match &error {
        rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                return invalid(path, format!("it is damaged: {error}"));
            }
            ErrorCode::DiskFull => full(),
            _ if cause.extended_code == SHARED_MEMORY_IS_FULL => full(),
            ErrorCode::DatabaseBusy => DatasetErrorKind::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("other processes have kept it busy for {} s", PATIENCE.as_secs()),
            )),
            _ => DatasetErrorKind::Database(error),
        },
        // A file with the right version and other tables.
        rusqlite::Error::SqlInputError { .. } | rusqlite::Error::FromSqlConversionFailure(..) => {
            return invalid(path, format!("it is damaged: {error}"));
        }
        _ => DatasetErrorKind::Database(error),
    };
    DatasetError::new(ACTION, path.display().to_string(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert!(Tracks::find(&layout).unwrap().is_none());
        assert_eq!(Tracks::open(&layout).unwrap().1, Age::New);
        assert_eq!(Tracks::open(&layout).unwrap().1, Age::Old);
        let mode: String = Tracks::find(&layout)
            .unwrap()
            .unwrap()
            .read(|c| c.pragma_query_value(None, "journal_mode", |r| r.get(0)))
            .unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn what_is_no_index_says_so_and_can_be_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let told = |expected: &str| {
            let error = Tracks::open(&layout).unwrap_err();
            assert!(error.action == ACTION && error.kind.to_string().contains(expected), "{error}: {}", error.kind);
        };
        fs::create_dir_all(layout.index()).unwrap();
        fs::write(layout.tracks(), "no database at all, but long enough to look like one".repeat(30)).unwrap();
        told("it is damaged");
        let aside = Tracks::set_aside(&layout, "x").unwrap();
        assert!(aside.exists() && !layout.tracks().exists());
        drop(Tracks::open(&layout).unwrap());
        Connection::open(layout.tracks()).unwrap().pragma_update(None, "user_version", 99).unwrap();
        told("a later version of EcoSight (its format is 99)");
    }

    #[test]
    fn eight_processes_may_make_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = &Layout::new(dir.path());
        let ages = std::thread::scope(|scope| {
            let open = || Tracks::open(layout).unwrap().1;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|age| *age == Age::New).count()
        });
        assert_eq!(ages, 1);
    }
}

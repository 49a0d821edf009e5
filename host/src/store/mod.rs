//! The local store: one SQLite file in the data directory with the rows that exporters keep through the import `store`,
//! each under its exporter's id. Rows of the same id replace each other, so that a second delivery changes nothing.
//! Bounded by age and by size; [`retention`] says whose rows give way.
//!
//! Written by one host, read meanwhile by `mastra-host show` ([`Reader`]): SQLite's write-ahead log lets both go on.
//! Everything here blocks; the callers see to it that this is fine.

mod erase;
mod read;
mod retention;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

pub use erase::Eraser;
pub use read::{Filter, Reader};
pub use retention::Retention;

use crate::event::Signal;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "store.sqlite3";

/// Format of the file: SQLite's `user_version`.
const FORMAT: i64 = 1;

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `incremental` before the first table, so that the space of removed rows can be given back.
const SCHEMA: &str = "
PRAGMA auto_vacuum = incremental;
PRAGMA journal_mode = wal;
CREATE TABLE IF NOT EXISTS row (
    exporter TEXT NOT NULL,
    signal TEXT NOT NULL,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    trace_id TEXT,
    rank INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS row_by_id ON row (exporter, signal, id);
CREATE INDEX IF NOT EXISTS row_by_time ON row (exporter, signal, time);
CREATE INDEX IF NOT EXISTS row_by_trace ON row (exporter, trace_id) WHERE trace_id IS NOT NULL;
";

/// Also for a file that an earlier host made: rows leave exporter by exporter, oldest first.
const INDEX_BY_TURN: &str = "
CREATE INDEX IF NOT EXISTS row_by_turn ON row (exporter, written_at);
DROP INDEX IF EXISTS row_by_age;
";

/// What SQLite's write-ahead log keeps between two writes.
const LOG_BYTES: u64 = 4 << 20;

/// How far the write-ahead log may grow when a reader keeps it from being emptied.
const MAX_LOG_BYTES: u64 = 128 << 20;

const UPSERT: &str = "
INSERT INTO row (exporter, signal, id, time, trace_id, rank, written_at, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (exporter, signal, id) DO UPDATE
SET time = excluded.time, trace_id = excluded.trace_id, rank = excluded.rank, written_at = excluded.written_at,
    content = excluded.content
WHERE excluded.rank >= rank
";

/// One record of an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Unique within exporter and signal.
    pub id: String,
    /// Unix nanoseconds: what lists are sorted by.
    pub time: u64,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// A row does not replace one of a higher rank.
    pub rank: u32,
    /// The record, a JSON object.
    pub content: String,
}

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer host wrote it.
    #[error("{} has format {found}, this host reads up to {FORMAT}; upgrade mastra-host", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// More at once than the store may ever hold.
    #[error(
        "{bytes} bytes of rows at once are more than the local store may hold ({max_bytes} bytes); send fewer, or raise storage.local.max_size"
    )]
    TooLarge {
        /// Of the rows.
        bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// A reader has kept the write-ahead log from being emptied for too long.
    #[error(
        "{} has grown to {bytes} bytes because another process reads the local store; end that process", path.display()
    )]
    HeldByReader {
        /// The write-ahead log.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// SQLite's error.
    #[error("cannot use {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// The store of a running host.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    retention: Retention,
}

impl Store {
    /// Opens the store of a data directory; makes the directory (mode 0700) and the file (0600) if they are missing.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(data_dir: &Path, retention: Retention) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE_NAME);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .and_then(|()| {
                let mut options = OpenOptions::new();
                // SQLite's own files beside this one get its mode.
                options.create(true).append(true).mode(0o600).open(&path)
            });
        if let Err(source) = made {
            return Err(StoreError::Make { path, source });
        }
        let opened = connect(&path).and_then(|(connection, format)| {
            if format == 0 {
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "user_version", FORMAT)?;
            }
            if format <= FORMAT {
                connection.execute_batch(INDEX_BY_TURN)?;
            }
            // A row that was answered for must be there after a power cut.
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "journal_size_limit", signed(LOG_BYTES))?;
            Ok((connection, format))
        });
        let (connection, format) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(StoreError::Sqlite { path, source }),
        };
        if format > FORMAT {
            return Err(StoreError::Newer {
                path,
                found: format,
            });
        }
        let state = State {
            connection,
            retention,
        };
        Ok(Self {
            path,
            state: Mutex::new(state),
        })
    }

    /// Writes rows, all or none, and returns when they are synced. `share` is what all rows of the exporter may take; its
    /// oldest go. `now` is unix nanoseconds.
    ///
    /// # Errors
    /// See [`StoreError`]; the disk is full, or the file is not usable.
    pub fn upsert(
        &self,
        (exporter, share): (&str, u64),
        signal: Signal,
        rows: &[Row],
        now: u64,
    ) -> Result<(), StoreError> {
        // A transaction that a panic left behind was rolled back when it was dropped.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            connection,
            retention,
        } = &mut *state;
        let bytes = rows.iter().map(retention::cost).sum();
        let max_bytes = share.min(retention.max_bytes());
        if bytes > max_bytes {
            return Err(StoreError::TooLarge { bytes, max_bytes });
        }
        self.check_log()?;
        let wanted = retention::Wanted {
            exporter,
            bytes,
            share,
        };
        retention
            .make_room(connection, wanted, now)
            .and_then(|()| write(connection, exporter, signal, rows, now))
            .map(|grown| retention.count(exporter, grown))
            .map_err(|source| StoreError::Sqlite {
                path: self.path.clone(),
                source,
            })
    }

    /// SQLite empties its write-ahead log by itself, unless somebody reads all the time.
    fn check_log(&self) -> Result<(), StoreError> {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        let path = PathBuf::from(path);
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        if bytes > MAX_LOG_BYTES {
            return Err(StoreError::HeldByReader { path, bytes });
        }
        Ok(())
    }
}

/// The connection and the file's format; 0 is an empty file.
fn connect(path: &Path) -> rusqlite::Result<(Connection, i64)> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The process may write nowhere but in its own folders; sorted pages are small.
    connection.pragma_update(None, "temp_store", "memory")?;
    let format = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((connection, format))
}

/// Writes rows; by how many bytes the exporter has grown.
fn write(
    connection: &mut Connection,
    exporter: &str,
    signal: Signal,
    rows: &[Row],
    now: u64,
) -> rusqlite::Result<i64> {
    let transaction = connection.transaction()?;
    let mut grown = 0;
    {
        let old = format!(
            "SELECT {} FROM row WHERE exporter = ?1 AND signal = ?2 AND id = ?3",
            retention::stored_cost()
        );
        let mut old = transaction.prepare_cached(&old)?;
        let mut upsert = transaction.prepare_cached(UPSERT)?;
        for row in rows {
            let replaced: Option<i64> = old
                .query_row(params![exporter, signal.name(), row.id], |row| row.get(0))
                .optional()?;
            let changed = upsert.execute(params![
                exporter,
                signal.name(),
                row.id,
                signed(row.time),
                row.trace_id,
                row.rank,
                signed(now),
                row.content,
            ])?;
            if changed > 0 {
                grown += signed(retention::cost(row)) - replaced.unwrap_or(0);
            }
        }
    }
    transaction.commit()?;
    Ok(grown)
}

/// SQLite's integers are signed; times up to the year 2262 fit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

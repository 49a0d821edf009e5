//! Reads the store, also while a host writes it. Called by `mastra-host show`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::{BUSY_TIMEOUT, FILE_NAME, FORMAT, StoreError};
use crate::event::Signal;

/// Which rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Of this exporter id.
    pub exporter: &'a str,
    /// Of this trace.
    pub trace_id: Option<&'a str>,
    /// At most so many, the newest.
    pub limit: u32,
}

/// A store that is only read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

impl Reader {
    /// Opens the store of a data directory; `None` if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = data_dir.join(FILE_NAME);
        if !path.is_file() {
            return Ok(None);
        }
        // Not `READ_ONLY`: the first reader after a kill must bring the write-ahead log in order.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            let format: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((connection, format))
        });
        match opened {
            Ok((_, found)) if found > FORMAT => Err(StoreError::Newer { path, found }),
            // Made, and nothing written yet.
            Ok((_, 0)) => Ok(None),
            Ok((connection, _)) => Ok(Some(Self { path, connection })),
            Err(source) => Err(StoreError::Sqlite { path, source }),
        }
    }

    /// The contents of the newest rows of a signal, oldest first.
    ///
    /// # Errors
    /// The file is not usable.
    pub fn newest(&self, signal: Signal, filter: Filter<'_>) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT content FROM row WHERE exporter = ?1 AND signal = ?2 AND (?3 IS NULL OR trace_id = ?3)
                   ORDER BY time DESC, rowid DESC LIMIT ?4";
        let found = params![
            filter.exporter,
            signal.name(),
            filter.trace_id,
            filter.limit
        ];
        let mut rows = self.texts(sql, found)?;
        rows.reverse();
        Ok(rows)
    }

    /// The ids of the traces with the newest spans, newest first.
    ///
    /// # Errors
    /// The file is not usable.
    pub fn newest_traces(&self, exporter: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let sql =
            "SELECT trace_id FROM row WHERE exporter = ?1 AND signal = ?2 AND trace_id IS NOT NULL
                   GROUP BY trace_id ORDER BY max(time) DESC LIMIT ?3";
        self.texts(sql, params![exporter, Signal::Traces.name(), limit])
    }

    /// The ids of traces that begin so; at most two, since more than one is not an answer.
    ///
    /// # Errors
    /// The file is not usable.
    pub fn traces_like(&self, exporter: &str, beginning: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT trace_id FROM row WHERE exporter = ?1 AND substr(trace_id, 1, length(?2)) = ?2 LIMIT 2";
        self.texts(sql, params![exporter, beginning])
    }

    /// The exporters that keep rows.
    ///
    /// # Errors
    /// The file is not usable.
    pub fn exporters(&self) -> Result<Vec<String>, StoreError> {
        self.texts("SELECT DISTINCT exporter FROM row ORDER BY exporter", [])
    }

    fn texts(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(parameters, |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(|source| StoreError::Sqlite {
            path: self.path.clone(),
            source,
        })
    }
}

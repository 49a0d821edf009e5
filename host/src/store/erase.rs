//! Takes rows out for good, also while a host writes the store. Called by `mastra-host purge`.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{BUSY_TIMEOUT, FILE_NAME, FORMAT, StoreError};

/// The store of a data directory, opened to take rows out.
#[derive(Debug)]
pub struct Eraser {
    path: PathBuf,
    connection: Connection,
}

impl Eraser {
    /// `None` if there is no store.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = data_dir.join(FILE_NAME);
        if !path.is_file() {
            return Ok(None);
        }
        let opened = Connection::open(&path).and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "temp_store", "memory")?;
            // What is removed is written over, not only forgotten.
            connection.pragma_update(None, "secure_delete", "on")?;
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

    /// Shows every row: its number, and what an exporter stored.
    ///
    /// # Errors
    /// The file is not usable.
    pub fn each(&self, mut see: impl FnMut(i64, &[u8])) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<()> {
            let sql = "SELECT rowid, content, trace_id FROM row";
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let content = row.get_ref(1)?.as_bytes().unwrap_or_default();
                see(row.get(0)?, content);
            }
            Ok(())
        };
        read().map_err(|source| self.failed(source))
    }

    /// Removes rows; how many there were.
    ///
    /// # Errors
    /// The file is not usable; then all rows are still there.
    pub fn remove(&mut self, rows: &[i64]) -> Result<u64, StoreError> {
        let removed = remove(&mut self.connection, rows);
        removed.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }
}

fn remove(connection: &mut Connection, rows: &[i64]) -> rusqlite::Result<u64> {
    let transaction = connection.transaction()?;
    let mut removed = 0;
    {
        let mut delete = transaction.prepare("DELETE FROM row WHERE rowid = ?1")?;
        for row in rows {
            removed += delete.execute([row])?;
        }
    }
    transaction.commit()?;
    // Without this the write-ahead log keeps what was removed until it is written over.
    connection.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(removed as u64)
}

//! How much the store keeps. What was written first goes first, whatever its own time: an old recording that is read
//! today is as new as anything else.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::signed;

/// Between two looks, unless much has been written.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Looks come also after so many writes.
const WRITES_A_LOOK: u32 = 64;

/// What goes at once when the file is too large: a hundredth of the rows, so that it does not happen at each write.
const SHARE: i64 = 100;

/// Bounds of the store.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    max_age: Duration,
    max_bytes: u64,
    last_look: u64,
    writes: u32,
}

impl Retention {
    /// `max_bytes` of the file, without its write-ahead log.
    #[must_use]
    pub const fn new(max_age: Duration, max_bytes: u64) -> Self {
        Self {
            max_age,
            max_bytes,
            last_look: 0,
            writes: 0,
        }
    }

    /// Removes what is beyond the bounds, now and then. `now` is unix nanoseconds.
    pub(super) fn keep_within(
        &mut self,
        connection: &Connection,
        now: u64,
    ) -> rusqlite::Result<()> {
        self.writes += 1;
        let since_last = Duration::from_nanos(now.saturating_sub(self.last_look));
        if self.writes < WRITES_A_LOOK && since_last < LOOK_INTERVAL {
            return Ok(());
        }
        (self.last_look, self.writes) = (now, 0);
        self.look(connection, now)
    }

    fn look(&self, connection: &Connection, now: u64) -> rusqlite::Result<()> {
        let max_age = u64::try_from(self.max_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest = signed(now.saturating_sub(max_age));
        let mut removed = connection.execute("DELETE FROM row WHERE written_at < ?1", [oldest])?;
        while live_bytes(connection)? > self.max_bytes {
            let rows: i64 =
                connection.query_row("SELECT count(*) FROM row", [], |row| row.get(0))?;
            let oldest = "DELETE FROM row WHERE rowid IN (SELECT rowid FROM row ORDER BY written_at LIMIT ?1)";
            let gone = connection.execute(oldest, params![rows / SHARE + 1])?;
            if gone == 0 {
                break;
            }
            removed += gone;
        }
        if removed > 0 {
            // Gives the free pages back to the file system.
            connection.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(())
    }
}

/// Bytes of pages in use.
fn live_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or(0))
}

//! How much the store keeps. Room is made before rows are written, so that the bound holds while an exporter floods the
//! store. The exporter with the most bytes gives way, oldest rows first, so that no exporter pushes out another one's rows
//! while it has more itself. A row's age counts from when it was written: an old recording that is read today is new.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Row, signed};

/// How often rows that are too old are looked for, and free pages given back.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// What a row takes beside its texts: its columns and its entries in the indexes.
const ROW_OVERHEAD_BYTES: u64 = 256;

/// The number of rows that go at once at most.
const MOST_ROWS: i64 = 4096;

/// Bounds of the store.
#[derive(Clone, Debug)]
pub struct Retention {
    max_age: Duration,
    max_bytes: u64,
    last_look: u64,
    /// The bytes of each exporter; counted when they are first needed.
    usage: Option<BTreeMap<String, u64>>,
    /// Of the file when they were counted; another process that takes rows out changes it.
    version: i64,
}

/// What an exporter asks room for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) exporter: &'a str,
    pub(super) bytes: u64,
    /// What all rows of the exporter may take.
    pub(super) share: u64,
}

/// The bytes that a row is reckoned with.
pub(super) fn cost(row: &Row) -> u64 {
    let texts = row.id.len() + row.content.len() + row.trace_id.as_deref().map_or(0, str::len);
    texts as u64 + ROW_OVERHEAD_BYTES
}

/// The same of a stored row.
pub(super) fn stored_cost() -> String {
    format!(
        "octet_length(id) + octet_length(content) + coalesce(octet_length(trace_id), 0) + {ROW_OVERHEAD_BYTES}"
    )
}

impl Retention {
    /// `max_bytes` is the size of the file, without its write-ahead log.
    #[must_use]
    pub const fn new(max_age: Duration, max_bytes: u64) -> Self {
        Self {
            max_age,
            max_bytes,
            last_look: 0,
            usage: None,
            version: 0,
        }
    }

    /// The size that the file may have.
    pub(super) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Removes rows until the wanted bytes fit. `now` is unix nanoseconds.
    pub(super) fn make_room(
        &mut self,
        connection: &Connection,
        wanted: Wanted<'_>,
        now: u64,
    ) -> rusqlite::Result<()> {
        let since_last = Duration::from_nanos(now.saturating_sub(self.last_look));
        let is_due = since_last >= LOOK_INTERVAL;
        if is_due {
            self.last_look = now;
            self.expire(connection, now)?;
        }
        if wanted.share < self.max_bytes {
            let own = self.usage(connection)?.get(wanted.exporter);
            let own = own.copied().unwrap_or(0);
            let surplus = (own + wanted.bytes).saturating_sub(wanted.share);
            self.remove_oldest(connection, wanted.exporter, surplus)?;
        }
        loop {
            let surplus = (live_bytes(connection)? + wanted.bytes).saturating_sub(self.max_bytes);
            if surplus == 0 {
                break;
            }
            let Some(largest) = self.largest(connection, &wanted)? else {
                break;
            };
            if self.remove_oldest(connection, &largest, surplus)? == 0 {
                break;
            }
        }
        if is_due {
            // Gives the free pages back to the file system.
            connection.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(())
    }

    /// Counts what was written: by how much the exporter's bytes have grown.
    pub(super) fn count(&mut self, exporter: &str, grown: i64) {
        if let Some(usage) = &mut self.usage {
            let bytes = usage.entry(exporter.to_owned()).or_default();
            *bytes = bytes.saturating_add_signed(grown);
        }
    }

    fn usage(&mut self, connection: &Connection) -> rusqlite::Result<&BTreeMap<String, u64>> {
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.usage.is_none() || version != self.version {
            self.version = version;
            let sql = format!(
                "SELECT exporter, sum({}) FROM row GROUP BY exporter",
                stored_cost()
            );
            let mut statement = connection.prepare(&sql)?;
            let counted = statement.query_map([], |row| {
                let bytes: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(bytes).unwrap_or(0)))
            })?;
            self.usage = Some(counted.collect::<rusqlite::Result<_>>()?);
        }
        Ok(self.usage.get_or_insert_default())
    }

    /// The exporter that will have the most bytes, of those that have rows to give.
    fn largest(
        &mut self,
        connection: &Connection,
        wanted: &Wanted<'_>,
    ) -> rusqlite::Result<Option<String>> {
        let usage = self.usage(connection)?;
        let candidates = usage.iter().filter(|(_, bytes)| **bytes > 0);
        let largest = candidates.max_by_key(|(exporter, bytes)| {
            let own = if exporter.as_str() == wanted.exporter {
                wanted.bytes
            } else {
                0
            };
            **bytes + own
        });
        Ok(largest.map(|(exporter, _)| exporter.clone()))
    }

    fn expire(&mut self, connection: &Connection, now: u64) -> rusqlite::Result<()> {
        let max_age = u64::try_from(self.max_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest = signed(now.saturating_sub(max_age));
        let mut exporters = connection.prepare_cached("SELECT DISTINCT exporter FROM row")?;
        let exporters: Vec<String> = exporters
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for exporter in exporters {
            let sql = format!(
                "DELETE FROM row WHERE exporter = ?1 AND written_at < ?2 RETURNING {}",
                stored_cost()
            );
            let freed = removed(connection, &sql, params![exporter, oldest])?;
            self.count(&exporter, -signed(freed));
        }
        Ok(())
    }

    /// Removes the oldest rows of an exporter until as many bytes are gone, or all rows. Returns the bytes that went.
    fn remove_oldest(
        &mut self,
        connection: &Connection,
        exporter: &str,
        bytes: u64,
    ) -> rusqlite::Result<u64> {
        let oldest = format!(
            "SELECT {} FROM row WHERE exporter = ?1 ORDER BY written_at, rowid LIMIT {MOST_ROWS}",
            stored_cost()
        );
        let delete = format!(
            "DELETE FROM row WHERE rowid IN
             (SELECT rowid FROM row WHERE exporter = ?1 ORDER BY written_at, rowid LIMIT ?2) RETURNING {}",
            stored_cost()
        );
        let mut gone = 0;
        while gone < bytes {
            let rows = {
                let mut oldest = connection.prepare_cached(&oldest)?;
                let mut costs = oldest.query_map([exporter], |row| row.get::<_, i64>(0))?;
                let (mut rows, mut left) = (0_i64, signed(bytes - gone));
                while left > 0
                    && let Some(cost) = costs.next()
                {
                    left -= cost?;
                    rows += 1;
                }
                rows
            };
            let freed = removed(connection, &delete, params![exporter, rows])?;
            if freed == 0 {
                // There is none left, whatever was counted.
                self.count(exporter, i64::MIN + 1);
                break;
            }
            self.count(exporter, -signed(freed));
            gone += freed;
        }
        Ok(gone)
    }
}

/// Runs a deletion that returns the bytes of each row; their sum.
fn removed(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let costs = statement.query_map(parameters, |row| row.get::<_, i64>(0))?;
    let mut sum = 0;
    for cost in costs {
        sum += u64::try_from(cost?).unwrap_or(0);
    }
    Ok(sum)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// Bytes of pages in use.
fn live_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(pages * pragma(connection, "page_size")?)
}

//! The import `store`: between the guest's types and the host's local store. Nothing is decided here.

use std::sync::Arc;

use super::{HostState, signal_from};
use crate::event::Signal;
use crate::plugin::bindings::{imported::store as wit, types};
use crate::store::Row;

/// What keeps the rows of one exporter. The host's local store is one; tests have their own.
pub trait StoreCapability: Send + Sync + 'static {
    /// Writes rows, all or none; success means synced. Blocks.
    ///
    /// # Errors
    /// Why not, for people.
    fn upsert(&self, signal: Signal, rows: &[Row]) -> Result<(), String>;
}

impl wit::Host for HostState {
    async fn upsert(
        &mut self,
        table: types::Signal,
        rows: Vec<wit::Row>,
    ) -> wasmtime::Result<Result<(), String>> {
        let Some(store) = &self.grants("store.upsert")?.store else {
            return Ok(Err("this exporter has no store".to_owned()));
        };
        let (store, signal) = (Arc::clone(store), signal_from(table));
        let bytes = |row: &wit::Row| row.id.len() + row.content.len();
        if let Err(reason) = self.writes.take(rows.iter().map(bytes).sum()) {
            return Ok(Err(reason));
        }
        let rows: Vec<Row> = rows.into_iter().map(row_from).collect();
        let written = tokio::task::spawn_blocking(move || store.upsert(signal, &rows));
        Ok(written
            .await
            .unwrap_or_else(|error| Err(format!("the write was abandoned: {error}"))))
    }
}

fn row_from(row: wit::Row) -> Row {
    Row {
        id: row.id,
        time: row.time,
        trace_id: row.trace_id,
        rank: row.rank,
        content: row.content,
    }
}

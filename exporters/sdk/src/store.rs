//! The host's local store: a table for each signal, whose rows `mastra-host show` reads. Off wasm, [`testing`] takes the
//! rows.

pub use crate::bindings::base::mastra::observability::store::Row;
use crate::records::Signal;

/// Writes rows, all or none; success means synced. Rows of the same id replace each other, unless the one that is there
/// has a higher rank.
///
/// # Errors
/// Why they could not be written, for people.
#[cfg(target_arch = "wasm32")]
pub fn upsert(table: Signal, rows: &[Row]) -> Result<(), String> {
    crate::bindings::base::mastra::observability::store::upsert(table, rows)
}

/// Writes rows, all or none; success means synced. Rows of the same id replace each other, unless the one that is there
/// has a higher rank.
///
/// # Errors
/// Why they could not be written, for people.
#[cfg(not(target_arch = "wasm32"))]
pub fn upsert(table: Signal, rows: &[Row]) -> Result<(), String> {
    testing::take(table, rows)
}

/// Stands in for the host's store in native tests.
#[cfg(not(target_arch = "wasm32"))]
pub mod testing {
    use std::cell::RefCell;

    use super::Row;
    use crate::records::Signal;

    #[derive(Default)]
    struct Tables {
        rows: Vec<(Signal, Row)>,
        failure: Option<String>,
    }

    thread_local! {
        static TABLES: RefCell<Option<Tables>> = const { RefCell::new(None) };
    }

    /// Runs `work` with a store that takes everything, or fails with `failure`; returns the work's result and the rows in
    /// the order of writing.
    pub fn with_store<R>(
        failure: Option<&str>,
        work: impl FnOnce() -> R,
    ) -> (R, Vec<(Signal, Row)>) {
        TABLES.set(Some(Tables {
            rows: Vec::new(),
            failure: failure.map(str::to_owned),
        }));
        let result = work();
        (result, TABLES.take().unwrap_or_default().rows)
    }

    pub(super) fn take(table: Signal, rows: &[Row]) -> Result<(), String> {
        TABLES.with_borrow_mut(|tables| {
            let tables = tables
                .as_mut()
                .ok_or("there is no store outside a component")?;
            if let Some(failure) = &tables.failure {
                return Err(failure.clone());
            }
            tables
                .rows
                .extend(rows.iter().map(|row| (table, row.clone())));
            Ok(())
        })
    }
}

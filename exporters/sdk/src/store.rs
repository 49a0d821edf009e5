//! The host's local store: a table for each signal, whose rows `mastra-host show` reads. Off wasm, [`testing`] takes the
//! rows.
//!
//! ```
//! use mastra_exporter_sdk::json::JsonText;
//! use mastra_exporter_sdk::outcome::{ItemResult, SendResult};
//! use mastra_exporter_sdk::records::{LogBatch, Signal};
//! use mastra_exporter_sdk::store::{Row, testing::with_store, upsert};
//! # use mastra_exporter_sdk::test_support::batches;
//!
//! /// Keeps each log as a row; what cannot be written now comes again.
//! fn send_logs(batch: &LogBatch) -> SendResult {
//!     let rows: Vec<Row> = batch.logs.iter().map(|log| {
//!         let mut content = JsonText::default();
//!         let mut object = content.object();
//!         object.string("message", &log.message);
//!         object.end();
//!         Row {
//!             id: log.log_id.clone(),
//!             time: log.time,
//!             trace_id: log.trace_id.clone(),
//!             rank: 0,
//!             content: content.into_string(),
//!         }
//!     }).collect();
//!     match upsert(Signal::Logs, &rows) {
//!         Ok(()) => SendResult::all(ItemResult::Delivered),
//!         Err(reason) => SendResult::all(ItemResult::Retry(reason)),
//!     }
//! }
//!
//! # let event = r#"{"type":"log","log":{"logId":"l","timestamp":"2023-11-14T22:13:20.000Z","level":"info","message":"hi"}}"#;
//! # let batch = batches(event).logs;
//! let (result, written) = with_store(None, || send_logs(&batch));
//! assert_eq!(result, SendResult::all(ItemResult::Delivered));
//! assert_eq!(written[0].1.content, r#"{"message":"hi"}"#);
//! let (result, _) = with_store(Some("the disk is full"), || send_logs(&batch));
//! assert_eq!(result, SendResult::all(ItemResult::Retry("the disk is full".to_owned())));
//! ```

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

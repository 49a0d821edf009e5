//! Lines for the operator, in the host's log under the exporter's id, capped. Constant texts and counts only: never
//! payloads, secrets or header values.
//!
//! ```
//! use mastra_exporter_sdk::log;
//! use mastra_exporter_sdk::outcome::PartialSuccess;
//!
//! /// The operator learns that something is missing; what it was is in the dead letters.
//! fn report(refused: &PartialSuccess) {
//!     log::warn(&format!("the backend refused {} records", refused.rejected_count));
//! }
//! # report(&PartialSuccess { rejected_count: 2, reason: "too old".to_owned() });
//! ```

use crate::bindings::base::mastra::observability::log::Level;

/// For who looks for a fault.
pub fn debug(text: &str) {
    emit(Level::Debug, text);
}

/// For who reads along.
pub fn info(text: &str) {
    emit(Level::Info, text);
}

/// Something is missing or late, and the exporter goes on.
pub fn warn(text: &str) {
    emit(Level::Warn, text);
}

/// Something is wrong that a person has to mend.
pub fn error(text: &str) {
    emit(Level::Error, text);
}

#[cfg(target_family = "wasm")]
fn emit(level: Level, text: &str) {
    crate::bindings::base::mastra::observability::log::emit(level, text);
}

/// Natively, as in tests of mappings, lines go to standard error.
#[cfg(not(target_family = "wasm"))]
fn emit(level: Level, text: &str) {
    use std::io::Write as _;
    // What cannot be written is lost, as logs may be.
    let _ = writeln!(std::io::stderr(), "{level:?}: {text}");
}

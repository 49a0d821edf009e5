//! Lines for the operator: standard error, which the host puts into its own log at debug level, capped. Constant texts
//! and counts only: never payloads, secrets or header values.
//!
//! ```
//! use mastra_exporter_sdk::log;
//! use mastra_exporter_sdk::outcome::PartialSuccess;
//!
//! /// The operator learns that something is missing; what it was is in the dead letters.
//! fn report(refused: &PartialSuccess) {
//!     log::line(&format!("the backend refused {} records", refused.rejected_count));
//! }
//! # report(&PartialSuccess { rejected_count: 2, reason: "too old".to_owned() });
//! ```

use std::io::Write as _;

/// Writes one line. What cannot be written is lost, as logs may be.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

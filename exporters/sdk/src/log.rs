//! Lines for the operator: standard error, which the host puts into its own log at debug level, capped. Constant texts
//! and counts only: never payloads, secrets or header values.

use std::io::Write as _;

/// Writes one line. What cannot be written is lost, as logs may be.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

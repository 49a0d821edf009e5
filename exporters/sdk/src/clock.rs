//! The host's clock. For wiring only: a mapping is told what time it is.
//!
//! ```
//! use mastra_exporter_sdk::clock;
//!
//! /// Pure, so that it can be tested: how old a record is, in whole seconds.
//! fn age_seconds(time: u64, now: u64) -> u64 {
//!     now.saturating_sub(time) / 1_000_000_000
//! }
//!
//! assert_eq!(age_seconds(1_000_000_000, 3_500_000_000), 2);
//! assert!(age_seconds(0, clock::now()) > 0);
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

//! When a batch is due: by count, by bytes, by age, or because no more is to come. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::source::Waiting;

/// Caps on one batch, and how long a small one waits to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Events.
    pub max_items: usize,
    /// Of the events' sizes; a single event above it goes alone.
    pub max_bytes: usize,
    /// The longest that an event waits for others.
    pub max_age: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        // 512 spans is what the official exporters send at once; 200 ms is what the OpenTelemetry Collector waits.
        Self {
            max_items: 512,
            max_bytes: 4 * 1024 * 1024,
            max_age: Duration::from_millis(200),
        }
    }
}

impl BatchLimits {
    /// When the next batch of a signal is due; `None` while nothing waits. `since` is when events were first seen to
    /// wait; `flush` that nobody is to wait for more.
    #[must_use]
    pub fn due(
        &self,
        waiting: Waiting,
        since: Instant,
        flush: bool,
        now: Instant,
    ) -> Option<Instant> {
        let is_full =
            waiting.items >= self.max_items as u64 || waiting.bytes >= self.max_bytes as u64;
        match waiting.items {
            0 => None,
            _ if is_full || flush => Some(now),
            _ => Some(since + self.max_age),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn batch_is_due_when_full_or_old_or_flushed() {
        let limits = BatchLimits {
            max_items: 3,
            max_bytes: 100,
            max_age: Duration::from_secs(1),
        };
        let since = Instant::now();
        let now = since + Duration::from_millis(10);
        let due = |items, bytes, flush| limits.due(Waiting { items, bytes }, since, flush, now);
        assert_eq!(due(0, 0, true), None);
        assert_eq!(due(2, 99, false), Some(since + limits.max_age));
        assert_eq!(due(3, 3, false), Some(now));
        assert_eq!(due(1, 100, false), Some(now));
        assert_eq!(due(1, 1, true), Some(now));
    }
}

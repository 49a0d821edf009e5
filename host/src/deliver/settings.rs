//! How one exporter is served: what the component declared and the operator configured, checked before it comes here.

use std::time::Duration;

use super::backoff::Backoff;
use super::batch::BatchLimits;
use super::classify::Policy;
use crate::config::component::Grouping;
use crate::event::signal_set::SignalSet;

/// How one exporter is served.
#[derive(Clone, Copy, Debug)]
pub struct ExporterSettings {
    /// The component's limits, and the operator's where they are lower.
    pub batch: BatchLimits,
    /// Calls under way at once: the instances of the pool.
    pub concurrency: usize,
    /// Between tries of one batch.
    pub retry: Backoff,
    /// The longest between probes of an exporter through which nothing gets.
    pub max_probe_wait: Duration,
    /// Between probes of an exporter whose credentials or settings are refused.
    pub refused_probe_interval: Duration,
    /// When to give up.
    pub policy: Policy,
    /// Signals whose records the backend recognises when they come twice.
    pub idempotent: SignalSet,
    /// How long calls under way may take when the exporter is stopped.
    pub stop_grace: Duration,
    /// Set for stateful components.
    pub holding: Option<HoldingSettings>,
    /// How events are put together.
    pub grouping: Grouping,
}

/// How a stateful component is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldingSettings {
    /// How often it is asked to deliver what it holds.
    pub flush_interval: Duration,
    /// Events that it may hold. With as many or more it is given no more, and flushed, until it holds fewer.
    pub max_items: usize,
    /// Bytes of events that it may hold; as `max_items`.
    pub max_bytes: usize,
}

impl HoldingSettings {
    /// The bounds by default.
    #[must_use]
    pub const fn new(flush_interval: Duration) -> Self {
        Self {
            flush_interval,
            // The host knows some 100 bytes of each; minutes of a busy application's metrics.
            max_items: 256 * 1024,
            // Held events stay in the log. A sixteenth of its bound by default, so that one component does not fill it.
            max_bytes: 128 << 20,
        }
    }
}

impl Default for ExporterSettings {
    fn default() -> Self {
        Self {
            batch: BatchLimits::default(),
            concurrency: 1,
            retry: Backoff {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
            },
            max_probe_wait: Duration::from_secs(5),
            refused_probe_interval: Duration::from_secs(60),
            policy: Policy::default(),
            idempotent: SignalSet::NONE,
            stop_grace: Duration::from_secs(4),
            holding: None,
            grouping: Grouping::Ungrouped,
        }
    }
}

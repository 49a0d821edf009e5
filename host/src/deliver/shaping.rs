//! The border between `deliver` and `shape`: which of its events an exporter does not get, and how it gets the others.
//! The room `shape` stands behind it.
//!
//! What is queued is the event as it came: shaping happens on the way from the cursor to the component. So one log serves
//! exporters of many shapes, and a dead letter is the event itself.

use std::sync::Arc;

use crate::event::Event;
use crate::plugin::guest::{BatchItem, SpanAncestor};

/// What is to become of an event fresh from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The exporter gets it.
    Keep,
    /// Counted as filtered.
    Filter,
    /// A span that is counted as filtered and has a place in its trace: its children go to the nearest kept ancestor.
    LeaveOut,
}

/// What shaping came to, in events, since the exporter was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShapeCounts {
    /// Filtered: of a trace that is not sampled.
    pub not_sampled: u64,
    /// Filtered: a span of a type that is dropped.
    pub span_type: u64,
    /// Filtered: a log record of a level that is dropped.
    pub log_level: u64,
    /// Sent with something redacted.
    pub redacted: u64,
    /// Sent with a text cut.
    pub truncated: u64,
    /// Sent with another parent.
    pub adopted: u64,
}

impl ShapeCounts {
    /// Filtered events by reason.
    #[must_use]
    pub fn filtered(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("not_sampled", self.not_sampled),
            ("span_type", self.span_type),
            ("log_level", self.log_level),
        ]
    }

    /// Changed events by what was done.
    #[must_use]
    pub fn changed(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("redacted", self.redacted),
            ("truncated", self.truncated),
            ("adopted", self.adopted),
        ]
    }
}

/// How one exporter gets its events. No I/O, no clock.
pub trait Shaping: Send + Sync + 'static {
    /// Decides about events fresh from the queue, one verdict each, and remembers what later ones need.
    fn judge(&mut self, items: &[BatchItem]) -> Vec<Verdict>;

    /// A kept event as the component gets it.
    fn shape(&mut self, event: &Arc<Event>) -> Arc<Event>;

    /// Gives a kept span the nearest kept ancestor for a parent, as far as is known.
    fn adopt(&self, span: &mut SpanAncestor);

    /// So far.
    fn counts(&self) -> ShapeCounts;
}

/// For tests: every event goes as it came.
#[cfg(test)]
pub(crate) struct AsSent;

#[cfg(test)]
impl Shaping for AsSent {
    fn judge(&mut self, items: &[BatchItem]) -> Vec<Verdict> {
        vec![Verdict::Keep; items.len()]
    }

    fn shape(&mut self, event: &Arc<Event>) -> Arc<Event> {
        Arc::clone(event)
    }

    fn adopt(&self, _: &mut SpanAncestor) {}

    fn counts(&self) -> ShapeCounts {
        ShapeCounts::default()
    }
}

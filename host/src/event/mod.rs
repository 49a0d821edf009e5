//! The events of the five signals as the host holds them: the stored bytes, and typed records decoded from them.
//!
//! An [`Event`] is what receivers hand to the queue: the event's JSON text, cut from the request body without a copy,
//! with what was read of it on the way in. The typed records in [`records`] borrow from that text; they are decoded
//! when a batch is made for a component, so that an event costs its own bytes and little more while it waits.
//!
//! This room does no I/O and reads no clock. Everything to the right of `receive` may import it.

/// The SDK's own file: host and guests look at JSON text alike.
#[path = "../../../exporters/sdk/src/blocks.rs"]
mod blocks;
pub mod decode;
pub mod dropped;
pub(crate) mod escape;
pub mod fields;
pub mod instrument;
pub(crate) mod json;
pub mod keys;
mod marks;
pub mod per_signal;
pub mod records;
pub mod signal_set;
pub mod span_phases;
pub mod subject;
#[cfg(test)]
mod tests;
pub mod time;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One of the five signals. The order is the one of the contract's `signal` enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans of agents, models, tools, workflows.
    Traces,
    /// Log records.
    Logs,
    /// Measurements.
    Metrics,
    /// Evaluation results.
    Scores,
    /// What people said of an answer.
    Feedback,
}

impl Signal {
    /// All signals, in the contract's order.
    pub const ALL: [Self; 5] = [
        Self::Traces,
        Self::Logs,
        Self::Metrics,
        Self::Scores,
        Self::Feedback,
    ];

    /// The word used on the command line, in config, in metrics and as the WIT interface name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Scores => "scores",
            Self::Feedback => "feedback",
        }
    }

    /// Position in [`Signal::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The seven values of an event envelope's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `span_started`
    SpanStarted,
    /// `span_updated`
    SpanUpdated,
    /// `span_ended`
    SpanEnded,
    /// `log`
    Log,
    /// `metric`
    Metric,
    /// `score`
    Score,
    /// `feedback`
    Feedback,
}

impl EventKind {
    /// All kinds, in the order of the event model.
    pub const ALL: [Self; 7] = [
        Self::SpanStarted,
        Self::SpanUpdated,
        Self::SpanEnded,
        Self::Log,
        Self::Metric,
        Self::Score,
        Self::Feedback,
    ];

    /// The envelope's `type`.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::SpanStarted => "span_started",
            Self::SpanUpdated => "span_updated",
            Self::SpanEnded => "span_ended",
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Score => "score",
            Self::Feedback => "feedback",
        }
    }

    /// The envelope's key that holds the record.
    #[must_use]
    pub const fn payload_key(self) -> &'static str {
        match self {
            Self::SpanStarted | Self::SpanUpdated | Self::SpanEnded => "exportedSpan",
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Score => "score",
            Self::Feedback => "feedback",
        }
    }

    /// The signal that the event belongs to.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::SpanStarted | Self::SpanUpdated | Self::SpanEnded => Signal::Traces,
            Self::Log => Signal::Logs,
            Self::Metric => Signal::Metrics,
            Self::Score => Signal::Scores,
            Self::Feedback => Signal::Feedback,
        }
    }
}

/// Where an event came from. One for all events of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `platform`, `events` or `input`.
    pub receiver: String,
    /// From the request's path: `/projects/{id}/ai/...`.
    pub project_id: Option<String>,
    /// Label of the bearer token that the sender used.
    pub token_label: Option<String>,
}

/// Whether a text can be the id in `/projects/{id}/`; the official client takes no others.
#[must_use]
pub fn is_project_id(text: &str) -> bool {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !text.is_empty() && text.bytes().all(is_id)
}

/// One accepted event.
#[derive(Clone, Debug)]
pub struct Event {
    /// What the record is.
    pub kind: EventKind,
    /// The record's JSON text (not the envelope), checked: [`decode`] succeeds on it.
    pub payload: Bytes,
    /// Unix nanoseconds.
    pub received_at: u64,
    /// Who sent it.
    pub source: Arc<Source>,
    /// Equal for repeats of the same event: hash of kind, project and ids; for span updates of the content too.
    pub repeat_key: u128,
    /// Events that must stay in order among themselves have the same lane: by trace; metrics by series.
    pub lane: u64,
}

impl Event {
    /// The signal that the event belongs to.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.kind.signal()
    }

    /// Bytes that the event counts for in every bound on memory and batches.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.payload.len()
    }
}

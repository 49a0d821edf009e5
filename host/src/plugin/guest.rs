//! The border between `deliver` and the engine: a batch goes in, an answer comes out. Tests of `deliver` stand in for
//! the engine here.

use std::future::Future;
use std::sync::Arc;

use super::outcome::{CallError, Flushed, SendResult};
use crate::event::{Event, Signal};

/// Events of one signal for one exporter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch {
    /// All events are of this signal.
    pub signal: Signal,
    /// In the order of the queue, or of traces parents first; never empty.
    pub items: Arc<[BatchItem]>,
    /// `span-batch.ancestors`
    pub ancestors: Arc<[SpanAncestor]>,
}

/// `types.span-ancestor`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanAncestor {
    /// As in the events.
    pub trace_id: Arc<str>,
    /// As in the events.
    pub span_id: Arc<str>,
    /// As in the events.
    pub parent_span_id: Option<Arc<str>>,
    /// As in the events.
    pub name: Arc<str>,
    /// Unix nanoseconds.
    pub start_time: u64,
}

/// One event of a batch.
#[derive(Clone, Debug)]
pub struct BatchItem {
    /// The event's place in the log, unique for an exporter: the contract's token.
    pub token: u64,
    /// The event.
    pub event: Arc<Event>,
}

/// Something that takes batches: a pool of instances of one component.
pub trait Guest: Send + Sync + 'static {
    /// Hands over one batch and waits for the answer. Bounded in time by the engine's limits.
    ///
    /// # Errors
    /// See [`CallError`]; the events are the caller's to send again.
    fn send(&self, batch: Batch) -> impl Future<Output = Result<SendResult, CallError>> + Send;

    /// Asks a stateful component to deliver what it holds. Bounded as [`Guest::send`] is. The only moment at which a
    /// stateful component's instance is replaced without a fault. Starts no instance: where there is none, nothing is
    /// held.
    ///
    /// # Errors
    /// See [`CallError`]; the instance is gone, and nothing is held any more.
    fn flush(&self) -> impl Future<Output = Result<Flushed, CallError>> + Send;
}

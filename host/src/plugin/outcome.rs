//! What a component answers, in the host's own words: the contract's `send-result` without the engine's types, and the
//! ways in which a call can fail. `deliver` decides on these alone.

use std::time::Duration;

use crate::event::Signal;

/// `types.item-result`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// The backend has it.
    Delivered,
    /// The backend has no place for it: counted as filtered.
    Skipped(String),
    /// Not stored now: sent again.
    Retry(String),
    /// Will never be stored: dead letter.
    Rejected(String),
    /// Taken into the component's state; a flush reports it later.
    Held,
}

/// `types.send-outcome`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// All items had this fate.
    AllItems(ItemResult),
    /// One fate an item, in order; the engine has checked the length.
    PerItem(Vec<ItemResult>),
    /// Some were refused, nobody knows which: nothing is sent again. The engine has checked the count.
    Partial {
        /// At least 1, at most the batch's length.
        rejected_count: usize,
        /// What the backend said.
        reason: String,
    },
    /// The host halves the batch.
    TooLarge,
    /// Nothing was stored because of at least one item: the host bisects.
    Isolate(String),
    /// The credentials are refused: the exporter pauses.
    Unauthorized(String),
}

/// `types.not-before`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBefore {
    /// Whether it concerns the exporter's other signals too.
    pub whole_exporter: bool,
    /// No call before this has passed.
    pub wait: Duration,
}

/// `types.send-result`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// What became of the batch.
    pub outcome: SendOutcome,
    /// Rate limit or quota.
    pub not_before: Option<NotBefore>,
    /// A request of this call ended without an answer when the backend may have had it: what is to be sent again may be
    /// there already. Seen by the engine, not said by the component.
    pub has_unknown_outcome: bool,
    /// The instance that answered, which has what was held; see [`Flushed::holder`]. 0 for stateless components.
    pub holder: u64,
}

/// What `flush` of a stateful component came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// The instance that answered: each one of an exporter has a number of its own, from 1. 0 when there was none.
    pub holder: u64,
    /// What became of held items.
    pub acknowledged: Vec<Acknowledgement>,
    /// Whether the instance is gone after it: it held nothing in the first place, or was replaced. Nothing is held then.
    pub is_last: bool,
}

/// `lifecycle.acknowledgement`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The signal of all tokens.
    pub signal: Signal,
    /// As given in the batches; not checked.
    pub tokens: Vec<u64>,
    /// Of all of them.
    pub fate: ItemResult,
}

/// A call that gave no answer. The instance is gone; whether the backend stored anything is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Trap: a panic, an unreachable, an abort.
    #[error("component trapped: {0}")]
    Trap(String),
    /// Over the CPU budget of one call.
    #[error("component used more than {} ms of CPU in one call", .0.as_millis())]
    CpuTimeout(Duration),
    /// Over the wall-clock budget of one call.
    #[error("component did not answer within {} ms", .0.as_millis())]
    WallTimeout(Duration),
    /// Asked for more memory than it may have.
    #[error("component needed more than {limit_bytes} bytes of memory")]
    Memory {
        /// The limit.
        limit_bytes: usize,
    },
    /// Answered against the contract: a list of the wrong length, say.
    #[error("component broke the contract: {0}")]
    Contract(String),
    /// The host's own code panicked while it served the component. Counts as the component's fault, which has made it do so.
    #[error("the host failed in what it did for the component: {0}")]
    HostPanic(String),
    /// `configure` refused the settings.
    #[error("component refused its settings: {0}")]
    Settings(String),
    /// No instance can be started now: backing off or quarantined after repeated faults.
    #[error("component is {state} after repeated faults; next start in {} ms", .retry_in.as_millis())]
    NotRunning {
        /// `backing off` or `quarantined`.
        state: &'static str,
        /// When a call is worth trying again.
        retry_in: Duration,
    },
    /// The pool is shutting down.
    #[error("the host is stopping")]
    Stopping,
}

//! The queue: one log that every accepted event is written to once, and a cursor for each exporter that reads it.
//!
//! Receivers [`append`](Queue::append) and answer their client only after that has returned; delivery tasks read through
//! [`Cursor`]s. The queue decides what an exporter is owed (by [`Route`]), keeps the [`accounts`], drops repeats,
//! and says what it dropped. It refuses what does not fit; it never waits for room, because the sender keeps its copy.
//!
//! - *Order.* The log is five streams, one a signal, each with rising sequence numbers; no exporter call spans signals, so
//!   no order between them is kept. Order within a lane is the cursor's business ([`TakeLimits::busy_lanes`]).
//! - *Position.* Per exporter and signal: a low-water mark, and the acknowledged ranges above it. There are never more
//!   ranges than events taken, plus one.
//! - *Reclaim.* An event is freed when every cursor that it is owed to has settled it, wherever it lies in the log: a
//!   straggler does not pin what came after it.
//! - *Held events* are taken events; they count as queued, and wait again when the cursor is opened again.
//!
//! [`durable`] keeps all of it on disk; [`memory`] is the implementation without one. What both do alike is in `core`.
//!
//! [`Cursor`]: crate::deliver::source::Cursor
//! [`TakeLimits::busy_lanes`]: crate::deliver::source::TakeLimits::busy_lanes

pub mod accounts;
pub mod any;
mod column;
mod core;
mod cursor;
pub mod durable;
mod log;
pub mod memory;
mod ranges;
mod repeats;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::deliver::dead_letter::LettersReport;
use crate::deliver::source::Cursor;
use crate::event::Event;
use crate::event::per_signal::PerSignal;
use crate::route::Route;

use accounts::ExporterAccounts;

/// What the queue does for an exporter that is too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Refuse new events for everybody: nothing is lost, the senders wait.
    #[default]
    Refuse,
    /// Drop this exporter's oldest waiting events. What it has taken is not dropped.
    DropOldest,
}

/// Where a cursor begins in a signal that it has not read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the next event.
    #[default]
    Head,
    /// With the oldest event that is still kept for somebody.
    Oldest,
}

/// How a cursor is opened.
#[derive(Clone, Copy, Debug)]
pub struct CursorOptions {
    /// What the exporter is owed.
    pub route: Route,
    /// Where it begins. A cursor that is known goes on where it was.
    pub start: StartAt,
    /// When it falls behind.
    pub on_full: OnFull,
    /// How far it may fall behind, in bytes of events; may be exceeded by one group. `None`: as far as the queue goes.
    pub max_lag_bytes: Option<u64>,
}

/// What became of an accepted group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Events that are now in the log.
    pub accepted: u64,
    /// Events that were already there, and are not there twice.
    pub repeated: u64,
}

/// Why the queue did not do as asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No room now. The sender is to come again.
    #[error("queue is full ({used_bytes} of {capacity_bytes} bytes); come again in {} s", .retry_after.as_secs())]
    Full {
        /// In use.
        used_bytes: u64,
        /// The bound that was hit: the queue's, or an exporter's `max_lag_bytes`.
        capacity_bytes: u64,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// There is no memory left to remember more events in. The sender is to come again.
    #[error(
        "queue holds {events} events, whose index takes {index_bytes} of {max_index_bytes} bytes of memory; come again in {} s, or raise sending_queue.max_index_memory", .retry_after.as_secs()
    )]
    IndexFull {
        /// Waiting events.
        events: u64,
        /// What their index takes.
        index_bytes: u64,
        /// What it may take.
        max_index_bytes: u64,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The group can never fit.
    #[error(
        "group of {group_bytes} bytes is larger than the queue ({capacity_bytes} bytes); send less at once or raise the queue's size"
    )]
    GroupTooLarge {
        /// What the group needs.
        group_bytes: u64,
        /// The queue's bound.
        capacity_bytes: u64,
    },
    /// No cursor of this name.
    #[error("no exporter {exporter} is known to the queue")]
    UnknownExporter {
        /// Exporter id.
        exporter: String,
    },
    /// The queue takes no more: the host is stopping.
    #[error("queue is closed: the host is stopping")]
    Closed,
    /// The store failed.
    #[error("queue store failed: {cause}")]
    Store {
        /// What the store said.
        cause: String,
    },
}

/// One cursor's part of a [`QueueReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorReport {
    /// By signal.
    pub accounts: ExporterAccounts,
    /// Bytes of events that are queued for it.
    pub lag_bytes: u64,
    /// When the oldest event that is queued for it was received, unix nanoseconds.
    pub oldest_received_at: Option<u64>,
}

/// A consistent picture of the queue, for reports and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    /// By exporter id.
    pub cursors: BTreeMap<String, CursorReport>,
    /// Events in the log.
    pub events: u64,
    /// What they take.
    pub used_bytes: u64,
    /// What they may take.
    pub capacity_bytes: u64,
    /// Memory of the index of all events.
    pub index_bytes: u64,
    /// Events accepted since the start (or ever, for a durable queue).
    pub accepted: PerSignal<u64>,
    /// Repeats dropped.
    pub repeated: PerSignal<u64>,
    /// Groups refused because the queue was full.
    pub refused_groups: u64,
    /// What the index may take.
    pub max_index_bytes: u64,
    /// What is kept of dead letters.
    pub dead_letters: LettersReport,
}

/// One log with many cursors.
///
/// Open the cursors before the first append: an event that nobody is owed is counted and not kept.
pub trait Queue: Send + Sync + 'static {
    /// The place of one exporter.
    type Cursor: Cursor;

    /// Adds a group of events and returns when they are as safe as this queue makes them, all or none.
    ///
    /// A repeat of an event of the window ([`Event::repeat_key`]) is dropped and counted, within the group too. When the
    /// group is refused none of it is remembered. Dropping the future leaves open whether the group was added.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::GroupTooLarge`], [`QueueError::Closed`], [`QueueError::Store`].
    fn append(
        &self,
        events: Vec<Event>,
    ) -> impl Future<Output = Result<Appended, QueueError>> + Send;

    /// The cursor of an exporter. One that is known goes on where it was: what its last handle had taken waits again, and
    /// that handle is of no more use. Signals that the route no longer has are dropped and counted, new ones begin at
    /// [`CursorOptions::start`].
    ///
    /// # Errors
    /// [`QueueError::Store`].
    fn open(
        &self,
        exporter_id: &str,
        options: CursorOptions,
    ) -> impl Future<Output = Result<Self::Cursor, QueueError>> + Send;

    /// Removes an exporter's cursor and lets go of what was queued for it. Returns its last accounts, with that counted
    /// as dropped.
    ///
    /// # Errors
    /// [`QueueError::UnknownExporter`], [`QueueError::Store`].
    fn forget(
        &self,
        exporter_id: &str,
    ) -> impl Future<Output = Result<ExporterAccounts, QueueError>> + Send;

    /// Refuses every later append; cursors go on.
    fn close(&self);

    /// What lies where, and what became of the rest.
    fn report(&self) -> QueueReport;
}

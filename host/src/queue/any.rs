//! The queue that the operator chose: in memory or on disk. Only hands calls on.

use super::accounts::ExporterAccounts;
use super::durable::{DurableCursor, DurableQueue};
use super::memory::{MemoryCursor, MemoryQueue};
use super::{Appended, CursorOptions, Queue, QueueError, QueueReport};
use crate::deliver::source::{Cursor, CursorError, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::{Event, Signal};
use crate::plugin::guest::BatchItem;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub enum AnyQueue {
    /// What waits is lost with the process.
    Memory(MemoryQueue),
    /// What was accepted survives.
    Durable(DurableQueue),
}

/// A cursor of an [`AnyQueue`].
pub enum AnyCursor {
    /// Of a queue in memory.
    Memory(MemoryCursor),
    /// Of a queue on disk.
    Durable(DurableCursor),
}

impl AnyQueue {
    /// Writes what is left and gives the store up. Everything later fails.
    pub async fn shut_down(&self) {
        match self {
            Self::Memory(queue) => queue.close(),
            Self::Durable(queue) => queue.shut_down().await,
        }
    }

    /// No exporter of this id runs any more. Its place is kept for as long as the queue is told to.
    ///
    /// # Errors
    /// [`QueueError::Store`]
    pub async fn leave(&self, exporter_id: &str) -> Result<(), QueueError> {
        match self {
            Self::Memory(queue) => {
                queue.leave(exporter_id);
                Ok(())
            }
            Self::Durable(queue) => queue.leave(exporter_id).await,
        }
    }

    /// The exporter is wanted, though it does not run: its place does not grow old.
    ///
    /// # Errors
    /// [`QueueError::Store`]
    pub async fn stay(&self, exporter_id: &str) -> Result<(), QueueError> {
        match self {
            Self::Memory(queue) => {
                queue.stay(exporter_id);
                Ok(())
            }
            Self::Durable(queue) => queue.stay(exporter_id).await,
        }
    }

    /// Why nothing more is accepted, if the store is broken.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Durable(queue) => queue.broken(),
        }
    }

    /// Whether what has no fate when the process ends is there when it starts again.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        matches!(self, Self::Durable(_))
    }
}

impl Queue for AnyQueue {
    type Cursor = AnyCursor;

    async fn append(&self, events: Vec<Event>) -> Result<Appended, QueueError> {
        match self {
            Self::Memory(queue) => queue.append(events).await,
            Self::Durable(queue) => queue.append(events).await,
        }
    }

    async fn open(
        &self,
        exporter_id: &str,
        options: CursorOptions,
    ) -> Result<AnyCursor, QueueError> {
        match self {
            Self::Memory(queue) => queue
                .open(exporter_id, options)
                .await
                .map(AnyCursor::Memory),
            Self::Durable(queue) => queue
                .open(exporter_id, options)
                .await
                .map(AnyCursor::Durable),
        }
    }

    async fn forget(&self, exporter_id: &str) -> Result<ExporterAccounts, QueueError> {
        match self {
            Self::Memory(queue) => queue.forget(exporter_id).await,
            Self::Durable(queue) => queue.forget(exporter_id).await,
        }
    }

    fn close(&self) {
        match self {
            Self::Memory(queue) => queue.close(),
            Self::Durable(queue) => queue.close(),
        }
    }

    fn report(&self) -> QueueReport {
        match self {
            Self::Memory(queue) => queue.report(),
            Self::Durable(queue) => queue.report(),
        }
    }
}

impl Cursor for AnyCursor {
    fn exporter_id(&self) -> &str {
        match self {
            Self::Memory(cursor) => cursor.exporter_id(),
            Self::Durable(cursor) => cursor.exporter_id(),
        }
    }

    fn waiting(&self) -> PerSignal<Waiting> {
        match self {
            Self::Memory(cursor) => cursor.waiting(),
            Self::Durable(cursor) => cursor.waiting(),
        }
    }

    async fn grown(&self) {
        match self {
            Self::Memory(cursor) => cursor.grown().await,
            Self::Durable(cursor) => cursor.grown().await,
        }
    }

    async fn take(
        &self,
        signal: Signal,
        limits: TakeLimits<'_>,
    ) -> Result<Vec<BatchItem>, CursorError> {
        match self {
            Self::Memory(cursor) => cursor.take(signal, limits).await,
            Self::Durable(cursor) => cursor.take(signal, limits).await,
        }
    }

    async fn read(&self, signal: Signal, tokens: &[u64]) -> Result<Vec<BatchItem>, CursorError> {
        match self {
            Self::Memory(cursor) => cursor.read(signal, tokens).await,
            Self::Durable(cursor) => cursor.read(signal, tokens).await,
        }
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), CursorError> {
        match self {
            Self::Memory(cursor) => cursor.settle(settlement).await,
            Self::Durable(cursor) => cursor.settle(settlement).await,
        }
    }

    async fn release(&self, signal: Signal, tokens: Vec<Tokens>) -> Result<(), CursorError> {
        match self {
            Self::Memory(cursor) => cursor.release(signal, tokens).await,
            Self::Durable(cursor) => cursor.release(signal, tokens).await,
        }
    }
}

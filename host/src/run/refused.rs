//! Where refused items go: to the queue's dead letters on disk, or to a bounded list in memory.

use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::deliver::dead_letter::{DeadLetter, LetterBounds, MemoryDeadLetters};
use crate::queue::any::AnyQueue;
use crate::queue::durable::DurableQueue;
use crate::receive::KeepRefused;

/// Keeps what receivers and readers refuse.
pub struct Refused {
    place: Place,
    writes: TaskTracker,
}

enum Place {
    Memory(MemoryDeadLetters),
    Disk(DurableQueue),
}

impl Refused {
    /// `bounds` are those of what is kept in memory; a queue on disk has its own.
    pub(super) fn new(queue: &AnyQueue, bounds: LetterBounds) -> Self {
        Self {
            place: match queue {
                AnyQueue::Memory(_) => Place::Memory(MemoryDeadLetters::new(bounds)),
                AnyQueue::Durable(queue) => Place::Disk(queue.clone()),
            },
            writes: TaskTracker::new(),
        }
    }

    /// Waits until all that was handed over is written.
    pub(super) async fn finish(&self) {
        self.writes.close();
        self.writes.wait().await;
    }
}

impl KeepRefused for Refused {
    /// Written soon: the sender is told of its mistake at once.
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64) {
        if not_kept > 0 {
            warn!(
                items = not_kept,
                "Refused items were not kept: too many in one request."
            );
        }
        if letters.is_empty() {
            return;
        }
        match &self.place {
            Place::Memory(kept) => letters.into_iter().for_each(|letter| {
                kept.push(letter);
            }),
            Place::Disk(queue) => {
                let queue = queue.clone();
                self.writes.spawn(async move {
                    if let Err(error) = queue.keep(letters).await {
                        error!(%error, "Refused items were not kept.");
                    }
                });
            }
        }
    }
}

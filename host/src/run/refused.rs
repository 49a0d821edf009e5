//! Where refused items go: to the queue's dead letters on disk, or to a ring in memory.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::deliver::dead_letter::{self, DeadLetters as _, Origin};
use crate::queue::any::AnyQueue;
use crate::queue::durable::DurableQueue;
use crate::receive::dead_letter::{DeadLetter, DeadLetters, Ring};

/// Keeps what receivers and readers refuse.
pub struct Refused {
    place: Place,
    writes: TaskTracker,
}

enum Place {
    Memory(Ring),
    Disk(DurableQueue),
}

impl Refused {
    pub(super) fn new(queue: &AnyQueue) -> Self {
        Self {
            place: match queue {
                AnyQueue::Memory(_) => Place::Memory(Ring::default()),
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

impl DeadLetters for Refused {
    /// Written soon: the sender is told of its mistake at once.
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64) {
        match &self.place {
            Place::Memory(ring) => ring.keep(letters, not_kept),
            Place::Disk(queue) => {
                if not_kept > 0 {
                    warn!(
                        items = not_kept,
                        "Refused items were not kept: too many in one request."
                    );
                }
                if letters.is_empty() {
                    return;
                }
                let queue = queue.clone();
                let letters = letters.into_iter().map(of_receiver).collect();
                self.writes.spawn(async move {
                    if let Err(error) = queue.keep(letters).await {
                        error!(%error, "Refused items were not kept.");
                    }
                });
            }
        }
    }
}

fn of_receiver(letter: DeadLetter) -> dead_letter::DeadLetter {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let place = match letter.field.as_str() {
        "" => format!("item {}", letter.index),
        field => format!("item {}, field {field}", letter.index),
    };
    dead_letter::DeadLetter {
        origin: Origin::Receiver(letter.source.receiver.as_str().into()),
        kind: letter.kind,
        payload: letter.payload,
        source: Arc::clone(&letter.source),
        reason: format!("{place}: {}", letter.reason).into(),
        attempts: 0,
        received_at: letter.received_at,
        dead_at: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
    }
}

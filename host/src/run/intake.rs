//! Joins the receivers to the queue: the one's question in the other's words. Sees when the queue's writer makes no
//! progress with what receivers have handed over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::queue::any::AnyQueue;
use crate::queue::{Queue, QueueError};
use crate::receive::{Accepted, Intake, IntakeError};

/// Groups of events that receivers have handed to the queue and wait for.
#[derive(Debug, Default)]
pub(super) struct Appends {
    state: Mutex<Waiting>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    groups: usize,
    /// When the queue last answered for one, or when the first of them came.
    progress: Option<Instant>,
}

impl Appends {
    /// How long the queue has answered for none of the groups that wait; `None` if none waits.
    pub(super) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let Waiting { groups, progress } = *self.lock();
        progress
            .filter(|_| groups > 0)
            .map(|progress| now.saturating_duration_since(progress))
    }

    fn begin(&self) -> Append<'_> {
        let mut state = self.lock();
        if state.groups == 0 {
            state.progress = Some(Instant::now());
        }
        state.groups += 1;
        Append(self)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group; ends with the answer, or with a receiver that no longer waits for it.
struct Append<'a>(&'a Appends);

impl Append<'_> {
    /// The queue has answered.
    fn answered(&self) {
        self.0.lock().progress = Some(Instant::now());
    }
}

impl Drop for Append<'_> {
    fn drop(&mut self) {
        self.0.lock().groups -= 1;
    }
}

/// The queue as receivers see it.
#[derive(Clone)]
pub struct QueueIntake {
    pub(super) queue: AnyQueue,
    pub(super) appends: Arc<Appends>,
}

impl Intake for QueueIntake {
    async fn accept(&self, events: Vec<Event>) -> Result<Accepted, IntakeError> {
        let append = self.appends.begin();
        let appended = self.queue.append(events).await;
        append.answered();
        let appended = appended.map_err(|error| match error {
            QueueError::Full { retry_after, .. } | QueueError::IndexFull { retry_after, .. } => {
                IntakeError::Full { retry_after }
            }
            QueueError::GroupTooLarge { capacity_bytes, .. } => IntakeError::TooLarge {
                limit_bytes: usize::try_from(capacity_bytes).unwrap_or(usize::MAX),
            },
            QueueError::Closed => IntakeError::Stopping,
            QueueError::Store { .. } | QueueError::UnknownExporter { .. } => {
                IntakeError::Failed(error.to_string())
            }
        })?;
        Ok(Accepted {
            accepted: appended.accepted,
            repeated: appended.repeated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn groups_that_wait_while_none_is_answered_are_a_stall() {
        const SECOND: Duration = Duration::from_secs(1);
        let appends = Appends::default();
        assert_eq!(appends.stalled_for(Instant::now()), None);
        let first = appends.begin();
        tokio::time::advance(3 * SECOND).await;
        let second = appends.begin();
        tokio::time::advance(SECOND).await;
        assert_eq!(appends.stalled_for(Instant::now()), Some(4 * SECOND));
        first.answered();
        drop(first);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(appends.stalled_for(Instant::now()), Some(2 * SECOND));
        drop(second);
        assert_eq!(appends.stalled_for(Instant::now()), None);
        tokio::time::advance(60 * SECOND).await;
        let _third = appends.begin();
        assert_eq!(appends.stalled_for(Instant::now()), Some(Duration::ZERO));
    }
}

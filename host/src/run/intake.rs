//! Joins the receivers to the queue: the one's question in the other's words.

use crate::event::Event;
use crate::queue::any::AnyQueue;
use crate::queue::{Queue, QueueError};
use crate::receive::{Accepted, Intake, IntakeError};

/// The queue as receivers see it.
#[derive(Clone)]
pub struct QueueIntake(pub(super) AnyQueue);

impl Intake for QueueIntake {
    async fn accept(&self, events: Vec<Event>) -> Result<Accepted, IntakeError> {
        let appended = self.0.append(events).await.map_err(|error| match error {
            QueueError::Full { retry_after, .. } => IntakeError::Full { retry_after },
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

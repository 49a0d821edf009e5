//! Opens the queue that the operator chose.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, QueueStorage};
use crate::deliver::dead_letter::MemoryDeadLetters;
use crate::queue::any::AnyQueue;
use crate::queue::durable::{DurableQueue, DurableQueueSettings, OpenError};
use crate::queue::memory::{MemoryQueue, MemoryQueueSettings};

/// Bytes of exporters' dead letters that are kept in memory; the oldest go first.
const DEAD_LETTER_BYTES: u64 = 64 << 20;

/// The queue's part of the data directory.
pub const QUEUE_DIRECTORY: &str = "queue";

/// The queue of a host: on disk below `data_dir`, unless the config or `data_dir` says otherwise (`None`: in memory).
///
/// # Errors
/// The directory cannot be used.
pub fn open(config: &Config, data_dir: Option<&Path>) -> Result<AnyQueue, OpenError> {
    match (config.sending_queue.storage, data_dir) {
        (QueueStorage::Disk, Some(data_dir)) => {
            let directory = data_dir.join(QUEUE_DIRECTORY);
            DurableQueue::open(&directory, durable(config)).map(AnyQueue::Durable)
        }
        _ => {
            let settings = MemoryQueueSettings {
                capacity_bytes: config.sending_queue.max_memory_bytes,
                repeat_window: config.sending_queue.repeat_window,
                retire_after: config.sending_queue.retire_after,
                ..MemoryQueueSettings::default()
            };
            let dead_letters = Arc::new(MemoryDeadLetters::new(DEAD_LETTER_BYTES));
            Ok(AnyQueue::Memory(MemoryQueue::new(settings, dead_letters)))
        }
    }
}

fn durable(config: &Config) -> DurableQueueSettings {
    DurableQueueSettings {
        max_disk_bytes: config.sending_queue.max_disk_bytes,
        repeat_window: config.sending_queue.repeat_window,
        retire_after: config.sending_queue.retire_after,
        ..DurableQueueSettings::default()
    }
}

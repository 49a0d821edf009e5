//! Opens the queue that the operator chose.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, QueueStorage};
use crate::deliver::dead_letter::{LetterBounds, MemoryDeadLetters};
use crate::queue::any::AnyQueue;
use crate::queue::durable::{DurableQueue, DurableQueueSettings, OpenError};
use crate::queue::memory::{MemoryQueue, MemoryQueueSettings};

/// Parts of a queue in memory that dead letters may take beside its events.
const EXPORTER_SHARE: u64 = 4;
const RECEIVER_SHARE: u64 = 16;

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
            let bounds = in_memory(
                config,
                config.sending_queue.dead_letters.exporters,
                EXPORTER_SHARE,
            );
            let dead_letters = Arc::new(MemoryDeadLetters::new(bounds));
            Ok(AnyQueue::Memory(MemoryQueue::new(settings, dead_letters)))
        }
    }
}

/// Bounds of what receivers refuse where the queue is in memory.
pub(super) fn refused_in_memory(config: &Config) -> LetterBounds {
    in_memory(
        config,
        config.sending_queue.dead_letters.receivers,
        RECEIVER_SHARE,
    )
}

fn in_memory(config: &Config, letters: LetterBounds, share: u64) -> LetterBounds {
    let max_bytes = config.sending_queue.max_memory_bytes / share;
    LetterBounds {
        max_bytes: letters.max_bytes.min(max_bytes),
        ..letters
    }
}

fn durable(config: &Config) -> DurableQueueSettings {
    DurableQueueSettings {
        max_disk_bytes: config.sending_queue.max_disk_bytes,
        repeat_window: config.sending_queue.repeat_window,
        retire_after: config.sending_queue.retire_after,
        max_index_bytes: config.sending_queue.max_index_bytes,
        exporter_letters: config.sending_queue.dead_letters.exporters,
        receiver_letters: config.sending_queue.dead_letters.receivers,
        ..DurableQueueSettings::default()
    }
}

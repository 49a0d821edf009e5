//! The section `sending_queue`: where events wait, how many may, and what is kept of those that were given up.

use super::problem::Problems;
use super::read::Section;
use super::units::show_size;
use super::{DeadLetters, QueueStorage, SendingQueue, defaults};
use crate::deliver::dead_letter::LetterBounds;

/// `sending_queue`
pub(super) fn read(mut section: Section<'_>, problems: &Problems) -> SendingQueue {
    let choices = [
        ("disk", QueueStorage::Disk),
        ("memory", QueueStorage::Memory),
    ];
    let storage = section.choice("storage", QueueStorage::Disk, &choices);
    let max_disk_bytes = section.size("max_disk", defaults::QUEUE_MAX_DISK_BYTES);
    if max_disk_bytes < defaults::LEAST_QUEUE_DISK_BYTES {
        problems.add_with_fix(
            section.place("max_disk"),
            &section.path_of("max_disk"),
            format!("{} is too little", show_size(max_disk_bytes)),
            format!(
                "write at least {}",
                show_size(defaults::LEAST_QUEUE_DISK_BYTES)
            ),
        );
    }
    let retire_after = section.duration("retire_after", defaults::RETIRE_AFTER);
    let max_memory_bytes = section.size("max_memory", defaults::QUEUE_MAX_MEMORY_BYTES);
    let repeat_window = section.duration("repeat_window", defaults::REPEAT_WINDOW);
    let max_index_bytes = section.size("max_index_memory", defaults::QUEUE_MAX_INDEX_BYTES);
    if max_index_bytes < defaults::LEAST_QUEUE_INDEX_BYTES {
        problems.add_with_fix(
            section.place("max_index_memory"),
            &section.path_of("max_index_memory"),
            format!("{} is too little", show_size(max_index_bytes)),
            format!(
                "write at least {}",
                show_size(defaults::LEAST_QUEUE_INDEX_BYTES)
            ),
        );
    }
    let dead_letters = dead_letters(section.child("dead_letters"), max_disk_bytes, problems);
    section.finish();
    SendingQueue {
        storage,
        max_disk_bytes,
        retire_after,
        max_memory_bytes,
        repeat_window,
        max_index_bytes,
        dead_letters,
    }
}

fn dead_letters(mut section: Section<'_>, max_disk_bytes: u64, problems: &Problems) -> DeadLetters {
    let mut of = |key, default: u64| {
        let mut own = section.child(key);
        let bounds = LetterBounds {
            max_bytes: own.size("max_size", default),
            max_age: own.positive_duration("max_age", defaults::LETTERS_AGE),
        };
        own.finish();
        bounds
    };
    let exporters = of(
        "exporters",
        defaults::EXPORTER_LETTERS_BYTES.min(max_disk_bytes / 8),
    );
    let receivers = of(
        "receivers",
        defaults::RECEIVER_LETTERS_BYTES.min(max_disk_bytes / 32),
    );
    let both = exporters.max_bytes.saturating_add(receivers.max_bytes);
    if both > max_disk_bytes / 2 {
        let message = format!(
            "dead letters of {} leave too little of sending_queue.max_disk ({}) for events",
            show_size(both),
            show_size(max_disk_bytes)
        );
        problems.add_with_fix(
            section.at(),
            &section.path_of("exporters.max_size"),
            message,
            "write sizes that come to half of it at most, or raise max_disk",
        );
    }
    section.finish();
    DeadLetters {
        exporters,
        receivers,
    }
}

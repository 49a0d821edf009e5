//! How an exporter is delivered: its `sending_queue`, `batch`, `retry_on_failure` and `num_consumers`.

use std::time::Duration;

use super::problem::Problems;
use super::read::Section;
use super::units::{show_duration, show_size};
use super::{
    Batch, Delivery, ExporterQueue, OnFull, OnUnknownOutcome, Retry, SendingQueue, StartAt,
    defaults,
};

/// Reads the keys of an exporter that say how it is delivered.
pub(super) fn read(
    section: &mut Section<'_>,
    host_queue: &SendingQueue,
    problems: &Problems,
) -> Delivery {
    let mut queue = section.child("sending_queue");
    let on_full = queue.choice(
        "on_full",
        OnFull::Refuse,
        &[
            ("refuse", OnFull::Refuse),
            ("drop_oldest", OnFull::DropOldest),
        ],
    );
    let max_lag_bytes = queue.optional_size("max_lag_bytes");
    let places = [("head", StartAt::Head), ("oldest", StartAt::Oldest)];
    let start_at = queue.choice("start_at", StartAt::Head, &places);
    queue.finish();
    let batch = batch(section.child("batch"), host_queue, problems);
    let retry = retry(section.child("retry_on_failure"), problems);
    let num_consumers = section.count(
        "num_consumers",
        defaults::NUM_CONSUMERS,
        defaults::MAX_NUM_CONSUMERS,
    );
    Delivery {
        queue: ExporterQueue {
            on_full,
            max_lag_bytes,
            start_at,
        },
        batch,
        retry,
        num_consumers,
    }
}

fn batch(mut section: Section<'_>, host_queue: &SendingQueue, problems: &Problems) -> Batch {
    let max_items = section.count("max_items", defaults::BATCH_MAX_ITEMS, 1_000_000);
    let max_bytes = section.size("max_bytes", defaults::BATCH_MAX_BYTES);
    if max_bytes < defaults::LEAST_BATCH_BYTES || max_bytes > host_queue.max_memory_bytes {
        let message = format!("{} is out of range", show_size(max_bytes));
        let fix = format!(
            "write a size from {} to {} (sending_queue.max_memory)",
            show_size(defaults::LEAST_BATCH_BYTES),
            show_size(host_queue.max_memory_bytes)
        );
        problems.add_with_fix(
            section.place("max_bytes"),
            &section.path_of("max_bytes"),
            message,
            fix,
        );
    }
    let timeout = section.duration("timeout", defaults::BATCH_TIMEOUT);
    section.finish();
    Batch {
        max_items,
        max_bytes,
        timeout,
    }
}

fn retry(mut section: Section<'_>, problems: &Problems) -> Retry {
    let initial_interval =
        section.positive_duration("initial_interval", defaults::RETRY_INITIAL_INTERVAL);
    let max_interval = section.positive_duration("max_interval", defaults::RETRY_MAX_INTERVAL);
    let max_elapsed_time = section.duration("max_elapsed_time", defaults::RETRY_MAX_ELAPSED_TIME);
    let choices = [
        ("resend", OnUnknownOutcome::Resend),
        ("dead_letter", OnUnknownOutcome::DeadLetter),
    ];
    let on_unknown_outcome =
        section.choice("on_unknown_outcome", OnUnknownOutcome::Resend, &choices);
    if initial_interval > max_interval {
        let message = format!(
            "the first wait of {} is longer than max_interval of {}",
            show_duration(initial_interval),
            show_duration(max_interval)
        );
        problems.add_with_fix(
            section.place("initial_interval"),
            &section.path_of("initial_interval"),
            message,
            "lower the one or raise the other",
        );
    }
    section.finish();
    let max_elapsed_time = (max_elapsed_time > Duration::ZERO).then_some(max_elapsed_time);
    Retry {
        initial_interval,
        max_interval,
        max_elapsed_time,
        on_unknown_outcome,
    }
}

//! What the receivers count. Read by the page of the host's own metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::event::Signal;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Counts {
    requests: AtomicU64,
    refused_requests: AtomicU64,
    received_bytes: AtomicU64,
    accepted: AtomicU64,
    repeated: AtomicU64,
    refused_items: AtomicU64,
    drop_reports: AtomicU64,
    dropped_upstream: [AtomicU64; 5],
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests to receivers.
    pub requests: u64,
    /// Of these, answered with another status than 200.
    pub refused_requests: u64,
    /// Bytes of bodies, after decompression.
    pub received_bytes: u64,
    /// New events taken by the queue.
    pub accepted: u64,
    /// Events known already.
    pub repeated: u64,
    /// Items refused in requests that were read.
    pub refused_items: u64,
    /// `drop` meta-events.
    pub drop_reports: u64,
    /// Events that applications said they dropped, in the order of [`Signal::ALL`].
    pub dropped_upstream: [u64; 5],
}

impl Counts {
    /// All counters now. Each is exact; they are not read at one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            requests: self.requests.load(Relaxed),
            refused_requests: self.refused_requests.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
            refused_items: self.refused_items.load(Relaxed),
            drop_reports: self.drop_reports.load(Relaxed),
            dropped_upstream: self
                .dropped_upstream
                .each_ref()
                .map(|count| count.load(Relaxed)),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn refused_request(&self) {
        self.refused_requests.fetch_add(1, Relaxed);
    }

    pub(super) fn body(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn taken(&self, accepted: super::Accepted, refused_items: u64) {
        self.accepted.fetch_add(accepted.accepted, Relaxed);
        self.repeated.fetch_add(accepted.repeated, Relaxed);
        self.refused_items.fetch_add(refused_items, Relaxed);
    }

    pub(super) fn drop_report(&self, signal: Signal, count: u64) {
        self.drop_reports.fetch_add(1, Relaxed);
        if let Some(dropped) = self.dropped_upstream.get(signal.index()) {
            dropped.fetch_add(count, Relaxed);
        }
    }
}

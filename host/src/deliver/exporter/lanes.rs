//! What the delivery task does for a component that wants order: events of one lane (a trace; of metrics, a series) are in
//! one call at a time, and what waits for another try holds up its own lanes alone.

use std::collections::HashSet;

use super::ExporterTask;
use crate::config::component::Grouping;
use crate::deliver::jobs::Job;
use crate::deliver::source::Cursor;
use crate::event::Signal;
use crate::plugin::guest::{BatchItem, Guest};

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    pub(super) fn is_ordered(&self) -> bool {
        self.settings.grouping == Grouping::Ordered
    }

    /// The lanes of a signal that are in a call or wait for another try, when order matters.
    pub(super) fn busy_lanes(&self, signal: Signal) -> Option<HashSet<u64>> {
        let calls = self.calls.values().map(|call| &call.job);
        let jobs = calls.chain(self.jobs.iter());
        let of_signal = jobs.filter(|job| job.signal == signal);
        self.is_ordered()
            .then(|| of_signal.flat_map(lanes).map(|(_, lane)| lane).collect())
    }

    /// The positions of jobs that must wait for another one: a lane of theirs is in a call, or in a job with older
    /// events.
    pub(super) fn blocked_jobs(&self) -> HashSet<usize> {
        if !self.is_ordered() || self.jobs.items() == 0 {
            return HashSet::new();
        }
        let calls = self.calls.values().map(|call| &call.job);
        let mut busy: HashSet<(Signal, u64)> = calls.flat_map(lanes).collect();
        let mut jobs: Vec<_> = self.jobs.iter().enumerate().collect();
        jobs.sort_by_key(|(_, job)| job.items.first().map(|item| item.token));
        let mut blocked = HashSet::new();
        for (position, job) in jobs {
            if lanes(job).any(|lane| busy.contains(&lane)) {
                blocked.insert(position);
            }
            busy.extend(lanes(job));
        }
        blocked
    }

    /// Takes out of a batch fresh from the queue what must wait for a job.
    pub(super) fn split_busy(&self, signal: Signal, items: &mut Vec<BatchItem>) -> Vec<BatchItem> {
        let Some(busy) = self.busy_lanes(signal) else {
            return Vec::new();
        };
        let waits = |item: &mut BatchItem| busy.contains(&item.event.lane);
        items.extract_if(.., waits).collect()
    }
}

fn lanes(job: &Job) -> impl Iterator<Item = (Signal, u64)> {
    job.items.iter().map(|item| (job.signal, item.event.lane))
}

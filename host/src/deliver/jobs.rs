//! Batches that were called at least once and have no fate yet: the retries of one exporter. Pure bookkeeping.

use std::sync::Arc;

use tokio::time::Instant;

use super::batch::BatchLimits;
use super::groups::Shape;
use super::held::Tries;
use super::source::Tokens;
use crate::event::Signal;
use crate::plugin::guest::BatchItem;

/// Events of one signal that are called together, with their history.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) signal: Signal,
    /// Rising by token; of whole traces parents first.
    pub(crate) items: Arc<[BatchItem]>,
    /// Calls that the events took part in.
    pub(crate) attempts: u32,
    /// Failures in a row, for the backoff.
    pub(crate) failures: u32,
    /// Faults that they may have caused.
    pub(crate) faults: u32,
    /// How many batches of the signal were delivered before the first of these faults.
    pub(crate) deliveries_before_fault: u64,
    /// When they first failed; not counted while the exporter is paused.
    pub(crate) failing_since: Option<Instant>,
    /// Not called before.
    pub(crate) due: Instant,
    /// Single items of a batch, which may be sent with others.
    pub(crate) is_mergeable: bool,
    /// The skeletons of whole traces' spans.
    pub(crate) shape: Option<Arc<Shape>>,
}

impl Job {
    /// A batch fresh from the queue.
    pub(crate) fn new(signal: Signal, items: Vec<BatchItem>, now: Instant) -> Self {
        Self {
            signal,
            items: items.into(),
            attempts: 0,
            failures: 0,
            faults: 0,
            deliveries_before_fault: 0,
            failing_since: None,
            due: now,
            is_mergeable: false,
            shape: None,
        }
    }

    /// The batch, with what its events have been through.
    pub(crate) fn with(mut self, tries: Tries) -> Self {
        self.attempts = tries.attempts;
        self.failures = tries.failures;
        self.failing_since = tries.failing_since;
        self
    }

    /// What its events have been through, with the call that has just ended.
    pub(crate) const fn tries(&self) -> Tries {
        Tries {
            attempts: self.attempts + 1,
            failures: self.failures,
            failing_since: self.failing_since,
        }
    }

    pub(crate) fn tokens(&self) -> Vec<Tokens> {
        Tokens::runs(self.items.iter().map(|item| item.token))
    }

    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.event.size_bytes()).sum()
    }

    /// Takes `other` in, if both are single items with like histories and fit one batch.
    fn merge(&mut self, other: &Self, limits: &BatchLimits) -> bool {
        let is_alike = self.is_mergeable
            && other.is_mergeable
            && self.signal == other.signal
            && self.failures == other.failures
            && self.faults == other.faults;
        let fits = || {
            self.items.len() + other.items.len() <= limits.max_items
                && self.bytes() + other.bytes() <= limits.max_bytes
        };
        if !is_alike || !fits() {
            return false;
        }
        let mut items: Vec<_> = self
            .items
            .iter()
            .chain(other.items.iter())
            .cloned()
            .collect();
        items.sort_unstable_by_key(|item| item.token);
        self.items = items.into();
        self.attempts = self.attempts.max(other.attempts);
        self.deliveries_before_fault = self
            .deliveries_before_fault
            .max(other.deliveries_before_fault);
        self.failing_since = self.failing_since.min(other.failing_since);
        self.due = self.due.max(other.due);
        true
    }
}

/// The waiting retries.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<Job>,
    items: usize,
    bytes: usize,
}

impl Jobs {
    /// Adds a job, to one like it if there is one.
    pub(crate) fn push(&mut self, job: Job, limits: &BatchLimits) {
        self.items += job.items.len();
        self.bytes += job.bytes();
        if !self
            .jobs
            .iter_mut()
            .any(|waiting| waiting.merge(&job, limits))
        {
            self.jobs.push(job);
        }
    }

    /// Takes a job out by its position in [`Jobs::iter`].
    pub(crate) fn remove(&mut self, position: usize) -> Option<Job> {
        let job = (position < self.jobs.len()).then(|| self.jobs.swap_remove(position))?;
        self.items -= job.items.len();
        self.bytes -= job.bytes();
        Some(job)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.jobs.iter_mut()
    }

    /// Events in all jobs.
    pub(crate) const fn items(&self) -> usize {
        self.items
    }

    /// Their sizes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Job> {
        (self.items, self.bytes) = (0, 0);
        self.jobs.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, EventKind};

    fn straggler(tokens: &[u64], failures: u32, due: Instant) -> Job {
        let event = Event {
            kind: EventKind::SpanEnded,
            payload: bytes::Bytes::from_static(&[b' '; 10]),
            received_at: 0,
            source: Arc::default(),
            repeat_key: 0,
            lane: 0,
        };
        let event = Arc::new(event);
        let items = tokens
            .iter()
            .map(|token| BatchItem {
                token: *token,
                event: Arc::clone(&event),
            })
            .collect();
        Job {
            failures,
            is_mergeable: true,
            failing_since: Some(due),
            ..Job::new(Signal::Traces, items, due)
        }
    }

    #[tokio::test]
    async fn stragglers_with_like_histories_go_together_in_order_up_to_a_full_batch() {
        let limits = BatchLimits {
            max_items: 4,
            max_bytes: 1000,
            max_age: Duration::ZERO,
        };
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut jobs = Jobs::default();
        jobs.push(straggler(&[5, 6], 1, later), &limits);
        jobs.push(straggler(&[2], 1, now), &limits);
        jobs.push(straggler(&[3], 2, now), &limits);
        jobs.push(
            Job {
                is_mergeable: false,
                ..straggler(&[4], 1, now)
            },
            &limits,
        );
        jobs.push(straggler(&[7, 8], 1, now), &limits);
        let tokens: Vec<Vec<u64>> = jobs
            .iter()
            .map(|job| job.items.iter().map(|item| item.token).collect())
            .collect();
        assert_eq!(tokens, [vec![2, 5, 6], vec![3], vec![4], vec![7, 8]]);
        let merged = jobs.iter().next().map(|job| (job.due, job.failing_since));
        assert_eq!(
            merged,
            Some((later, Some(now))),
            "not before either is due; the older failure counts"
        );
        assert_eq!((jobs.items(), jobs.bytes()), (7, 70));
        assert_eq!(jobs.remove(0).map(|job| job.tokens().len()), Some(2));
        assert_eq!((jobs.items(), jobs.bytes()), (4, 40));
        assert!(jobs.remove(9).is_none());
    }
}

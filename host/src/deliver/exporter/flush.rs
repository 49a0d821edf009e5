//! What the delivery task does for a stateful component: flushes at the declared interval, when it holds as much as it
//! may, when there is nothing else left to do at the end, and when the settings have changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id};
use tokio::time::Instant;
use tracing::{Instrument, debug, debug_span, warn};

use super::{Done, ExporterTask};
use crate::deliver::classify::{Verdict, reason};
use crate::deliver::held::{FlushPlan, Held, Loose};
use crate::deliver::jobs::Job;
use crate::deliver::settings::HoldingSettings;
use crate::deliver::source::{Cursor, Fate};
use crate::event::Signal;
use crate::plugin::guest::{BatchItem, Guest};
use crate::plugin::outcome::{CallError, Flushed};

/// Between flushes that are wanted soon and did not help.
const SOON: Duration = Duration::from_secs(1);

/// The state of a stateful component, as the task sees it.
pub(super) struct Flushing {
    pub(super) held: Held,
    interval: Duration,
    /// When the last flush ended, or the first batch after it was given; the next flush is an interval later.
    since: Instant,
    /// Whether the component was given something since the last flush.
    is_dirty: bool,
    /// Whether not to wait for the interval.
    at_once: bool,
    /// The first of the flushes that fail in a row.
    pub(super) failing_since: Option<Instant>,
    pub(super) call: Option<FlushCall>,
}

/// A flush under way.
pub(super) struct FlushCall {
    pub(super) id: Id,
    pub(super) is_probe: bool,
    pub(super) began: Instant,
    pub(super) abort: AbortHandle,
}

impl Flushing {
    pub(super) fn new(settings: HoldingSettings, now: Instant) -> Self {
        Self {
            held: Held::new(settings),
            interval: settings.flush_interval,
            since: now,
            is_dirty: false,
            at_once: false,
            failing_since: None,
            call: None,
        }
    }

    /// The component is given something.
    pub(super) fn touch(&mut self, now: Instant) {
        if !self.is_dirty && self.held.count() == 0 {
            self.since = now;
        }
        self.is_dirty = true;
    }

    /// Flushes as soon as calls are possible.
    pub(super) const fn hurry(&mut self) {
        self.at_once = true;
    }

    /// Whether a flush is wanted at once or under way, of which nobody knows yet whether it helps.
    pub(super) const fn is_hurried(&self) -> bool {
        self.at_once || self.call.is_some()
    }

    /// When the next flush is due. `is_end`: nobody is to wait for more, and nothing else is left to do.
    pub(super) fn due(&self, is_end: bool, now: Instant) -> Option<Instant> {
        let is_needed = self.is_dirty || self.held.count() > 0;
        if self.call.is_some() || !is_needed {
            return None;
        }
        Some(if self.at_once || (is_end && self.is_dirty) {
            now
        } else if is_end || self.held.is_full() {
            self.since + self.interval.min(SOON)
        } else {
            self.since + self.interval
        })
    }
}

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    /// When the next flush is due, as far as the component is concerned.
    pub(super) fn flush_due(&self, now: Instant) -> Option<Instant> {
        let is_end = self.seen.flush && self.has_nothing_to_send() && self.has_no_traces_to_send();
        self.flushing.as_ref()?.due(is_end, now)
    }

    /// Calls the component's `flush`.
    pub(super) fn flush(&mut self) {
        let Some(flushing) = &mut self.flushing else {
            return;
        };
        flushing.at_once = false;
        flushing.is_dirty = false;
        let guest = Arc::clone(&self.guest);
        let span = debug_span!("flush", exporter = %self.exporter, held = flushing.held.count());
        let call = async move { Done::Flushed(guest.flush().await) };
        let is_probe = self.gate.is_probing();
        let abort = self.tasks.spawn(call.instrument(span));
        flushing.call = Some(FlushCall {
            id: abort.id(),
            is_probe,
            began: Instant::now(),
            abort,
        });
    }

    /// Takes in the end of a flush.
    pub(super) fn flushed(&mut self, result: Result<Flushed, CallError>) {
        let now = Instant::now();
        let Some(flushing) = &mut self.flushing else {
            return;
        };
        let is_probe = flushing.call.take().is_some_and(|call| call.is_probe);
        flushing.since = now;
        self.status.counts.calls += 1;
        let verdict = match result {
            Ok(flushed) => {
                let plan = flushing
                    .held
                    .acknowledge(flushed, self.settings.policy, now);
                self.heed_flush(plan, now)
            }
            Err(error) => Some(self.flush_failed(&error, now)),
        };
        if let Some(verdict) = verdict
            && self.gate.judge(&verdict, is_probe, now, &mut self.random)
        {
            self.recover(now);
        }
    }

    fn heed_flush(&mut self, plan: FlushPlan, now: Instant) -> Option<Verdict> {
        if plan.strangers > 0 {
            self.status.counts.faults += 1;
            let what = format!(
                "component broke the contract: its flush reported {} events that it does not hold",
                plan.strangers
            );
            warn!(exporter = %self.exporter, events = plan.strangers, "A flush reported events that are not held.");
            self.status.last_error = Some(what.into());
        }
        if let Some(error) = &plan.error {
            debug!(exporter = %self.exporter, %error, "A flush did not deliver all.");
            self.status.last_error = Some(Arc::clone(error));
        }
        let has_settled = !plan.settled.is_empty();
        for settlement in &plan.settled {
            let is_delivered = |(_, fate): &(_, Fate)| *fate == Fate::Delivered;
            if settlement.parts.iter().any(is_delivered) {
                *self.deliveries.get_mut(settlement.signal) += 1;
            }
        }
        if let Some(flushing) = &mut self.flushing {
            flushing.failing_since = if plan.is_failing {
                flushing.failing_since.or(Some(now))
            } else {
                None
            };
        }
        plan.settled
            .into_iter()
            .for_each(|settlement| self.settle(settlement));
        self.release(plan.again);
        match (plan.is_failing, has_settled) {
            (true, _) => Some(Verdict::Failing),
            (false, true) => Some(Verdict::Answered),
            // It says nothing about the backend.
            (false, false) => None,
        }
    }

    fn flush_failed(&mut self, error: &CallError, now: Instant) -> Verdict {
        let what = reason(&error.to_string());
        self.status.counts.fruitless += 1;
        let verdict = match error {
            CallError::Stopping => Verdict::Stopping,
            CallError::Settings(_) => Verdict::Refused(Arc::clone(&what)),
            CallError::NotRunning { state, retry_in } => Verdict::NotRunning {
                state,
                retry_in: *retry_in,
            },
            CallError::WallTimeout(_)
            | CallError::Trap(_)
            | CallError::CpuTimeout(_)
            | CallError::Memory { .. }
            | CallError::HostPanic(_)
            | CallError::Contract(_) => {
                self.status.counts.unknown_outcomes += 1;
                self.status.counts.faults += u64::from(!matches!(error, CallError::WallTimeout(_)));
                Verdict::Failing
            }
        };
        if verdict != Verdict::Stopping {
            debug!(exporter = %self.exporter, error = %what, "A flush failed; what was held waits again.");
            self.status.last_error = Some(what);
            if let Some(flushing) = &mut self.flushing {
                flushing.failing_since.get_or_insert(now);
            }
        }
        self.lose_held();
        verdict
    }

    /// The component has taken events; `job` is the batch that they came in.
    pub(super) fn hold(&mut self, job: &Job, items: &[BatchItem], holder: u64) {
        let Some(flushing) = &mut self.flushing else {
            return;
        };
        let was_full = flushing.held.is_full();
        let tries = job.tries();
        let loose = flushing.held.hold(holder, job.signal, items, tries);
        if flushing.held.is_full() && !was_full {
            flushing.hurry();
        }
        self.release(loose);
    }

    /// The instance is gone, with all that it held.
    pub(super) fn lose_held(&mut self) {
        if let Some(flushing) = &mut self.flushing {
            let loose = flushing.held.lose();
            self.release(loose);
        }
    }

    /// Makes events wait again.
    fn release(&mut self, loose: Vec<Loose>) {
        for (signal, tokens) in loose {
            let cursor = Arc::clone(&self.cursor);
            self.tasks
                .spawn(async move { Done::Released(cursor.release(signal, tokens).await) });
        }
    }

    /// Puts aside, of a batch fresh from the queue, what a flush could not deliver: it has a history of its own.
    pub(super) fn set_tried_aside(
        &mut self,
        signal: Signal,
        items: &mut Vec<BatchItem>,
        now: Instant,
    ) {
        let Some(flushing) = &mut self.flushing else {
            return;
        };
        let tried = flushing.held.take_tried(signal, items);
        for (tries, items) in tried {
            let mut job = Job::new(signal, items, now).with(tries);
            job.due += self.settings.retry.delay(tries.failures, &mut self.random);
            self.jobs.push(job, &self.settings.batch);
        }
        let behind = self.split_busy(signal, items);
        if !behind.is_empty() {
            let job = Job::new(signal, behind, now);
            self.jobs.push(job, &self.settings.batch);
        }
    }

    /// Whether this task is the flush under way.
    pub(super) fn is_flush(&self, id: Id) -> bool {
        let call = self.flushing.as_ref().and_then(|it| it.call.as_ref());
        call.is_some_and(|call| call.id == id)
    }

    /// Whether flushes fail now.
    pub(super) fn is_flush_failing(&self) -> bool {
        self.flushing
            .as_ref()
            .is_some_and(|it| it.failing_since.is_some())
    }

    /// Last words: asks for a flush if something is held. False if not.
    pub(super) fn flush_at_the_end(&mut self) -> bool {
        let is_needed = self.calls.is_empty()
            && self
                .flushing
                .as_ref()
                .is_some_and(|flushing| flushing.call.is_none() && flushing.held.count() > 0);
        if is_needed {
            self.flush();
        }
        is_needed
    }
}

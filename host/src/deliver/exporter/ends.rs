//! What the delivery task does when a call or a settlement has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::{Call, Done, ExporterTask};
use crate::deliver::classify::{Attempt, Plan, Rest, Verdict, When, classify};
use crate::deliver::gate::MAX_WAIT;
use crate::deliver::jobs::Job;
use crate::deliver::source::{Cursor, CursorError, Fate, Settlement};
use crate::deliver::status::State;
use crate::event::Signal;
use crate::event::per_signal::PerSignal;
use crate::plugin::guest::Guest;
use crate::plugin::outcome::{CallError, NotBefore, SendResult};

/// A recovered exporter gets what waits for another try within this.
const MAX_WAIT_AFTER_RECOVERY: Duration = Duration::from_secs(5);

/// Between tries of a store that failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    /// Takes in the end of a call or of a settlement.
    pub(super) fn finish(&mut self, done: Result<(Id, Done), JoinError>) -> Result<(), State> {
        match done {
            Ok((id, Done::Called(result))) => {
                if let Some(call) = self.calls.remove(&id) {
                    self.called(call, result);
                }
            }
            Ok((_, Done::Flushed(result))) => self.flushed(result),
            Ok((_, Done::Settled(Ok(())))) => self.status.last_progress = Instant::now(),
            Ok((_, Done::Released(Ok(())))) => {}
            Ok((_, Done::Settled(Err(error)) | Done::Released(Err(error)))) => {
                self.queue_trouble(&error)?;
            }
            Err(ended) => match self.calls.remove(&ended.id()) {
                Some(call) if ended.is_panic() => {
                    error!(exporter = %self.exporter, error = %ended, "A call ended in a panic of the host.");
                    self.called(
                        call,
                        Err(CallError::Trap(
                            "the host's side of the call panicked".to_owned(),
                        )),
                    );
                }
                Some(call) => {
                    self.status.counts.unknown_outcomes += 1;
                    self.jobs.push(call.job, &self.settings.batch);
                }
                None if self.is_flush(ended.id()) => {
                    let why = "the host's side of the flush was cut off".to_owned();
                    self.flushed(Err(CallError::Trap(why)));
                }
                None => {
                    debug!(exporter = %self.exporter, error = %ended, "A settlement was cut off.")
                }
            },
        }
        Ok(())
    }

    fn called(&mut self, call: Call, result: Result<SendResult, CallError>) {
        let now = Instant::now();
        self.empty_until = PerSignal::default();
        let Call {
            mut job,
            is_probe,
            began,
            ..
        } = call;
        let signal = job.signal;
        let deliveries = *self.deliveries.get(signal);
        let attempt = Attempt {
            items: &job.items,
            attempts: job.attempts + 1,
            faults: job.faults,
            retrying_for: job
                .failing_since
                .map_or(Duration::ZERO, |since| now.duration_since(since)),
            is_idempotent: self.settings.idempotent.contains(signal),
            others_delivered: deliveries > job.deliveries_before_fault,
            may_hold: self.flushing.is_some(),
        };
        let holder = match &result {
            Ok(answer) => answer.holder,
            Err(CallError::Stopping) => 0,
            Err(_) => {
                self.lose_held();
                0
            }
        };
        let plan = classify(&attempt, result, self.settings.policy);
        if job.faults == 0 {
            job.deliveries_before_fault = deliveries;
        }
        self.count(&plan);
        if plan
            .settled
            .iter()
            .any(|(_, fate)| *fate == Fate::Delivered)
            || !plan.held.is_empty()
        {
            *self.deliveries.get_mut(signal) += 1;
        }
        if holder > 0 {
            self.hold(&job, &plan.held, holder);
        }
        self.note_not_before(signal, plan.not_before, now);
        self.note_pressure(&plan, began, now);
        for rest in plan.rest {
            self.keep(&job, rest, now);
        }
        if self
            .gate
            .judge(&plan.verdict, is_probe, now, &mut self.random)
        {
            self.recover(now);
        }
        let is_progress = !plan.settled.is_empty() || !self.is_flush_failing();
        if plan.verdict == Verdict::Answered && is_progress {
            self.status.last_progress = now;
        }
        self.settle(Settlement {
            signal,
            parts: plan.settled,
        });
    }

    fn count(&mut self, plan: &Plan) {
        let counts = &mut self.status.counts;
        counts.calls += 1;
        counts.fruitless += u64::from(plan.settled.is_empty() && plan.held.is_empty());
        counts.unknown_outcomes += u64::from(plan.is_unknown);
        counts.faults += u64::from(plan.is_fault);
        counts.splits += u64::from(plan.settled.is_empty() && plan.rest.len() > 1);
        let Some(error) = &plan.error else { return };
        self.status.last_error = Some(Arc::clone(error));
        let is_dead = |fate: &Fate| matches!(fate, Fate::DeadLettered { .. });
        let dead = plan.settled.iter().filter(|(_, fate)| is_dead(fate));
        let dead: u64 = dead.map(|(tokens, _)| tokens.last - tokens.first + 1).sum();
        if dead > 0 {
            warn!(exporter = %self.exporter, events = dead, %error, "Events became dead letters.");
        } else {
            debug!(exporter = %self.exporter, %error, "A call did not deliver all.");
        }
    }

    fn note_not_before(&mut self, signal: Signal, not_before: Option<NotBefore>, now: Instant) {
        match not_before {
            None => {}
            Some(NotBefore {
                whole_exporter: true,
                wait,
            }) => self.gate.delay(wait, now),
            Some(NotBefore {
                whole_exporter: false,
                wait,
            }) => {
                let until = now + wait.min(MAX_WAIT);
                let known = self.not_before.get_mut(signal);
                *known = (*known).max(Some(until));
            }
        }
    }

    /// A backend that asks for time or does not answer is asked less at once; one that takes batches, more.
    fn note_pressure(&mut self, plan: &Plan, began: Instant, now: Instant) {
        let is_put_off = matches!(plan.verdict, Verdict::Failing | Verdict::Delayed);
        if plan.not_before.is_some() || (is_put_off && !plan.is_fault) {
            self.gate.narrow(began, now);
        } else if plan.verdict == Verdict::Answered {
            self.gate.widen();
        }
    }

    /// Keeps what is to be tried again.
    fn keep(&mut self, job: &Job, rest: Rest, now: Instant) {
        let mut again = Job {
            items: rest.items,
            faults: rest.faults,
            due: now,
            ..job.clone()
        };
        // Merged batches are in the order of tokens, which is not that of whole traces.
        again.is_mergeable = job.shape.is_none()
            && (rest.when == When::LaterMerged || (job.is_mergeable && rest.when == When::Later));
        match rest.when {
            When::Unchanged => again.failing_since = None,
            When::AtOnce => {
                again.attempts += 1;
                again.failures = 0;
            }
            When::Later | When::LaterMerged => {
                again.attempts += 1;
                again.failures = again.failures.saturating_add(1);
                again.failing_since = again.failing_since.or(Some(now));
                again.due = now + self.settings.retry.delay(again.failures, &mut self.random);
            }
        }
        self.jobs.push(again, &self.settings.batch);
    }

    /// What waits for another try need not wait for long any more.
    pub(super) fn recover(&mut self, now: Instant) {
        for job in self.jobs.iter_mut() {
            job.due = job
                .due
                .min(now + MAX_WAIT_AFTER_RECOVERY.mul_f64(self.random.f64()));
        }
    }

    pub(super) fn settle(&mut self, settlement: Settlement) {
        if settlement.parts.is_empty() {
            return;
        }
        let cursor = Arc::clone(&self.cursor);
        self.tasks.spawn(async move {
            loop {
                match cursor.settle(settlement.clone()).await {
                    Err(error @ CursorError::Store { .. }) => {
                        warn!(exporter = cursor.exporter_id(), %error, "Fates could not be recorded; will retry.");
                        sleep(STORE_RETRY).await;
                    }
                    result => return Done::Settled(result),
                }
            }
        });
    }

    /// What an error of the queue means for the task: an end, or some patience.
    pub(super) fn queue_trouble(&mut self, error: &CursorError) -> Result<(), State> {
        self.status.last_error = Some(error.to_string().into());
        match error {
            CursorError::Superseded { .. } => {
                info!(exporter = %self.exporter, "The cursor was taken over.");
                self.is_superseded = true;
                Err(State::Stopped)
            }
            CursorError::Store { .. } => {
                warn!(exporter = %self.exporter, %error, "The queue could not be read; will retry.");
                self.gate.delay(STORE_RETRY, Instant::now());
                Ok(())
            }
            CursorError::NotTaken { .. } => {
                error!(exporter = %self.exporter, %error, "Delivery and queue disagree; this exporter stops.");
                Err(State::Failed {
                    reason: error.to_string().into(),
                })
            }
        }
    }
}

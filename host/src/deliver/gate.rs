//! How many calls an exporter may have under way now: as many as its [`Window`] says, one to see whether it works again,
//! or none. Pure; the caller
//! brings clock and random numbers.
//!
//! As many failures in a row as there may be calls close the gate. It then opens for one call at a time, a probe: its
//! success opens the gate, its failure closes it for longer. Refused credentials close it at once, for a fixed time a
//! probe, until a probe succeeds or [`Gate::reset`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::classify::Verdict;
use super::status::State;
use super::window::Window;

/// Longer waits are cut to this: a component may ask for more than its exporter can be left alone for.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Shorter waits of an engine that is not running are stretched to this.
const MIN_NOT_RUNNING: Duration = Duration::from_millis(10);

/// Between tries of an engine that is stopping: this task is about to be stopped too.
const WAIT_WHILE_STOPPING: Duration = Duration::from_secs(1);

/// Why only probes are let through.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    Failing,
    Refused { reason: Arc<str> },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    window: Window,
    backoff: Backoff,
    probe_interval: Duration,
    failures: u32,
    first_failure: Option<Instant>,
    trouble: Option<Trouble>,
    /// No probe before.
    probe_at: Instant,
    /// No call at all before, and why.
    closed_until: Option<(Instant, Option<&'static str>)>,
}

impl Gate {
    pub(crate) fn new(
        concurrency: usize,
        backoff: Backoff,
        probe_interval: Duration,
        now: Instant,
    ) -> Self {
        Self {
            window: Window::new(concurrency),
            backoff,
            probe_interval,
            failures: 0,
            first_failure: None,
            trouble: None,
            probe_at: now,
            closed_until: None,
        }
    }

    /// Whether only probes are let through.
    pub(crate) const fn is_probing(&self) -> bool {
        self.trouble.is_some()
    }

    /// Calls that may be under way at once.
    pub(crate) const fn limit(&self) -> usize {
        if self.is_probing() {
            1
        } else {
            self.window.size()
        }
    }

    /// When one more call may start beside these, given when each began and whether it is a probe; `None` before one has
    /// ended. A probe that hangs for longer than probes are apart keeps no other call from starting, as long as there are
    /// instances; nor does it when another one has got through.
    pub(crate) fn room_at(
        &self,
        calls: impl Iterator<Item = (Instant, bool)>,
        now: Instant,
    ) -> Option<Instant> {
        let is_probing = self.is_probing();
        let (mut all, mut counted, mut last) = (0, 0, None);
        for (began, is_probe) in calls {
            all += 1;
            counted += usize::from(is_probing || !is_probe);
            last = last.max(Some(began));
        }
        if all >= self.window.max() {
            return None;
        }
        if counted < self.limit() {
            return Some(now);
        }
        last.filter(|_| is_probing)
            .map(|last| last + self.backoff.max)
    }

    /// A call that `began` then was put off or had no answer in time.
    pub(crate) fn narrow(&mut self, began: Instant, now: Instant) {
        self.window.narrow(began, now);
    }

    /// A call got through.
    pub(crate) fn widen(&mut self) {
        self.window.widen();
    }

    /// When the next call may start, as far as the whole exporter is concerned.
    pub(crate) fn opens_at(&self, now: Instant) -> Instant {
        let closed_until = self.closed_until.map_or(now, |(until, _)| until);
        let probe_at = if self.is_probing() {
            self.probe_at
        } else {
            now
        };
        now.max(closed_until).max(probe_at)
    }

    /// The backend asked for time.
    pub(crate) fn delay(&mut self, wait: Duration, now: Instant) {
        self.close_until(now + wait.min(MAX_WAIT), None);
    }

    fn close_until(&mut self, until: Instant, why: Option<&'static str>) {
        if self.closed_until.is_none_or(|(before, _)| before < until) {
            self.closed_until = Some((until, why));
        }
    }

    /// Takes in what a call said. Returns whether the exporter has just come back.
    pub(crate) fn judge(
        &mut self,
        verdict: &Verdict,
        is_probe: bool,
        now: Instant,
        random: &mut fastrand::Rng,
    ) -> bool {
        match verdict {
            Verdict::Answered if is_probe || !self.is_probing() => {
                self.failures = 0;
                self.first_failure = None;
                return self.trouble.take().is_some();
            }
            Verdict::Failing if is_probe || !self.is_probing() => self.fail(now, random),
            Verdict::Refused(reason) => {
                self.trouble = Some(Trouble::Refused {
                    reason: Arc::clone(reason),
                });
                self.probe_at = now + self.probe_interval;
            }
            Verdict::NotRunning { state, retry_in } => {
                self.close_until(
                    now + (*retry_in).clamp(MIN_NOT_RUNNING, MAX_WAIT),
                    Some(state),
                );
            }
            // It is alive, but nothing got through: the next probe is not to follow at once.
            Verdict::Delayed if is_probe => {
                self.probe_at = self
                    .probe_at
                    .max(now + self.backoff.delay(self.failures, random));
            }
            Verdict::Stopping => self.close_until(now + WAIT_WHILE_STOPPING, Some("stopping")),
            Verdict::Answered | Verdict::Failing | Verdict::Delayed => {}
        }
        false
    }

    fn fail(&mut self, now: Instant, random: &mut fastrand::Rng) {
        self.first_failure.get_or_insert(now);
        if let Some(Trouble::Refused { .. }) = self.trouble {
            self.probe_at = now + self.probe_interval;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let concurrency = u32::try_from(self.window.max()).unwrap_or(u32::MAX);
        if let Some(beyond) = self.failures.checked_sub(concurrency) {
            self.trouble = Some(Trouble::Failing);
            self.probe_at = now + self.backoff.delay(beyond + 1, random);
        }
    }

    /// Forgets all trouble: the settings have changed.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.first_failure = None;
        self.trouble = None;
        self.closed_until = None;
        self.window.reset();
    }

    /// For people.
    pub(crate) fn state(&self, now: Instant) -> State {
        if let Some(Trouble::Refused { reason }) = &self.trouble {
            return State::Paused {
                reason: Arc::clone(reason),
            };
        }
        match self.closed_until.filter(|(until, _)| *until > now) {
            Some((until, Some(state))) => State::NotRunning { state, until },
            Some((until, None)) => State::Delayed { until },
            None => self
                .first_failure
                .map_or(State::Running, |since| State::Retrying { since }),
        }
    }
}

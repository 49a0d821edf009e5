//! What repeated faults do to an exporter: restarts back off, then the exporter is quarantined, and now and then one call
//! is let through to see whether it has healed. Pure: the caller brings the time.
//!
//! Each function is judged by itself: a `send` that succeeds does not make up for a `flush` that spins, and a page that
//! traps does not hold up delivery. `send` and `flush` are both delivery, and either holds up both.
//!
//! A *fault* is a call that took its instance along: a trap, a time-out, too much memory, an answer against the contract.
//! What a backend does (errors, rate limits, refused credentials) is no fault and not seen here.

use std::time::Duration;

use tokio::time::Instant;

/// How faults are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Wait after the second fault in a row, doubled by each further one. After the first the restart is immediate: one
    /// bad batch should not hold up the others.
    pub first_delay: Duration,
    /// The longest of these waits.
    pub max_delay: Duration,
    /// Faults in a row that lead to quarantine.
    pub quarantine_after: u32,
    /// The first quarantine; doubled while probes fail.
    pub first_quarantine: Duration,
    /// The longest quarantine.
    pub max_quarantine: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            // Long enough that a start (milliseconds) is a small part of it.
            first_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(30),
            // Delivery bisects around a poisonous event within fewer faults in a row than this only for small batches; a
            // component that fails on eight batches in a row is broken, not unlucky.
            quarantine_after: 8,
            // An operator who replaces the component does not wait long; a broken one costs a call a minute.
            first_quarantine: Duration::from_secs(60),
            max_quarantine: Duration::from_secs(600),
        }
    }
}

/// Whether an exporter's instances run. Times are of tokio's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolState {
    /// No fault since the last good answer.
    Ready,
    /// Instances that fault are restarted after a wait.
    BackingOff {
        /// Faults since the last good answer.
        faults: u32,
        /// No instance starts before.
        until: Instant,
        /// The last fault.
        reason: String,
    },
    /// No call is made.
    Quarantined {
        /// The last fault.
        reason: String,
        /// When the next call is let through as a probe; past, if no batch has come since.
        until: Instant,
    },
}

/// A function of the component, for which it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Send,
    Flush,
    Render,
}

/// The records of one exporter's functions. A start is judged as the function that it is made for.
#[derive(Debug)]
pub(super) struct Healths {
    send: Health,
    flush: Health,
    render: Health,
}

impl Healths {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self {
            send: Health::new(policy),
            flush: Health::new(policy),
            render: Health::new(policy),
        }
    }

    fn of(&mut self, function: Function) -> &mut Health {
        match function {
            Function::Send => &mut self.send,
            Function::Flush => &mut self.flush,
            Function::Render => &mut self.render,
        }
    }

    /// The other half of delivery, whose waits hold up this one without being used up.
    fn other(&self, function: Function) -> Option<&Health> {
        match function {
            Function::Send => Some(&self.flush),
            Function::Flush => Some(&self.send),
            Function::Render => None,
        }
    }

    /// As [`Health::admit_call`].
    pub(super) fn admit_call(&mut self, function: Function, now: Instant) -> Result<(), NotNow> {
        if let Some(other) = self.other(function) {
            other.check_call(now)?;
        }
        self.of(function).admit_call(now)
    }

    /// As [`Health::admit_start`].
    pub(super) fn admit_start(&mut self, function: Function, now: Instant) -> Result<(), NotNow> {
        if let Some(other) = self.other(function) {
            other.check_start(now)?;
        }
        self.of(function).admit_start(now)
    }

    pub(super) fn succeeded(&mut self, function: Function) {
        self.of(function).succeeded();
    }

    /// As [`Health::faulted`].
    pub(super) fn faulted(&mut self, function: Function, now: Instant, reason: &str) -> bool {
        self.of(function).faulted(now, reason)
    }

    /// Whether the function has answered since its last fault.
    pub(super) fn is_ready(&mut self, function: Function, now: Instant) -> bool {
        self.of(function).state(now) == PoolState::Ready
    }

    /// The worse of both halves of delivery.
    pub(super) fn delivery(&self, now: Instant) -> PoolState {
        let (send, flush) = (self.send.state(now), self.flush.state(now));
        let weight = |state: &PoolState| match state {
            PoolState::Ready => 0,
            PoolState::BackingOff { .. } => 1,
            PoolState::Quarantined { .. } => 2,
        };
        if weight(&flush) > weight(&send) {
            flush
        } else {
            send
        }
    }

    /// Other settings have got a good answer, whatever was wrong before.
    pub(super) fn forget(&mut self) {
        for health in [&mut self.send, &mut self.flush, &mut self.render] {
            health.succeeded();
        }
    }
}

/// The record of one function's faults.
#[derive(Debug)]
struct Health {
    policy: RestartPolicy,
    faults: u32,
    reason: String,
    /// No instance starts before; for a quarantine, no call is made before.
    until: Option<Instant>,
    quarantine: Option<Duration>,
}

/// A call or start that is not allowed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotNow {
    pub(super) state: &'static str,
    pub(super) retry_in: Duration,
}

impl Health {
    fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            faults: 0,
            reason: String::new(),
            until: None,
            quarantine: None,
        }
    }

    /// Asked before each call. In quarantine one call is let through when the time is over; the next has to wait as long
    /// again, unless that one succeeds.
    fn admit_call(&mut self, now: Instant) -> Result<(), NotNow> {
        self.check_call(now)?;
        if let Some(quarantine) = self.quarantine {
            self.until = Some(now + quarantine);
        }
        Ok(())
    }

    fn check_call(&self, now: Instant) -> Result<(), NotNow> {
        match self.quarantine {
            Some(_) => self.wait_over("quarantined", now),
            None => Ok(()),
        }
    }

    /// Asked before each start of an instance for a call that was admitted. While the exporter is faulty one start is
    /// let through at a time, as with calls.
    fn admit_start(&mut self, now: Instant) -> Result<(), NotNow> {
        self.check_start(now)?;
        if self.faults > 0 && self.quarantine.is_none() {
            self.until = Some(now + self.delay());
        }
        Ok(())
    }

    fn check_start(&self, now: Instant) -> Result<(), NotNow> {
        if self.faults == 0 || self.quarantine.is_some() {
            return Ok(());
        }
        self.wait_over("backing off", now)
    }

    /// A call was answered.
    fn succeeded(&mut self) {
        if self.faults > 0 {
            *self = Self::new(self.policy);
        }
    }

    /// A call or a start failed. True if the exporter is quarantined by it, not having been before.
    fn faulted(&mut self, now: Instant, reason: &str) -> bool {
        self.faults = self.faults.saturating_add(1);
        reason.clone_into(&mut self.reason);
        if self.faults < self.policy.quarantine_after {
            self.until = Some(now + self.delay());
            return false;
        }
        let is_new = self.quarantine.is_none();
        let quarantine = self
            .quarantine
            .map_or(self.policy.first_quarantine, |length| length * 2);
        let quarantine = quarantine.min(self.policy.max_quarantine);
        self.quarantine = Some(quarantine);
        self.until = Some(now + quarantine);
        is_new
    }

    fn state(&self, now: Instant) -> PoolState {
        let (until, reason) = (self.until.unwrap_or(now), self.reason.clone());
        match (self.faults, self.quarantine) {
            (_, Some(_)) => PoolState::Quarantined { reason, until },
            (0, None) => PoolState::Ready,
            (faults, None) => PoolState::BackingOff {
                faults,
                until,
                reason,
            },
        }
    }

    fn wait_over(&self, state: &'static str, now: Instant) -> Result<(), NotNow> {
        match self.until {
            Some(until) if until > now => Err(NotNow {
                state,
                retry_in: until - now,
            }),
            _ => Ok(()),
        }
    }

    /// After the faults so far.
    fn delay(&self) -> Duration {
        match self.faults {
            0 | 1 => Duration::ZERO,
            faults => {
                let doublings = (faults - 2).min(20);
                self.policy
                    .first_delay
                    .saturating_mul(1 << doublings)
                    .min(self.policy.max_delay)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        first_delay: Duration::from_millis(200),
        max_delay: Duration::from_secs(1),
        quarantine_after: 6,
        first_quarantine: Duration::from_secs(60),
        max_quarantine: Duration::from_secs(100),
    };

    fn after_faults(count: u32, now: Instant) -> Health {
        let mut health = Health::new(POLICY);
        for _ in 0..count {
            health.faulted(now, "trap");
        }
        health
    }

    #[test]
    fn the_first_fault_restarts_at_once_and_the_next_ones_wait_longer() {
        let now = Instant::now();
        assert_eq!(after_faults(1, now).admit_start(now), Ok(()));
        for (faults, millis) in [(2, 200), (3, 400), (4, 800), (5, 1000)] {
            let mut health = after_faults(faults, now);
            let wait = Duration::from_millis(millis);
            assert_eq!(
                health.admit_call(now),
                Ok(()),
                "a live instance may still be called"
            );
            assert_eq!(
                health.admit_start(now),
                Err(NotNow {
                    state: "backing off",
                    retry_in: wait
                })
            );
            assert_eq!(health.admit_start(now + wait), Ok(()));
            assert!(
                health.admit_start(now + wait).is_err(),
                "one start at a time"
            );
        }
    }

    #[test]
    fn quarantine_lets_one_probe_through_and_grows_while_probes_fail() {
        let now = Instant::now();
        let mut health = after_faults(5, now);
        assert!(health.faulted(now, "spin"), "the sixth is news");
        let minute = Duration::from_secs(60);
        assert_eq!(
            health.state(now),
            PoolState::Quarantined {
                reason: "spin".to_owned(),
                until: now + minute
            }
        );
        assert_eq!(
            health.admit_call(now),
            Err(NotNow {
                state: "quarantined",
                retry_in: minute
            })
        );
        let later = now + minute;
        assert_eq!(health.admit_call(later), Ok(()));
        assert_eq!(health.admit_start(later), Ok(()));
        assert!(health.admit_call(later).is_err(), "only one");
        assert!(!health.faulted(later, "spin"), "no news");
        let longest = Duration::from_secs(100);
        assert_eq!(
            health.admit_call(later),
            Err(NotNow {
                state: "quarantined",
                retry_in: longest
            })
        );
    }

    #[test]
    fn one_good_answer_heals() {
        let now = Instant::now();
        let mut health = after_faults(7, now);
        health.succeeded();
        assert_eq!(health.state(now), PoolState::Ready);
        assert_eq!(health.admit_call(now), Ok(()));
        assert_eq!(health.admit_start(now), Ok(()));
        health.faulted(now, "trap");
        assert!(matches!(
            health.state(now),
            PoolState::BackingOff { faults: 1, .. }
        ));
    }

    #[test]
    fn a_flush_that_fails_is_not_made_good_by_sends() {
        let now = Instant::now();
        let mut healths = Healths::new(POLICY);
        let mut is_quarantined = false;
        for _ in 0..POLICY.quarantine_after {
            assert!(!is_quarantined);
            is_quarantined = healths.faulted(Function::Flush, now, "spin");
            healths.succeeded(Function::Send);
        }
        assert!(is_quarantined);
        assert!(matches!(
            healths.delivery(now),
            PoolState::Quarantined { .. }
        ));
        for function in [Function::Send, Function::Flush] {
            assert!(healths.admit_call(function, now).is_err(), "{function:?}");
        }
        // Then batches come again, as many as there are, and the first flush decides.
        let later = now + POLICY.first_quarantine;
        assert!(healths.admit_call(Function::Send, later).is_ok());
        assert!(healths.admit_call(Function::Send, later).is_ok());
        healths.succeeded(Function::Send);
        assert!(healths.admit_call(Function::Flush, later).is_ok());
        healths.faulted(Function::Flush, later, "spin");
        assert!(healths.admit_call(Function::Send, later).is_err());
        healths.succeeded(Function::Flush);
        assert_eq!(healths.delivery(later), PoolState::Ready);
    }

    #[test]
    fn a_page_that_fails_holds_up_pages_alone() {
        let now = Instant::now();
        let mut healths = Healths::new(POLICY);
        for _ in 0..POLICY.quarantine_after {
            healths.faulted(Function::Render, now, "trap");
        }
        assert!(healths.admit_call(Function::Render, now).is_err());
        assert_eq!(healths.delivery(now), PoolState::Ready);
        for function in [Function::Send, Function::Flush] {
            assert!(healths.admit_call(function, now).is_ok(), "{function:?}");
            assert!(healths.admit_start(function, now).is_ok(), "{function:?}");
        }
    }
}

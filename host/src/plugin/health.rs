//! What repeated faults do to an exporter: restarts back off, then the exporter is quarantined, and now and then one call
//! is let through to see whether it has healed. Pure: the caller brings the time.
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

/// The record of one exporter's faults.
#[derive(Debug)]
pub(super) struct Health {
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
    pub(super) fn new(policy: RestartPolicy) -> Self {
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
    pub(super) fn admit_call(&mut self, now: Instant) -> Result<(), NotNow> {
        let Some(quarantine) = self.quarantine else {
            return Ok(());
        };
        self.wait_over("quarantined", now)?;
        self.until = Some(now + quarantine);
        Ok(())
    }

    /// Asked before each start of an instance for a call that was admitted. While the exporter is faulty one start is
    /// let through at a time, as with calls.
    pub(super) fn admit_start(&mut self, now: Instant) -> Result<(), NotNow> {
        if self.faults == 0 || self.quarantine.is_some() {
            return Ok(());
        }
        self.wait_over("backing off", now)?;
        self.until = Some(now + self.delay());
        Ok(())
    }

    /// A call was answered.
    pub(super) fn succeeded(&mut self) {
        if self.faults > 0 {
            *self = Self::new(self.policy);
        }
    }

    /// A call or a start failed. True if the exporter is quarantined by it, not having been before.
    pub(super) fn faulted(&mut self, now: Instant, reason: &str) -> bool {
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

    pub(super) fn state(&self, now: Instant) -> PoolState {
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
}

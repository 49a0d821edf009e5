//! What is visible of an exporter's delivery: for `/readyz`, reports and logs. Counts of events are the queue's accounts;
//! here are the state, the last error, and what the calls came to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::shaping::ShapeCounts;

/// How delivery stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls get through, or there was nothing to do yet.
    Running,
    /// Nothing has got through since then; tried again and again.
    Retrying {
        /// The first failure in a row.
        since: Instant,
    },
    /// The backend asked for time (rate limit, quota).
    Delayed {
        /// No call before.
        until: Instant,
    },
    /// Credentials or settings are refused. Probed slowly; goes on at once when the settings change.
    Paused {
        /// For people.
        reason: Arc<str>,
    },
    /// The engine does not run the component after repeated faults.
    NotRunning {
        /// `backing off` or `quarantined`.
        state: &'static str,
        /// When the engine may start it again.
        until: Instant,
    },
    /// The stateful component holds as many events as it may, and a flush did not help: it is given no more.
    Overfull {
        /// Held events.
        events: usize,
    },
    /// No new calls; those in flight may finish.
    Stopping,
    /// Ends, so that the same exporter can start with other settings or another component.
    Replaced,
    /// The end. What had no fate is queued.
    Stopped,
    /// The task is dead, though it should not be; the data stays queued.
    Failed {
        /// For people.
        reason: Arc<str>,
    },
}

impl State {
    /// The word for logs and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Retrying { .. } => "retrying",
            Self::Delayed { .. } => "delayed",
            Self::Paused { .. } => "paused",
            Self::NotRunning { state, .. } => state,
            Self::Overfull { .. } => "holding too much",
            Self::Stopping => "stopping",
            Self::Replaced => "being replaced",
            Self::Stopped => "stopped",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What the calls came to, since the task started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// All calls that have ended.
    pub calls: u64,
    /// Calls after which nothing was settled and nothing is held.
    pub fruitless: u64,
    /// Events that were sent again.
    pub events_resent: u64,
    /// Calls of which nobody can say what the backend stored.
    pub unknown_outcomes: u64,
    /// Traps, overruns and broken contracts; a flush that reports events which are not held is one.
    pub faults: u64,
    /// Batches split by halving or bisecting.
    pub splits: u64,
}

/// A snapshot of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How delivery stands.
    pub state: State,
    /// Of the last call that did not go well; stays after recovery. For people.
    pub last_error: Option<Arc<str>>,
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that may be under way at once, as far as the backend keeps up; one more for each probe that hangs.
    pub max_in_flight: usize,
    /// Events that wait for another try.
    pub retrying_events: usize,
    /// Events that a stateful component holds.
    pub held_events: usize,
    /// Whether nothing waits, nothing is under way, and nothing is held.
    pub is_idle: bool,
    /// Whether there is something to do now. Held events are not, as long as flushes succeed.
    pub has_work: bool,
    /// When a fate was last counted, or when there was last nothing to do, or when there came something to do again.
    pub last_progress: Instant,
    /// See [`CallCounts`].
    pub counts: CallCounts,
    /// See [`ShapeCounts`].
    pub shaped: ShapeCounts,
    /// The last command that the task has seen.
    pub(crate) seen: u64,
}

impl Status {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: State::Running,
            last_error: None,
            in_flight: 0,
            max_in_flight: 1,
            retrying_events: 0,
            held_events: 0,
            is_idle: false,
            has_work: false,
            last_progress: now,
            counts: CallCounts::default(),
            shaped: ShapeCounts::default(),
            seen: 0,
        }
    }

    /// Whether there is work and no progress was made for as long as `patience`.
    #[must_use]
    pub fn is_stuck(&self, patience: Duration, now: Instant) -> bool {
        self.has_work && now.duration_since(self.last_progress) >= patience
    }
}

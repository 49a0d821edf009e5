//! The border between `deliver` and the queue: what a delivery task needs of its place in the log, and nothing more.
//!
//! The queue implements [`Cursor`], in memory or on disk; a delivery task owns one. Between the two, an event is in one of
//! three states: *waiting* (not given out), *taken* (given out, no fate yet; also what a component holds), *settled* (its
//! fate is counted, it will never come again). What is taken when the process ends, or when the cursor is opened
//! again, is waiting once more: that is the whole of at-least-once.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use crate::event::Signal;
use crate::event::per_signal::PerSignal;
use crate::plugin::guest::BatchItem;

/// Consecutive tokens, both ends included. Tokens of one signal rise by one in the order of the log, so that a settled
/// batch is mostly one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The lowest.
    pub first: u64,
    /// The highest; not below `first`.
    pub last: u64,
}

impl Tokens {
    /// The shortest list of ranges for rising `tokens`.
    #[must_use]
    pub fn runs(tokens: impl IntoIterator<Item = u64>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for token in tokens {
            match runs.last_mut() {
                Some(run) if run.last.checked_add(1) == Some(token) => run.last = token,
                _ => runs.push(Self {
                    first: token,
                    last: token,
                }),
            }
        }
        runs
    }
}

/// The end of an event for one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The backend has it.
    Delivered,
    /// The component skipped it: the backend has no place for it.
    Filtered,
    /// It will never be stored; the queue keeps it with its dead letters.
    DeadLettered {
        /// For people; holds no payload and no secret.
        reason: Arc<str>,
        /// Calls that it took part in.
        attempts: u32,
    },
}

/// Fates of taken events, to be counted and acknowledged in one step.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// All tokens are of this signal.
    pub signal: Signal,
    /// Ranges do not overlap.
    pub parts: Vec<(Tokens, Fate)>,
}

/// What waits for a cursor in one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Events.
    pub items: u64,
    /// Their [`size_bytes`](crate::event::Event::size_bytes).
    pub bytes: u64,
}

/// Caps on one take.
#[derive(Clone, Copy, Debug)]
pub struct TakeLimits<'a> {
    /// At least 1.
    pub max_items: usize,
    /// Of the events' sizes. A single event above it is given alone.
    pub max_bytes: usize,
    /// Events of these lanes stay waiting: a batch of each is in flight, and order is kept within a lane. A cursor looks
    /// past a bounded number of them.
    pub busy_lanes: Option<&'a HashSet<u64>>,
}

/// Why a cursor did not do as asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The cursor was opened again or forgotten; this handle is of no more use.
    #[error("cursor of exporter {exporter} was opened again or forgotten")]
    Superseded {
        /// Exporter id.
        exporter: String,
    },
    /// A token that is not taken: settled before, or never given. The caller's fault.
    #[error("token {token} of exporter {exporter} is not taken")]
    NotTaken {
        /// Exporter id.
        exporter: String,
        /// The first one at fault.
        token: u64,
    },
    /// The store failed; worth trying again.
    #[error("queue store failed for exporter {exporter}: {cause}")]
    Store {
        /// Exporter id.
        exporter: String,
        /// What the store said.
        cause: String,
    },
}

/// An exporter's place in the log. One task owns it; the methods may be called while others of them are under way.
pub trait Cursor: Send + Sync + 'static {
    /// The exporter id that keys everything of this cursor.
    fn exporter_id(&self) -> &str;

    /// What could be taken now. Kept in memory; cheap.
    fn waiting(&self) -> PerSignal<Waiting>;

    /// Resolves when more may wait than at the last call of [`Cursor::waiting`]; at once if that has already happened.
    /// Cancel safe.
    fn grown(&self) -> impl Future<Output = ()> + Send;

    /// Gives out the oldest waiting events of a signal, in the order of the log; empty if there are none. Not cancel safe.
    ///
    /// # Errors
    /// [`CursorError::Superseded`], [`CursorError::Store`].
    fn take(
        &self,
        signal: Signal,
        limits: TakeLimits<'_>,
    ) -> impl Future<Output = Result<Vec<BatchItem>, CursorError>> + Send;

    /// Gives taken events once more, so that whoever took them need not keep them. In the order of `tokens`, which should
    /// rise; what is not taken is left out, and so is what can no longer be read, which is counted.
    ///
    /// # Errors
    /// [`CursorError::Superseded`], [`CursorError::Store`].
    fn read(
        &self,
        signal: Signal,
        tokens: &[u64],
    ) -> impl Future<Output = Result<Vec<BatchItem>, CursorError>> + Send;

    /// Acknowledges taken events and counts their fates, both or neither; dead letters are kept in the same step.
    ///
    /// # Errors
    /// All of [`CursorError`].
    fn settle(
        &self,
        settlement: Settlement,
    ) -> impl Future<Output = Result<(), CursorError>> + Send;

    /// Makes taken events wait again, at their old places.
    ///
    /// # Errors
    /// All of [`CursorError`].
    fn release(
        &self,
        signal: Signal,
        tokens: Vec<Tokens>,
    ) -> impl Future<Output = Result<(), CursorError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rising_tokens_become_the_fewest_ranges() {
        let run = |first, last| Tokens { first, last };
        assert_eq!(
            Tokens::runs([1, 2, 3, 7, 9, 10]),
            [run(1, 3), run(7, 7), run(9, 10)]
        );
        assert_eq!(
            Tokens::runs([u64::MAX, 0]),
            [run(u64::MAX, u64::MAX), run(0, 0)]
        );
        assert!(Tokens::runs([]).is_empty());
    }
}

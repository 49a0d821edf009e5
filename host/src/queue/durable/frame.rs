//! One write: the groups and settlements that came while the last one was on its way, as the bytes of their records, and
//! who waits for it. Settlements and other changes come first, events behind them, so that the former can still be
//! written when there is no room for the latter.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::format;
use super::letters::Letter;
use super::saved::{AppendTotals, Change};
use super::state::Place;
use crate::deliver::source::{CursorError, Settlement};
use crate::event::Signal;
use crate::queue::core::{Group, Pending};
use crate::queue::ranges::RangeSet;
use crate::queue::{Appended, QueueError};

pub(super) type AppendReply = oneshot::Sender<Result<Appended, QueueError>>;
pub(super) type SettleReply = oneshot::Sender<Result<(), CursorError>>;

/// A group that is in once the write is on the disk.
pub(super) struct Admitted {
    pub(super) group: Group,
    pub(super) reply: AppendReply,
    /// Of its events, in order; offsets count from the front of the frame's events.
    pub(super) places: Vec<Place>,
}

/// A settlement that is made once it is written.
pub(super) struct Settled {
    pub(super) exporter: Arc<str>,
    pub(super) generation: u64,
    pub(super) settlement: Settlement,
    pub(super) reply: SettleReply,
}

/// See the module.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) changes: Vec<u8>,
    pub(super) events: Vec<u8>,
    pub(super) admitted: Vec<Admitted>,
    pub(super) settled: Vec<Settled>,
    /// Offsets count from the front of the frame's changes.
    pub(super) letters: Vec<Letter>,
    pub(super) kept: Vec<oneshot::Sender<Result<(), String>>>,
    pub(super) pending: Pending,
    pub(super) totals: AppendTotals,
    pub(super) claimed: BTreeMap<(Arc<str>, Signal), RangeSet>,
}

impl Frame {
    pub(super) fn bytes(&self) -> u64 {
        (self.changes.len() + self.events.len()) as u64
    }

    pub(super) fn change(&mut self, salt: u64, change: &Change) {
        push_json(&mut self.changes, salt, format::RecordType::Change, change);
    }

    /// Takes tokens for a settlement of this frame; false if another one has them.
    pub(super) fn claim(
        &mut self,
        exporter: &Arc<str>,
        signal: Signal,
        ranges: &[(u64, u64)],
    ) -> bool {
        let claimed = self
            .claimed
            .entry((Arc::clone(exporter), signal))
            .or_default();
        let is_free = ranges.iter().all(|&(start, end)| {
            claimed
                .next_from(start)
                .is_none_or(|(other, _)| other >= end)
        });
        if is_free {
            ranges
                .iter()
                .for_each(|&(start, end)| claimed.insert(start, end));
        }
        is_free
    }

    /// The groups and who waits for them, taken out.
    pub(super) fn take_groups(&mut self) -> Vec<Admitted> {
        self.events.clear();
        self.pending = Pending::default();
        self.totals = AppendTotals::default();
        std::mem::take(&mut self.admitted)
    }

    /// Empty again; the buffers stay, unless they have grown beyond `max_bytes`.
    pub(super) fn clear(&mut self, max_bytes: usize) {
        let (mut changes, mut events) = (
            std::mem::take(&mut self.changes),
            std::mem::take(&mut self.events),
        );
        changes.clear();
        events.clear();
        changes.shrink_to(max_bytes);
        events.shrink_to(max_bytes);
        *self = Self {
            changes,
            events,
            ..Self::default()
        };
    }
}

/// Appends a record of JSON. What we write is always JSON; what could not be is left out.
pub(super) fn push_json(
    out: &mut Vec<u8>,
    salt: u64,
    kind: format::RecordType,
    value: &impl serde::Serialize,
) {
    if let Ok(text) = serde_json::to_vec(value) {
        format::push_record(out, salt, kind, 0, 0, |out| out.extend_from_slice(&text));
    }
}

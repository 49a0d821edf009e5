//! The accounts: what became of every event, per exporter and signal, exactly.
//!
//! `received = delivered + filtered + dead_lettered + dropped + queued` holds in every snapshot. Each term is counted on
//! its own where it happens, none is derived from the others, so that the equation is a check and not a definition.
//! Reports and `/metrics` read snapshots; only queue implementations write.

use std::collections::BTreeMap;

use crate::event::Signal;
pub use crate::event::dropped::{DropReason, Dropped};

/// The account of one exporter and signal, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Accepted since the exporter has the signal; repeats are not among them.
    pub received: u64,
    /// The backend has them.
    pub delivered: u64,
    /// Not wanted: by span phase, by shape, or skipped by the component.
    pub filtered: u64,
    /// Kept as dead letters.
    pub dead_lettered: u64,
    /// Given up, by reason.
    pub dropped: Dropped,
    /// Waiting, in flight or held.
    pub queued: u64,
}

impl Account {
    /// Whether the terms add up.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.received
            == self.delivered
                + self.filtered
                + self.dead_lettered
                + self.dropped.total()
                + self.queued
    }
}

/// The accounts of one exporter; signals that it lacks do not appear.
pub type ExporterAccounts = BTreeMap<Signal, Account>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count_and_name() {
        let mut dropped = Dropped::default();
        for (position, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position, "ALL is in the order of the enum");
            dropped.add(reason, position as u64 + 1);
        }
        for (position, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(dropped.by(reason), position as u64 + 1);
        }
        assert_eq!(dropped.total(), 36);
        let names: std::collections::BTreeSet<_> =
            DropReason::ALL.into_iter().map(DropReason::name).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }

    #[test]
    fn account_with_a_lost_event_is_not_conserved() {
        let mut account = Account {
            received: 5,
            delivered: 2,
            filtered: 1,
            dead_lettered: 1,
            ..Account::default()
        };
        assert!(!account.is_conserved());
        account.dropped.add(DropReason::MaxLag, 1);
        assert!(account.is_conserved());
        account.queued = 1;
        assert!(!account.is_conserved());
    }
}

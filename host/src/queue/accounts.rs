//! The accounts: what became of every event, per exporter and signal, exactly.
//!
//! `received = delivered + filtered + dead_lettered + dropped + queued` holds in every snapshot. Each term is counted on
//! its own where it happens, none is derived from the others, so that the equation is a check and not a definition.
//! Reports and `/metrics` read snapshots; only queue implementations write.

use std::collections::BTreeMap;

use crate::event::Signal;

/// Why the host gave an event up without a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// The queue was full and the exporter's policy is to drop its oldest.
    QueueFull,
    /// The exporter was further behind than its `max_lag_bytes`.
    MaxLag,
    /// Its dead letter was pushed out by newer ones.
    DeadLettersFull,
    /// The operator removed it from the dead letters.
    Purged,
    /// The exporter no longer takes the signal.
    SignalRemoved,
    /// The operator removed the exporter's cursor, or nobody used it for longer than it is kept.
    Forgotten,
    /// Its record could not be read from the disk, or not as it was written.
    Corrupt,
    /// Its dead letter was kept for as long as dead letters are.
    Expired,
}

impl DropReason {
    /// All reasons, in the order of the metric labels.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::MaxLag,
        Self::DeadLettersFull,
        Self::Purged,
        Self::SignalRemoved,
        Self::Forgotten,
        Self::Corrupt,
        Self::Expired,
    ];

    /// The label in reports and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::MaxLag => "max_lag",
            Self::DeadLettersFull => "dead_letters_full",
            Self::Purged => "purged",
            Self::SignalRemoved => "signal_removed",
            Self::Forgotten => "forgotten",
            Self::Corrupt => "corrupt",
            Self::Expired => "expired",
        }
    }
}

/// Dropped events by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// Counts `events` more.
    pub fn add(&mut self, reason: DropReason, events: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += events;
        }
    }

    /// Events dropped for `reason`.
    #[must_use]
    pub fn by(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// Events dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons with at least one event.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.by(reason)))
            .filter(|(_, events)| *events > 0)
    }
}

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

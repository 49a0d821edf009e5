//! Events that were given up without a call, by reason. Counted by the queue and by whoever keeps dead letters.

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

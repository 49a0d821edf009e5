//! The state that survives: cursors, accounts and counts, as a snapshot and the changes after it. JSON, so that a later
//! format can add fields and this one reads what it knows.
//!
//! Where events lie is not in it: that is read from their records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::per_signal::PerSignal;
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;
use crate::event::{EventKind, Signal};
use crate::queue::accounts::{Account, DropReason};
use crate::queue::core::{DropNote, Group};
use crate::queue::cursor::{CursorState, SavedReader};
use crate::queue::log::SEQUENCE_END;
use crate::queue::ranges::RangeSet;
use crate::queue::{CursorOptions, OnFull, StartAt};
use crate::route::{Decision, Route};

/// Half-open ranges, rising.
type Ranges = Vec<(u64, u64)>;

/// One number a signal, in the contract's order.
pub(super) type BySignal = [u64; Signal::ALL.len()];

/// Everything but the events.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) cursors: BTreeMap<String, SavedCursor>,
    /// The next sequence numbers.
    pub(super) next: BySignal,
    pub(super) accepted: BySignal,
    pub(super) repeated: BySignal,
    pub(super) refused_groups: u64,
    /// Ids of dead letters that are kept, and the next one.
    pub(super) letters: Ranges,
    pub(super) next_letter: u64,
}

/// One exporter's cursor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SavedCursor {
    signals: Vec<String>,
    /// Span phases: started, updated, ended.
    phases: [bool; 3],
    drops_oldest: bool,
    max_lag_bytes: Option<u64>,
    readers: BTreeMap<String, SavedPlace>,
    /// Since when no exporter of this id runs, unix nanoseconds.
    #[serde(default)]
    pub(super) absent_since: Option<u64>,
}

/// A cursor's place and account in one signal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct SavedPlace {
    /// Sequence numbers that are not settled; the last range is open.
    pending: Ranges,
    received: u64,
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
    dropped: BTreeMap<String, u64>,
}

/// How taken events end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Delivered,
    Filtered,
    DeadLettered,
}

/// A change of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// Groups came in; stands after their events.
    Append {
        next: BySignal,
        /// New events by kind, those that nobody is owed included.
        items: [u64; EventKind::ALL.len()],
        repeated: BySignal,
        refused_groups: u64,
    },
    Settle {
        exporter: String,
        signal: String,
        /// Sequence numbers (end excluded).
        parts: Vec<(u64, u64, End)>,
    },
    Drop {
        exporter: String,
        signal: String,
        sequence: u64,
        reason: String,
    },
    /// The cursor is now so.
    Cursor {
        exporter: String,
        cursor: Box<SavedCursor>,
    },
    Forget {
        exporter: String,
    },
    /// Dead letters that are now kept (end excluded).
    LettersKept {
        first: u64,
        end: u64,
    },
    /// Dead letters that are no longer kept.
    LettersGone {
        ids: Ranges,
        /// By exporter, signal and reason; without a reason they wait again.
        counts: Vec<(String, String, Option<String>, u64)>,
    },
    /// An event that this exporter alone is owed.
    Only {
        exporter: String,
        signal: String,
        sequence: u64,
    },
}

/// The changes that a write adds to what waits for a sync.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AppendTotals {
    pub(super) next: BySignal,
    pub(super) items: [u64; EventKind::ALL.len()],
    pub(super) repeated: BySignal,
}

impl AppendTotals {
    /// One more group.
    pub(super) fn count(&mut self, group: &Group) {
        for (sum, total) in self.items.iter_mut().zip(&group.totals) {
            *sum += total.items;
        }
        for (sum, (_, repeated)) in self.repeated.iter_mut().zip(group.repeated.iter()) {
            *sum += repeated;
        }
    }
}

impl From<&DropNote> for Change {
    fn from(note: &DropNote) -> Self {
        Self::Drop {
            exporter: note.exporter.to_string(),
            signal: note.signal.name().to_owned(),
            sequence: note.sequence,
            reason: note.reason.name().to_owned(),
        }
    }
}

impl SavedPlace {
    fn add(&mut self, reason: &str, events: u64) {
        *self.dropped.entry(reason.to_owned()).or_default() += events;
    }

    fn remove(&mut self, start: u64, end: u64) {
        let mut pending = ranges(&self.pending);
        pending.remove(start, end);
        self.pending = pending.iter().collect();
    }
}

impl SavedCursor {
    /// The cursor as it is now.
    pub(super) fn of(state: &CursorState, absent_since: Option<u64>) -> Self {
        let wants = |kind| state.wants(kind);
        let readers = state.saved().into_iter().map(|(signal, reader)| {
            let account = reader.account;
            let place = SavedPlace {
                pending: reader.pending.iter().collect(),
                received: account.received,
                delivered: account.delivered,
                filtered: account.filtered,
                dead_lettered: account.dead_lettered,
                dropped: account
                    .dropped
                    .iter()
                    .map(|(reason, events)| (reason.name().to_owned(), events))
                    .collect(),
            };
            (signal.name().to_owned(), place)
        });
        Self {
            signals: state
                .signals()
                .iter()
                .map(|signal| signal.name().to_owned())
                .collect(),
            phases: [
                wants(EventKind::SpanStarted),
                wants(EventKind::SpanUpdated),
                wants(EventKind::SpanEnded),
            ],
            drops_oldest: state.on_full == OnFull::DropOldest,
            max_lag_bytes: state.max_lag_bytes,
            readers: readers.collect(),
            absent_since,
        }
    }

    fn route(&self) -> Route {
        let signals: SignalSet = self
            .signals
            .iter()
            .filter_map(|name| signal_of(name))
            .collect();
        let [started, updated, ended] = self.phases;
        let phases = SpanPhases {
            started,
            updated,
            ended,
        };
        Route::new(signals, None, phases)
    }

    /// The cursor that was saved; its accounts do not count what waits yet.
    pub(super) fn restore(&self) -> CursorState {
        let options = CursorOptions {
            route: self.route(),
            start: StartAt::Head,
            on_full: if self.drops_oldest {
                OnFull::DropOldest
            } else {
                OnFull::Refuse
            },
            max_lag_bytes: self.max_lag_bytes,
        };
        let readers = self.readers.iter().filter_map(|(name, place)| {
            let mut account = Account {
                received: place.received,
                delivered: place.delivered,
                filtered: place.filtered,
                dead_lettered: place.dead_lettered,
                ..Account::default()
            };
            for (reason, events) in &place.dropped {
                // A reason that a later host knows is still a drop.
                let reason = reason_of(reason).unwrap_or(DropReason::Corrupt);
                account.dropped.add(reason, *events);
            }
            let pending = ranges(&place.pending);
            Some((signal_of(name)?, SavedReader { pending, account }))
        });
        CursorState::restored(options, readers)
    }
}

impl Saved {
    /// Makes a change.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Append {
                next,
                items,
                repeated,
                refused_groups,
            } => {
                self.append(&next, &items, &repeated);
                self.refused_groups = refused_groups;
            }
            Change::Settle {
                exporter,
                signal,
                parts,
            } => {
                if let Some(place) = self.place(&exporter, &signal) {
                    for (start, end, how) in parts {
                        place.remove(start, end);
                        let count = match how {
                            End::Delivered => &mut place.delivered,
                            End::Filtered => &mut place.filtered,
                            End::DeadLettered => &mut place.dead_lettered,
                        };
                        *count += end.saturating_sub(start);
                    }
                }
            }
            Change::Drop {
                exporter,
                signal,
                sequence,
                reason,
            } => {
                if let Some(place) = self.place(&exporter, &signal) {
                    place.remove(sequence, sequence + 1);
                    place.add(&reason, 1);
                }
            }
            Change::Cursor { exporter, cursor } => drop(self.cursors.insert(exporter, *cursor)),
            Change::Forget { exporter } => drop(self.cursors.remove(&exporter)),
            Change::LettersKept { first, end } => {
                let mut letters = ranges(&self.letters);
                letters.insert(first, end);
                self.letters = letters.iter().collect();
                self.next_letter = self.next_letter.max(end);
            }
            Change::LettersGone { ids, counts } => self.letters_gone(&ids, &counts),
            Change::Only {
                exporter,
                signal,
                sequence,
            } => self.only(&exporter, &signal, sequence),
        }
    }

    fn append(
        &mut self,
        next: &BySignal,
        items: &[u64; EventKind::ALL.len()],
        repeated: &BySignal,
    ) {
        for (mine, theirs) in self.next.iter_mut().zip(next) {
            *mine = (*mine).max(*theirs);
        }
        for (mine, more) in self.repeated.iter_mut().zip(repeated) {
            *mine += more;
        }
        for (kind, items) in EventKind::ALL.into_iter().zip(items) {
            if let Some(accepted) = self.accepted.get_mut(kind.signal().index()) {
                *accepted += items;
            }
            for cursor in self.cursors.values_mut() {
                let decision = cursor.route().decide(kind);
                if decision == Decision::Ignore {
                    continue;
                }
                let place = cursor
                    .readers
                    .entry(kind.signal().name().to_owned())
                    .or_default();
                place.received += items;
                if decision == Decision::Filter {
                    place.filtered += items;
                }
            }
        }
    }

    fn letters_gone(&mut self, ids: &Ranges, counts: &[(String, String, Option<String>, u64)]) {
        let mut letters = ranges(&self.letters);
        for (start, end) in ids {
            letters.remove(*start, *end);
        }
        self.letters = letters.iter().collect();
        for (exporter, signal, reason, events) in counts {
            let Some(place) = self.place(exporter, signal) else {
                continue;
            };
            place.dead_lettered = place.dead_lettered.saturating_sub(*events);
            if let Some(reason) = reason {
                place.add(reason, *events);
            }
        }
    }

    fn only(&mut self, exporter: &str, signal: &str, sequence: u64) {
        if let Some(next) = signal_of(signal).and_then(|signal| self.next.get_mut(signal.index())) {
            *next = (*next).max(sequence + 1);
        }
        for (id, cursor) in &mut self.cursors {
            if id != exporter
                && let Some(place) = cursor.readers.get_mut(signal)
            {
                place.remove(sequence, sequence + 1);
            }
        }
    }

    fn place(&mut self, exporter: &str, signal: &str) -> Option<&mut SavedPlace> {
        self.cursors.get_mut(exporter)?.readers.get_mut(signal)
    }
}

pub(super) fn ranges(list: &Ranges) -> RangeSet {
    let mut set = RangeSet::default();
    for (start, end) in list {
        set.insert(*start, (*end).min(SEQUENCE_END));
    }
    set
}

pub(super) fn by_signal(values: &PerSignal<u64>) -> BySignal {
    Signal::ALL.map(|signal| *values.get(signal))
}

pub(super) fn per_signal(values: &BySignal) -> PerSignal<u64> {
    let mut out = PerSignal::default();
    for (signal, value) in Signal::ALL.into_iter().zip(values) {
        *out.get_mut(signal) = *value;
    }
    out
}

pub(super) fn signal_of(name: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| signal.name() == name)
}

fn reason_of(name: &str) -> Option<DropReason> {
    DropReason::ALL
        .into_iter()
        .find(|reason| reason.name() == name)
}

//! What both queues do alike: the log's index, the cursors, the repeat window, admission and the counts, without a lock
//! and without I/O. [`memory`](super::memory) keeps the events themselves in it, [`durable`](super::durable) where they
//! lie on disk.
//!
//! A group comes in by three steps: [`Core::sift`], [`Core::admit`], [`Core::add`]. Between the last two a durable queue
//! writes it; what is admitted and not yet added is told by [`Pending`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::accounts::{DropReason, ExporterAccounts};
use super::cursor::{CursorState, Freed, GroupTotals};
use super::log::{self, Log, Pins, Stored};
use super::repeats::RepeatWindow;
use super::{CursorOptions, OnFull, QueueError, QueueReport};
use crate::deliver::source::CursorError;
use crate::event::per_signal::PerSignal;
use crate::event::{Event, EventKind, Signal};

/// What the index needs for an event that is not in it yet, at most but for odd cases; what it really takes is counted.
const INDEX_BYTES: u64 = 24;

/// A cursor, and who is told when there is more for it.
pub(crate) struct Entry {
    pub(crate) state: CursorState,
    pub(crate) grown: Arc<Notify>,
}

/// See the module.
pub(crate) struct Core<E: Stored> {
    pub(crate) log: Log<E>,
    pub(crate) repeats: RepeatWindow,
    pub(crate) cursors: BTreeMap<Arc<str>, Entry>,
    /// Generations are never used twice, also when a forgotten exporter comes back.
    pub(crate) generations: u64,
    pub(crate) accepted: PerSignal<u64>,
    pub(crate) repeated: PerSignal<u64>,
    pub(crate) refused_groups: u64,
    pub(crate) is_closed: bool,
    /// Drops since somebody last took them out.
    pub(crate) drops: Vec<DropNote>,
}

/// A waiting event was given up for an exporter.
#[derive(Clone, Debug)]
pub(crate) struct DropNote {
    pub(crate) exporter: Arc<str>,
    pub(crate) signal: Signal,
    pub(crate) sequence: u64,
    pub(crate) reason: DropReason,
}

/// Bounds of admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) capacity_bytes: u64,
    /// What of it is taken by something else than events.
    pub(crate) other_bytes: u64,
    /// Memory of the log's index.
    pub(crate) max_index_bytes: u64,
    pub(crate) retry_after: Duration,
}

/// A group on its way in.
pub(crate) struct Group {
    /// Without repeats.
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) totals: GroupTotals,
    pub(crate) repeated: PerSignal<u64>,
    /// By kind, in the order of [`EventKind::ALL`].
    pub(crate) pins: [Pins; EventKind::ALL.len()],
    /// What the log needs for it.
    pub(crate) cost: u64,
}

impl Group {
    /// Events that somebody is owed.
    pub(crate) fn owed(&self) -> u64 {
        let totals = self.totals.iter().zip(&self.pins);
        totals
            .filter(|(_, pins)| !pins.is_free())
            .map(|(total, _)| total.items)
            .sum()
    }

    /// Whether somebody is owed events of this kind.
    pub(crate) fn is_owed(&self, kind: EventKind) -> bool {
        self.pins
            .get(kind as usize)
            .is_some_and(|pins| !pins.is_free())
    }
}

/// Groups that are admitted and not yet added.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    cost: u64,
    events: u64,
    totals: GroupTotals,
}

impl Pending {
    /// One more.
    pub(crate) fn count(&mut self, group: &Group) {
        self.cost += group.cost;
        self.events += group.owed();
        for (sum, total) in self.totals.iter_mut().zip(&group.totals) {
            sum.items += total.items;
            sum.bytes += total.bytes;
        }
    }
}

impl<E: Stored> Core<E> {
    pub(crate) fn new(repeats: RepeatWindow) -> Self {
        Self {
            log: Log::default(),
            repeats,
            cursors: BTreeMap::new(),
            generations: 0,
            accepted: PerSignal::default(),
            repeated: PerSignal::default(),
            refused_groups: 0,
            is_closed: false,
            drops: Vec::new(),
        }
    }

    /// Takes the repeats out, and reckons who is owed the rest. The new keys are in the window, not yet committed.
    pub(crate) fn sift(&mut self, events: Vec<Arc<Event>>) -> Group {
        let mut pins = [Pins::default(); EventKind::ALL.len()];
        for entry in self.cursors.values() {
            for (kind, pins) in EventKind::ALL.iter().zip(&mut pins) {
                if entry.state.wants(*kind) {
                    pins.add(entry.state.on_full);
                }
            }
        }
        let mut group = Group {
            events,
            totals: GroupTotals::default(),
            repeated: PerSignal::default(),
            pins,
            cost: 0,
        };
        group.events.retain(|event| {
            let is_new = self.repeats.insert(event.repeat_key);
            if !is_new {
                *group.repeated.get_mut(event.signal()) += 1;
            } else if let Some(total) = group.totals.get_mut(event.kind as usize) {
                total.items += 1;
                total.bytes += event.size_bytes();
            }
            is_new
        });
        let owed = group
            .totals
            .iter()
            .zip(&group.pins)
            .filter(|(_, pins)| !pins.is_free());
        group.cost = owed
            .map(|(total, _)| total.bytes + total.items * log::EVENT_OVERHEAD_BYTES)
            .sum();
        group
    }

    /// Drops what may be dropped until the group fits beside the pending ones; nothing if it cannot fit. A refused group
    /// is counted.
    pub(crate) fn admit(
        &mut self,
        group: &Group,
        pending: &Pending,
        bounds: &Bounds,
    ) -> Result<(), QueueError> {
        let admitted = self.fits(group, pending, bounds).and_then(|()| {
            let used_bytes = self.log.used_bytes + pending.cost + bounds.other_bytes;
            let needed = (used_bytes + group.cost).saturating_sub(bounds.capacity_bytes);
            let surplus = self.surplus_events(group, pending, bounds.max_index_bytes);
            if surplus > 0 && !self.make_room(needed, surplus) {
                return Err(QueueError::IndexFull {
                    events: self.log.events,
                    index_bytes: self.log.index_bytes,
                    max_index_bytes: bounds.max_index_bytes,
                    retry_after: bounds.retry_after,
                });
            }
            if surplus == 0 && needed > 0 && !self.make_room(needed, 0) {
                return Err(QueueError::Full {
                    used_bytes,
                    capacity_bytes: bounds.capacity_bytes,
                    retry_after: bounds.retry_after,
                });
            }
            Ok(())
        });
        self.refused_groups += u64::from(admitted.is_err());
        admitted
    }

    /// How many events are too many for the index, by what one costs now.
    fn surplus_events(&self, group: &Group, pending: &Pending, max_index_bytes: u64) -> u64 {
        let more = (pending.events + group.owed()).saturating_mul(INDEX_BYTES);
        let surplus = (self.log.index_bytes.saturating_add(more)).saturating_sub(max_index_bytes);
        let each = self.log.index_bytes / self.log.events.max(1);
        surplus.div_ceil(each.max(1))
    }

    /// What dropping does not help against: a group that is too large, an exporter that is too far behind and refuses.
    fn fits(&self, group: &Group, pending: &Pending, bounds: &Bounds) -> Result<(), QueueError> {
        let index_bytes = group.owed().saturating_mul(INDEX_BYTES);
        if group.cost > bounds.capacity_bytes || index_bytes > bounds.max_index_bytes {
            return Err(QueueError::GroupTooLarge {
                group_bytes: group.cost,
                capacity_bytes: bounds.capacity_bytes,
            });
        }
        for entry in self
            .cursors
            .values()
            .filter(|entry| entry.state.on_full == OnFull::Refuse)
        {
            let Some(max) = entry.state.max_lag_bytes else {
                continue;
            };
            let lag = entry.state.lag_bytes() + entry.state.owed_bytes(&pending.totals);
            let owed = entry.state.owed_bytes(&group.totals);
            if owed > 0 && lag > 0 && lag + owed > max {
                return Err(QueueError::Full {
                    used_bytes: lag,
                    capacity_bytes: max,
                    retry_after: bounds.retry_after,
                });
            }
        }
        Ok(())
    }

    /// Frees at least `needed` bytes and `surplus` events by dropping the oldest events that only dropping exporters wait for. Drops nothing
    /// and returns false if that is not enough.
    fn make_room(&mut self, needed: u64, surplus: u64) -> bool {
        if self.log.droppable_bytes < needed {
            return false;
        }
        let mut chosen = Vec::new();
        let mut freed = 0;
        let mut next: PerSignal<Option<(u64, u64)>> = PerSignal::default();
        for signal in Signal::ALL {
            *next.get_mut(signal) = self.next_droppable(signal, 0);
        }
        while freed < needed || (chosen.len() as u64) < surplus {
            let candidates = next
                .iter()
                .filter_map(|(signal, place)| place.map(|(at, seq)| (at, signal, seq)));
            let Some((_, signal, sequence)) = candidates.min() else {
                return false;
            };
            freed += self
                .log
                .get(signal, sequence)
                .map_or(0, |event| log::cost(&event));
            chosen.push((signal, sequence));
            *next.get_mut(signal) = self.next_droppable(signal, sequence + 1);
        }
        for (signal, sequence) in chosen {
            self.give_up(signal, sequence, DropReason::QueueFull, |state| {
                state.on_full == OnFull::DropOldest
            });
        }
        true
    }

    /// Drops an event for those of the cursors that it waits for.
    fn give_up(
        &mut self,
        signal: Signal,
        sequence: u64,
        reason: DropReason,
        whose: impl Fn(&CursorState) -> bool,
    ) {
        for (exporter, entry) in &mut self.cursors {
            if whose(&entry.state)
                && entry
                    .state
                    .drop_waiting(&mut self.log, signal, sequence, reason)
            {
                self.drops.push(DropNote {
                    exporter: Arc::clone(exporter),
                    signal,
                    sequence,
                    reason,
                });
            }
        }
    }

    /// The first event from a place on that dropping frees: time of receipt and sequence number.
    fn next_droppable(&self, signal: Signal, from: u64) -> Option<(u64, u64)> {
        let mut from = from;
        loop {
            let (sequence, event) = self.log.next_droppable(signal, from)?;
            if !self
                .cursors
                .values()
                .any(|entry| entry.state.has_taken(signal, sequence))
            {
                return Some((event.received_at(), sequence));
            }
            from = sequence + 1;
        }
    }

    /// Adds an admitted group; `store` says what the log keeps of an event at its sequence number.
    pub(crate) fn add(&mut self, group: Group, mut store: impl FnMut(Arc<Event>, u64) -> E) {
        for event in group.events {
            let signal = event.signal();
            *self.accepted.get_mut(signal) += 1;
            let pins = group
                .pins
                .get(event.kind as usize)
                .copied()
                .unwrap_or_default();
            if !pins.is_free() {
                let stored = store(event, self.log.next(signal));
                self.log.push(stored, pins);
            }
        }
        for (signal, repeated) in group.repeated.iter() {
            *self.repeated.get_mut(signal) += repeated;
        }
        for (exporter, entry) in &mut self.cursors {
            if !entry.state.count_group(&group.totals) {
                continue;
            }
            entry.grown.notify_one();
            if entry.state.on_full != OnFull::DropOldest {
                continue;
            }
            let Some(max) = entry.state.max_lag_bytes else {
                continue;
            };
            let bound = max.max(entry.state.owed_bytes(&group.totals));
            while entry.state.lag_bytes() > bound
                && let Some((signal, sequence)) =
                    entry.state.drop_oldest(&mut self.log, DropReason::MaxLag)
            {
                self.drops.push(DropNote {
                    exporter: Arc::clone(exporter),
                    signal,
                    sequence,
                    reason: DropReason::MaxLag,
                });
            }
        }
    }

    pub(crate) fn current(
        &mut self,
        exporter_id: &Arc<str>,
        generation: u64,
    ) -> Result<(&mut CursorState, &mut Log<E>), CursorError> {
        match self.cursors.get_mut(exporter_id) {
            Some(entry) if entry.state.generation == generation => {
                Ok((&mut entry.state, &mut self.log))
            }
            _ => Err(CursorError::Superseded {
                exporter: exporter_id.to_string(),
            }),
        }
    }

    /// Opens a cursor, known or new: its generation, who is told when it has more, and what is no longer needed.
    pub(crate) fn open(
        &mut self,
        exporter_id: &Arc<str>,
        options: CursorOptions,
    ) -> (u64, Arc<Notify>, Freed<E>) {
        self.generations += 1;
        let mut garbage = Vec::new();
        let entry = match self.cursors.entry(Arc::clone(exporter_id)) {
            std::collections::btree_map::Entry::Occupied(known) => {
                let entry = known.into_mut();
                garbage = entry.state.reopen(options, &mut self.log);
                entry.grown = Arc::default();
                entry
            }
            std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(Entry {
                state: CursorState::new(options, &mut self.log),
                grown: Arc::default(),
            }),
        };
        entry.state.generation = self.generations;
        (self.generations, Arc::clone(&entry.grown), garbage)
    }

    /// Forgets a cursor: its last accounts, and what is no longer needed.
    pub(crate) fn forget(
        &mut self,
        exporter_id: &str,
    ) -> Result<(ExporterAccounts, Freed<E>), QueueError> {
        let Some(entry) = self.cursors.remove(exporter_id) else {
            return Err(QueueError::UnknownExporter {
                exporter: exporter_id.to_owned(),
            });
        };
        Ok(entry.state.forget(&mut self.log))
    }

    /// See [`QueueReport`].
    pub(crate) fn report(&self, capacity_bytes: u64) -> QueueReport {
        let report_of =
            |(id, entry): (&Arc<str>, &Entry)| (id.to_string(), entry.state.report(&self.log));
        QueueReport {
            cursors: self.cursors.iter().map(report_of).collect(),
            events: self.log.events,
            used_bytes: self.log.used_bytes,
            capacity_bytes,
            index_bytes: self.log.index_bytes,
            accepted: self.accepted,
            repeated: self.repeated,
            refused_groups: self.refused_groups,
            ..QueueReport::default()
        }
    }
}

//! The queue in memory: for `run --input`, for tests, and where an operator accepts that a crash loses what waits.
//!
//! One lock around all of it, taken once a group, take or settlement and never across an await; events are shared, so that
//! they exist once however many exporters read them. Bounded by bytes: payloads plus a fixed overhead an event. A payload
//! is a slice of its request's body, which stays whole until the last of its events is freed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::accounts::{DropReason, ExporterAccounts};
use super::cursor::{CursorState, GroupTotals};
use super::log::{self, Log, Pins};
use super::repeats::RepeatWindow;
use super::{Appended, CursorOptions, OnFull, Queue, QueueError, QueueReport};
use crate::deliver::dead_letter::{DeadLetter, MemoryDeadLetters, Origin};
use crate::deliver::source::{Cursor, CursorError, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::{Event, EventKind, Signal};
use crate::plugin::guest::BatchItem;

/// Bounds of a [`MemoryQueue`].
#[derive(Clone, Copy, Debug)]
pub struct MemoryQueueSettings {
    /// Of all events, overhead included. At least twice the largest request body.
    pub capacity_bytes: u64,
    /// How long an event is remembered at least, so that its repeats are dropped.
    pub repeat_window: Duration,
    /// How many events are remembered at most, and at least half of them; each costs about 36 bytes.
    pub repeat_entries: usize,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
}

impl Default for MemoryQueueSettings {
    fn default() -> Self {
        Self {
            capacity_bytes: 256 * 1024 * 1024,
            repeat_window: Duration::from_secs(3600),
            // The window's hour at 70 events/s, 12 s at 20,000; a client that resends does so within seconds. 18 MB if full.
            repeat_entries: 500_000,
            retry_after: Duration::from_secs(5),
        }
    }
}

struct Entry {
    state: CursorState,
    grown: Arc<Notify>,
}

struct State {
    log: Log,
    repeats: RepeatWindow,
    cursors: BTreeMap<Arc<str>, Entry>,
    /// Generations are never used twice, also when a forgotten exporter comes back.
    generations: u64,
    accepted: PerSignal<u64>,
    repeated: PerSignal<u64>,
    refused_groups: u64,
    is_closed: bool,
}

struct Shared {
    settings: MemoryQueueSettings,
    dead_letters: Arc<MemoryDeadLetters>,
    state: Mutex<State>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

/// The handle of one exporter's cursor.
pub struct MemoryCursor {
    exporter_id: Arc<str>,
    generation: u64,
    grown: Arc<Notify>,
    shared: Arc<Shared>,
}

impl MemoryQueue {
    /// An empty queue; `dead_letters` is to hold the exporters' dead letters and nothing else.
    #[must_use]
    pub fn new(settings: MemoryQueueSettings, dead_letters: Arc<MemoryDeadLetters>) -> Self {
        let state = State {
            log: Log::default(),
            repeats: RepeatWindow::new(settings.repeat_window, settings.repeat_entries),
            cursors: BTreeMap::new(),
            generations: 0,
            accepted: PerSignal::default(),
            repeated: PerSignal::default(),
            refused_groups: 0,
            is_closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                settings,
                dead_letters,
                state: Mutex::new(state),
            }),
        }
    }

    /// The exporters' dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> &MemoryDeadLetters {
        &self.shared.dead_letters
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group on its way in.
struct Group {
    /// Without repeats.
    events: Vec<Arc<Event>>,
    totals: GroupTotals,
    repeated: PerSignal<u64>,
    /// By kind, in the order of [`EventKind::ALL`].
    pins: [Pins; EventKind::ALL.len()],
    /// What the log needs for it.
    cost: u64,
}

impl State {
    /// Takes the repeats out, and reckons who is owed the rest. The new keys are in the window, not yet committed.
    fn sift(&mut self, events: Vec<Arc<Event>>) -> Group {
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
                total.bytes += event.size_bytes() as u64;
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

    /// Drops what may be dropped until the group fits; nothing if it cannot fit.
    fn admit(&mut self, group: &Group, settings: &MemoryQueueSettings) -> Result<(), QueueError> {
        let capacity_bytes = settings.capacity_bytes;
        if group.cost > capacity_bytes {
            return Err(QueueError::GroupTooLarge {
                group_bytes: group.cost,
                capacity_bytes,
            });
        }
        for entry in self
            .cursors
            .values()
            .filter(|entry| entry.state.on_full == OnFull::Refuse)
        {
            let (Some(max), lag) = (entry.state.max_lag_bytes, entry.state.lag_bytes()) else {
                continue;
            };
            let owed = entry.state.owed_bytes(&group.totals);
            if owed > 0 && lag > 0 && lag + owed > max {
                let retry_after = settings.retry_after;
                return Err(QueueError::Full {
                    used_bytes: lag,
                    capacity_bytes: max,
                    retry_after,
                });
            }
        }
        let used_bytes = self.log.used_bytes;
        let needed = (used_bytes + group.cost).saturating_sub(capacity_bytes);
        if needed > 0 && !self.make_room(needed) {
            return Err(QueueError::Full {
                used_bytes,
                capacity_bytes,
                retry_after: settings.retry_after,
            });
        }
        Ok(())
    }

    /// Frees at least `needed` bytes by dropping the oldest events that only dropping exporters wait for. Drops nothing
    /// and returns false if that is not enough.
    fn make_room(&mut self, needed: u64) -> bool {
        if self.log.droppable_bytes < needed {
            return false;
        }
        let mut chosen = Vec::new();
        let mut freed = 0;
        let mut next: PerSignal<Option<(u64, u64)>> = PerSignal::default();
        for signal in Signal::ALL {
            *next.get_mut(signal) = self.next_droppable(signal, 0);
        }
        while freed < needed {
            let candidates = next
                .iter()
                .filter_map(|(signal, place)| place.map(|(at, seq)| (at, signal, seq)));
            let Some((_, signal, sequence)) = candidates.min() else {
                return false;
            };
            freed += self
                .log
                .get(signal, sequence)
                .map_or(0, |event| log::cost(event));
            chosen.push((signal, sequence));
            *next.get_mut(signal) = self.next_droppable(signal, sequence + 1);
        }
        for (signal, sequence) in chosen {
            for entry in self
                .cursors
                .values_mut()
                .filter(|entry| entry.state.on_full == OnFull::DropOldest)
            {
                entry
                    .state
                    .drop_waiting(&mut self.log, signal, sequence, DropReason::QueueFull);
            }
        }
        true
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
                return Some((event.received_at, sequence));
            }
            from = sequence + 1;
        }
    }

    /// Adds an admitted group.
    fn add(&mut self, group: Group) {
        for event in group.events {
            *self.accepted.get_mut(event.signal()) += 1;
            let pins = group
                .pins
                .get(event.kind as usize)
                .copied()
                .unwrap_or_default();
            if !pins.is_free() {
                self.log.push(event, pins);
            }
        }
        for entry in self.cursors.values_mut() {
            if !entry.state.count_group(&group.totals) {
                continue;
            }
            entry.grown.notify_one();
            if entry.state.on_full == OnFull::DropOldest
                && let Some(max) = entry.state.max_lag_bytes
            {
                let owed = entry.state.owed_bytes(&group.totals);
                while entry.state.lag_bytes() > max.max(owed)
                    && entry.state.drop_oldest(&mut self.log, DropReason::MaxLag)
                {}
            }
        }
    }

    fn current(
        &mut self,
        exporter_id: &Arc<str>,
        generation: u64,
    ) -> Result<(&mut CursorState, &mut Log), CursorError> {
        match self.cursors.get_mut(exporter_id) {
            Some(entry) if entry.state.generation == generation => {
                Ok((&mut entry.state, &mut self.log))
            }
            _ => Err(CursorError::Superseded {
                exporter: exporter_id.to_string(),
            }),
        }
    }
}

impl Queue for MemoryQueue {
    type Cursor = MemoryCursor;

    async fn append(&self, events: Vec<Event>) -> Result<Appended, QueueError> {
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.is_closed {
            return Err(QueueError::Closed);
        }
        state.repeats.expire(now);
        let group = state.sift(events);
        if let Err(error) = state.admit(&group, &self.shared.settings) {
            state.repeats.undo();
            state.refused_groups += 1;
            return Err(error);
        }
        state.repeats.commit(now);
        let mut appended = Appended {
            accepted: group.events.len() as u64,
            repeated: 0,
        };
        for (signal, repeated) in group.repeated.iter() {
            appended.repeated += repeated;
            *state.repeated.get_mut(signal) += repeated;
        }
        state.add(group);
        Ok(appended)
    }

    async fn open(
        &self,
        exporter_id: &str,
        options: CursorOptions,
    ) -> Result<MemoryCursor, QueueError> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.generations += 1;
        let exporter_id: Arc<str> = exporter_id.into();
        let mut garbage = Vec::new();
        let entry = match state.cursors.entry(Arc::clone(&exporter_id)) {
            std::collections::btree_map::Entry::Occupied(known) => {
                let entry = known.into_mut();
                garbage = entry.state.reopen(options, &mut state.log);
                entry.grown = Arc::default();
                entry
            }
            std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(Entry {
                state: CursorState::new(options, &mut state.log),
                grown: Arc::default(),
            }),
        };
        entry.state.generation = state.generations;
        let cursor = MemoryCursor {
            exporter_id,
            generation: entry.state.generation,
            grown: Arc::clone(&entry.grown),
            shared: Arc::clone(&self.shared),
        };
        drop(guard);
        drop(garbage);
        Ok(cursor)
    }

    async fn forget(&self, exporter_id: &str) -> Result<ExporterAccounts, QueueError> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(entry) = state.cursors.remove(exporter_id) else {
            return Err(QueueError::UnknownExporter {
                exporter: exporter_id.to_owned(),
            });
        };
        let (accounts, garbage) = entry.state.forget(&mut state.log);
        drop(guard);
        drop(garbage);
        Ok(accounts)
    }

    fn close(&self) {
        self.shared.lock().is_closed = true;
    }

    fn report(&self) -> QueueReport {
        let state = self.shared.lock();
        let report_of =
            |(id, entry): (&Arc<str>, &Entry)| (id.to_string(), entry.state.report(&state.log));
        QueueReport {
            cursors: state.cursors.iter().map(report_of).collect(),
            events: state.log.events,
            used_bytes: state.log.used_bytes,
            capacity_bytes: self.shared.settings.capacity_bytes,
            accepted: state.accepted,
            repeated: state.repeated,
            refused_groups: state.refused_groups,
        }
    }
}

impl MemoryCursor {
    fn not_taken(&self, token: u64) -> CursorError {
        CursorError::NotTaken {
            exporter: self.exporter_id.to_string(),
            token,
        }
    }
}

impl Cursor for MemoryCursor {
    fn exporter_id(&self) -> &str {
        &self.exporter_id
    }

    fn waiting(&self) -> PerSignal<Waiting> {
        let mut state = self.shared.lock();
        state
            .current(&self.exporter_id, self.generation)
            .map(|(cursor, _)| cursor.waiting())
            .unwrap_or_default()
    }

    async fn grown(&self) {
        self.grown.notified().await;
    }

    async fn take(
        &self,
        signal: Signal,
        limits: TakeLimits<'_>,
    ) -> Result<Vec<BatchItem>, CursorError> {
        let mut state = self.shared.lock();
        let (cursor, log) = state.current(&self.exporter_id, self.generation)?;
        Ok(cursor.take(log, signal, limits))
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), CursorError> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let (cursor, log) = state.current(&self.exporter_id, self.generation)?;
        let ranges = cursor
            .taken_ranges(
                settlement.signal,
                settlement.parts.iter().map(|(tokens, _)| *tokens),
            )
            .map_err(|token| self.not_taken(token))?;
        let mut evicted = Vec::new();
        let garbage = cursor.settle(log, &settlement, &ranges, |event, reason, attempts| {
            let letter = DeadLetter::of_event(&self.exporter_id, event, reason, attempts);
            evicted.extend(self.shared.dead_letters.push(letter));
        });
        for letter in evicted {
            let Origin::Exporter(id) = &letter.origin else {
                continue;
            };
            if let (Some(entry), Some(kind)) = (state.cursors.get_mut(id), letter.kind) {
                entry.state.count_evicted(kind.signal(), 1);
            }
        }
        drop(guard);
        // The payloads are freed after the lock.
        drop(garbage);
        Ok(())
    }

    async fn release(&self, signal: Signal, tokens: Vec<Tokens>) -> Result<(), CursorError> {
        let mut state = self.shared.lock();
        let (cursor, log) = state.current(&self.exporter_id, self.generation)?;
        let ranges = cursor
            .taken_ranges(signal, tokens)
            .map_err(|token| self.not_taken(token))?;
        cursor.release(log, signal, &ranges);
        self.grown.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests;

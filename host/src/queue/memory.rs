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
use tracing::info;

use super::accounts::ExporterAccounts;
use super::core::{Bounds, Core, Pending};
use super::cursor::Freed;
use super::repeats::{REPEAT_ENTRIES, RepeatWindow};
use super::{Appended, CursorOptions, Queue, QueueError, QueueReport};
use crate::deliver::dead_letter::{DeadLetter, LettersReport, MemoryDeadLetters, Origin};
use crate::deliver::source::{Cursor, CursorError, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::{Event, Signal};
use crate::plugin::guest::BatchItem;

/// Bounds of a [`MemoryQueue`].
#[derive(Clone, Copy, Debug)]
pub struct MemoryQueueSettings {
    /// Of all events, overhead included. At least twice the largest request body.
    pub capacity_bytes: u64,
    /// How long an event is remembered at least, so that its repeats are dropped.
    pub repeat_window: Duration,
    /// How many events are remembered at most, and at least half of them; each costs about 20 bytes.
    pub repeat_entries: usize,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
    /// How long the cursor of an exporter that has [left](MemoryQueue::leave) is kept.
    pub retire_after: Duration,
}

impl Default for MemoryQueueSettings {
    fn default() -> Self {
        Self {
            capacity_bytes: 256 * 1024 * 1024,
            repeat_window: Duration::from_secs(3600),
            repeat_entries: REPEAT_ENTRIES,
            retry_after: Duration::from_secs(5),
            retire_after: Duration::from_secs(24 * 3600),
        }
    }
}

struct Shared {
    settings: MemoryQueueSettings,
    dead_letters: Arc<MemoryDeadLetters>,
    state: Mutex<State>,
}

struct State {
    core: Core<Arc<Event>>,
    /// Since when no exporter of these ids runs.
    absent: BTreeMap<Arc<str>, Instant>,
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
        let repeats = RepeatWindow::new(settings.repeat_window, settings.repeat_entries);
        Self {
            shared: Arc::new(Shared {
                settings,
                dead_letters,
                state: Mutex::new(State {
                    core: Core::new(repeats),
                    absent: BTreeMap::new(),
                }),
            }),
        }
    }

    /// No exporter of this id runs any more: its place is kept for as long as the settings say. It is let go of when
    /// events come in or somebody looks after that.
    pub fn leave(&self, exporter_id: &str) {
        let mut state = self.shared.lock();
        if let Some((id, _)) = state.core.cursors.get_key_value(exporter_id) {
            let id = Arc::clone(id);
            state.absent.insert(id, Instant::now());
        }
    }

    /// An exporter of this id is wanted, though none runs: its place does not grow old.
    pub fn stay(&self, exporter_id: &str) {
        self.shared.lock().absent.remove(exporter_id);
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

impl State {
    /// Forgets the cursors that nobody has used for so long. Returns what is no longer needed.
    fn retire(&mut self, after: Duration) -> Freed<Arc<Event>> {
        let now = Instant::now();
        let mut garbage = Vec::new();
        self.absent.retain(|exporter, since| {
            let is_young = now.duration_since(*since) <= after;
            if !is_young && let Ok((_, freed)) = self.core.forget(exporter) {
                info!(
                    exporter = &**exporter,
                    "Forgot an exporter that was removed."
                );
                garbage.extend(freed);
            }
            is_young
        });
        garbage
    }
}

impl Queue for MemoryQueue {
    type Cursor = MemoryCursor;

    async fn append(&self, events: Vec<Event>) -> Result<Appended, QueueError> {
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        let now = Instant::now();
        let settings = &self.shared.settings;
        let _freed_after_the_lock;
        let mut guard = self.shared.lock();
        _freed_after_the_lock = guard.retire(settings.retire_after);
        let state = &mut guard.core;
        if state.is_closed {
            return Err(QueueError::Closed);
        }
        state.repeats.expire(now);
        let group = state.sift(events);
        let bounds = Bounds {
            capacity_bytes: settings.capacity_bytes,
            other_bytes: 0,
            max_index_bytes: u64::MAX,
            retry_after: settings.retry_after,
        };
        if let Err(error) = state.admit(&group, &Pending::default(), &bounds) {
            state.repeats.undo();
            return Err(error);
        }
        state.repeats.commit(now);
        let appended = Appended {
            accepted: group.events.len() as u64,
            repeated: group.repeated.iter().map(|(_, events)| events).sum(),
        };
        state.add(group, |event, _| event);
        state.drops.clear();
        Ok(appended)
    }

    async fn open(
        &self,
        exporter_id: &str,
        options: CursorOptions,
    ) -> Result<MemoryCursor, QueueError> {
        let exporter_id: Arc<str> = exporter_id.into();
        let (generation, grown, _freed_after_the_lock) = {
            let mut state = self.shared.lock();
            state.absent.remove(&exporter_id);
            state.core.open(&exporter_id, options)
        };
        Ok(MemoryCursor {
            exporter_id,
            generation,
            grown,
            shared: Arc::clone(&self.shared),
        })
    }

    async fn forget(&self, exporter_id: &str) -> Result<ExporterAccounts, QueueError> {
        let forgotten = {
            let mut state = self.shared.lock();
            state.absent.remove(exporter_id);
            state.core.forget(exporter_id)
        };
        forgotten.map(|(accounts, _freed_after_the_lock)| accounts)
    }

    fn close(&self) {
        self.shared.lock().core.is_closed = true;
    }

    fn report(&self) -> QueueReport {
        let settings = &self.shared.settings;
        let mut state = self.shared.lock();
        drop(state.retire(settings.retire_after));
        QueueReport {
            dead_letters: LettersReport {
                exporters: self.shared.dead_letters.figures(),
                ..LettersReport::default()
            },
            ..state.core.report(settings.capacity_bytes)
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
            .core
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
        let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
        let items = cursor.take(log, signal, limits);
        Ok(items
            .into_iter()
            .map(|(token, event)| BatchItem { token, event })
            .collect())
    }

    async fn read(&self, signal: Signal, tokens: &[u64]) -> Result<Vec<BatchItem>, CursorError> {
        let mut state = self.shared.lock();
        let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
        Ok(cursor
            .read(log, signal, tokens)
            .into_iter()
            .map(|(token, event)| BatchItem { token, event })
            .collect())
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), CursorError> {
        let mut guard = self.shared.lock();
        let state = &mut guard.core;
        let (cursor, log) = state.current(&self.exporter_id, self.generation)?;
        let ranges = cursor
            .taken_ranges(
                settlement.signal,
                settlement.parts.iter().map(|(tokens, _)| *tokens),
            )
            .map_err(|token| self.not_taken(token))?;
        let mut evicted = Vec::new();
        let garbage = cursor.settle(log, &settlement, &ranges, |_, event, reason, attempts| {
            let letter = DeadLetter::of_event(&self.exporter_id, event, reason, attempts);
            evicted.extend(self.shared.dead_letters.push(letter));
        });
        for (letter, reason) in evicted {
            let Origin::Exporter(id) = &letter.origin else {
                continue;
            };
            if let (Some(entry), Some(kind)) = (state.cursors.get_mut(id), letter.kind) {
                entry.state.count_evicted(kind.signal(), 1, reason);
            }
        }
        drop(guard);
        // The payloads are freed after the lock.
        drop(garbage);
        Ok(())
    }

    async fn release(&self, signal: Signal, tokens: Vec<Tokens>) -> Result<(), CursorError> {
        let mut state = self.shared.lock();
        let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
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

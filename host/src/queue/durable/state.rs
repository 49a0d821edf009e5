//! What the handles and the writer share, under one lock: the index of the log, the segments, the fresh tail of events
//! that are still in memory, the dead letters' index.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DurableQueueSettings;
use super::files::LogFile;
use super::format;
use super::letters::Letters;
use super::saved::{Saved, SavedCursor, by_signal};
use crate::event::{Event, EventKind, Signal};
use crate::queue::core::Core;
use crate::queue::log::{Home, Stored};

/// Where an event lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) received_at: u64,
    pub(super) lane: u64,
    pub(super) segment: u32,
    /// Of the record.
    pub(super) offset: u32,
    /// Of the record, with padding.
    pub(super) length: u32,
    /// Of the payload.
    pub(super) size: u32,
    pub(super) kind: EventKind,
    /// While it is in the tail.
    pub(super) cached: Option<Arc<Event>>,
}

impl Stored for Place {
    fn kind(&self) -> EventKind {
        self.kind
    }

    fn size_bytes(&self) -> u64 {
        u64::from(self.size)
    }

    fn lane(&self) -> u64 {
        self.lane
    }

    fn received_at(&self) -> u64 {
        self.received_at
    }

    fn home(&self) -> Option<(u32, u64)> {
        Some((self.segment, u64::from(self.length)))
    }
}

/// A segment file.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn LogFile>,
    pub(super) salt: u64,
    pub(super) length: u64,
}

pub(super) struct State {
    pub(super) core: Core<Place>,
    /// By number; the last one is written to.
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) letters: Letters,
    /// Cursors that no exporter has opened, and since when, unix nanoseconds.
    pub(super) absent: BTreeMap<Arc<str>, u64>,
    /// Why nothing more is written.
    pub(super) broken: Option<String>,
    tail: VecDeque<(Signal, u64)>,
    tail_bytes: u64,
}

impl State {
    pub(super) fn new(core: Core<Place>) -> Self {
        Self {
            core,
            segments: BTreeMap::new(),
            letters: Letters::default(),
            absent: BTreeMap::new(),
            broken: None,
            tail: VecDeque::new(),
            tail_bytes: 0,
        }
    }

    /// Bytes of all segments.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.length).sum()
    }

    /// What of a segment is still needed.
    pub(super) fn needed(&self, segment: u32) -> Home {
        let events = self.core.log.homes.get(&segment).copied();
        let letters = self.letters.homes.get(&segment).copied();
        let (events, letters) = (events.unwrap_or_default(), letters.unwrap_or_default());
        Home {
            events: events.events + letters.events,
            bytes: events.bytes + letters.bytes,
        }
    }

    /// Counts an event that is kept in memory beside its place, and lets go of the oldest such ones.
    pub(super) fn cached(&mut self, signal: Signal, sequence: u64, size: u64, bound: u64) {
        self.tail.push_back((signal, sequence));
        self.tail_bytes += size + format::RECORD_HEADER_BYTES as u64;
        while self.tail_bytes > bound
            && let Some((signal, sequence)) = self.tail.pop_front()
        {
            let place = self.core.log.get_mut(signal, sequence);
            if let Some(place) = place
                && place.cached.take().is_some()
            {
                self.tail_bytes -= u64::from(place.size) + format::RECORD_HEADER_BYTES as u64;
            }
        }
    }

    /// Settled events have left the tail.
    pub(super) fn uncached(&mut self, freed: &[Place]) {
        for place in freed.iter().filter(|place| place.cached.is_some()) {
            let size = u64::from(place.size) + format::RECORD_HEADER_BYTES as u64;
            self.tail_bytes = self.tail_bytes.saturating_sub(size);
        }
        // Places of settled events at the front; the others go when the tail is over its bound.
        while let Some((signal, sequence)) = self.tail.front()
            && self.core.log.get(*signal, *sequence).is_none()
        {
            self.tail.pop_front();
        }
    }

    /// One cursor, to be kept.
    pub(super) fn saved_cursor(&self, exporter: &str) -> Option<SavedCursor> {
        let entry = self.core.cursors.get(exporter)?;
        let absent_since = self.absent.get(exporter).copied();
        Some(SavedCursor::of(&entry.state, absent_since))
    }

    /// All of it, to be kept.
    pub(super) fn saved(&self) -> Saved {
        let cursors = self.core.cursors.keys().filter_map(|exporter| {
            let cursor = self.saved_cursor(exporter)?;
            Some((exporter.to_string(), cursor))
        });
        Saved {
            cursors: cursors.collect(),
            next: Signal::ALL.map(|signal| self.core.log.next(signal)),
            accepted: by_signal(&self.core.accepted),
            repeated: by_signal(&self.core.repeated),
            refused_groups: self.core.refused_groups,
            letters: self.letters.ids(),
            next_letter: self.letters.next,
        }
    }
}

/// Shared by the handles and the writer.
pub(super) struct Inner {
    pub(super) settings: DurableQueueSettings,
    state: Mutex<State>,
}

impl Inner {
    pub(super) fn new(settings: DurableQueueSettings, state: State) -> Self {
        let state = Mutex::new(state);
        Self { settings, state }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

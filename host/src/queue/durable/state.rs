//! What the handles and the writer share, under one lock: the index of the log, the segments, the fresh tail of events
//! that are still in memory, the dead letters' index.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DurableQueueSettings;
use super::files::LogFile;
use super::letters::Letters;
use super::places::Places;
use super::saved::{Saved, SavedCursor, by_signal};
use super::tail::Tail;
use crate::event::{Event, EventKind, Signal};
use crate::queue::core::Core;
use crate::queue::log::{self, Home, Stored};

/// Where an event lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) struct Place {
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
}

impl Stored for Place {
    type Slots = Places;

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

/// An event that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) token: u64,
    pub(super) place: Place,
    /// The event itself, if it is in memory.
    pub(super) cached: Option<Arc<Event>>,
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
    pub(super) tail: Tail,
}

impl State {
    pub(super) fn new(core: Core<Place>) -> Self {
        Self {
            core,
            segments: BTreeMap::new(),
            letters: Letters::default(),
            absent: BTreeMap::new(),
            broken: None,
            tail: Tail::default(),
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

    /// Settled events leave the tail.
    pub(super) fn uncached(&mut self, freed: &[(u64, Place)]) {
        for (token, place) in freed {
            let signal = place.kind.signal();
            if let Some(sequence) = log::sequence(signal, *token) {
                self.tail.remove(signal, sequence);
            }
        }
    }

    /// What reading an event needs: its place, and itself if it is in the tail.
    pub(super) fn located(&self, token: u64, place: Place) -> Located {
        let signal = place.kind.signal();
        let sequence = log::sequence(signal, token);
        Located {
            token,
            place,
            cached: sequence.and_then(|sequence| self.tail.get(signal, sequence)),
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

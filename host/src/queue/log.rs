//! The log in memory: five streams of numbered slots, and for each event how many cursors it is still owed to.
//!
//! Knows nothing of cursors but their number; `memory` keeps the two in step. An event is freed when its last pin goes,
//! and a segment of slots when its last event is, so that one straggler costs a segment and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OnFull;
use crate::event::per_signal::PerSignal;
use crate::event::{Event, Signal};

/// Counted for each event on top of its payload: the `Event`, its slot, its key in the repeat window.
pub(crate) const EVENT_OVERHEAD_BYTES: u64 = 160;

/// Slots that are freed together.
const SEGMENT_SLOTS: u64 = 1024;

/// Sequence numbers take the low bits of a token, the signal the high ones.
const SEQUENCE_BITS: u32 = 60;

/// No sequence number is as high.
pub(crate) const SEQUENCE_END: u64 = 1 << SEQUENCE_BITS;

/// The token of a place in the log.
pub(crate) const fn token(signal: Signal, sequence: u64) -> u64 {
    (signal.index() as u64) << SEQUENCE_BITS | sequence
}

/// The sequence number of a token, if it is one of this signal.
pub(crate) const fn sequence(signal: Signal, token: u64) -> Option<u64> {
    if token >> SEQUENCE_BITS == signal.index() as u64 {
        Some(token & (SEQUENCE_END - 1))
    } else {
        None
    }
}

/// What an event takes of the queue's bound.
pub(crate) fn cost(event: &Event) -> u64 {
    event.size_bytes() as u64 + EVENT_OVERHEAD_BYTES
}

/// How many cursors an event is owed to, by what they do when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) refusing: u16,
    pub(crate) dropping: u16,
}

impl Pins {
    pub(crate) fn add(&mut self, on_full: OnFull) {
        match on_full {
            OnFull::Refuse => self.refusing += 1,
            OnFull::DropOldest => self.dropping += 1,
        }
    }

    fn take_away(&mut self, on_full: OnFull) {
        match on_full {
            OnFull::Refuse => self.refusing = self.refusing.saturating_sub(1),
            OnFull::DropOldest => self.dropping = self.dropping.saturating_sub(1),
        }
    }

    pub(crate) const fn is_free(self) -> bool {
        self.refusing == 0 && self.dropping == 0
    }

    /// Whether dropping could free the event.
    const fn is_droppable(self) -> bool {
        self.refusing == 0 && self.dropping > 0
    }
}

#[derive(Debug)]
struct Slot {
    /// Gone once nobody is owed it.
    event: Option<Arc<Event>>,
    pins: Pins,
}

#[derive(Debug, Default)]
struct Segment {
    slots: Vec<Slot>,
    live: u32,
    /// Of the live ones, those that only cursors with `DropOldest` wait for.
    droppable: u32,
}

#[derive(Debug, Default)]
struct Stream {
    next: u64,
    /// By sequence number divided by [`SEGMENT_SLOTS`].
    segments: BTreeMap<u64, Segment>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Log {
    streams: PerSignal<Stream>,
    pub(crate) events: u64,
    pub(crate) used_bytes: u64,
    /// Of the used bytes, those of events that only cursors with `DropOldest` wait for.
    pub(crate) droppable_bytes: u64,
}

impl Log {
    /// The sequence number that the signal's next event gets.
    pub(crate) fn next(&self, signal: Signal) -> u64 {
        self.streams.get(signal).next
    }

    /// Appends an event that somebody is owed.
    pub(crate) fn push(&mut self, event: Arc<Event>, pins: Pins) {
        let cost = cost(&event);
        self.events += 1;
        self.used_bytes += cost;
        if pins.is_droppable() {
            self.droppable_bytes += cost;
        }
        let stream = self.streams.get_mut(event.signal());
        let segment = stream
            .segments
            .entry(stream.next / SEGMENT_SLOTS)
            .or_default();
        segment.live += 1;
        segment.droppable += u32::from(pins.is_droppable());
        segment.slots.push(Slot {
            event: Some(event),
            pins,
        });
        stream.next += 1;
    }

    /// The events of `start..end` that are still there, rising.
    pub(crate) fn live(
        &self,
        signal: Signal,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = (u64, &Arc<Event>)> {
        let first_segment = start / SEGMENT_SLOTS;
        self.streams
            .get(signal)
            .segments
            .range(first_segment..)
            .take_while(move |(number, _)| **number * SEGMENT_SLOTS < end)
            .flat_map(move |(&number, segment)| {
                let base = number * SEGMENT_SLOTS;
                let skipped = start.saturating_sub(base);
                let slots = segment
                    .slots
                    .iter()
                    .skip(usize::try_from(skipped).unwrap_or(usize::MAX));
                (base + skipped..end).zip(slots)
            })
            .filter_map(|(sequence, slot)| slot.event.as_ref().map(|event| (sequence, event)))
    }

    /// The first event from `start` on that dropping could free.
    pub(crate) fn next_droppable(&self, signal: Signal, start: u64) -> Option<(u64, &Arc<Event>)> {
        let stream = self.streams.get(signal);
        let segments = stream
            .segments
            .range(start / SEGMENT_SLOTS..)
            .filter(|(_, segment)| segment.droppable > 0);
        for (&number, segment) in segments {
            let base = number * SEGMENT_SLOTS;
            let found = (base..).zip(&segment.slots).find_map(|(sequence, slot)| {
                let event = slot.event.as_ref()?;
                (sequence >= start && slot.pins.is_droppable()).then_some((sequence, event))
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The event at a place, if it is still there.
    pub(crate) fn get(&self, signal: Signal, sequence: u64) -> Option<&Arc<Event>> {
        let segment = self
            .streams
            .get(signal)
            .segments
            .get(&(sequence / SEGMENT_SLOTS))?;
        segment.slots.get(slot_index(sequence))?.event.as_ref()
    }

    /// One more cursor is owed the event.
    pub(crate) fn pin(&mut self, signal: Signal, sequence: u64, on_full: OnFull) {
        self.change_pins(signal, sequence, |pins| pins.add(on_full));
    }

    /// One cursor fewer is owed the event; returns it if that was the last.
    pub(crate) fn unpin(
        &mut self,
        signal: Signal,
        sequence: u64,
        on_full: OnFull,
    ) -> Option<Arc<Event>> {
        self.change_pins(signal, sequence, |pins| pins.take_away(on_full))
    }

    fn change_pins(
        &mut self,
        signal: Signal,
        sequence: u64,
        change: impl FnOnce(&mut Pins),
    ) -> Option<Arc<Event>> {
        let number = sequence / SEGMENT_SLOTS;
        let stream = self.streams.get_mut(signal);
        let segment = stream.segments.get_mut(&number)?;
        let slot = segment.slots.get_mut(slot_index(sequence))?;
        let cost = cost(slot.event.as_deref()?);
        let was_droppable = slot.pins.is_droppable();
        change(&mut slot.pins);
        match (was_droppable, slot.pins.is_droppable()) {
            (false, true) => {
                segment.droppable += 1;
                self.droppable_bytes += cost;
            }
            (true, false) => {
                segment.droppable -= 1;
                self.droppable_bytes -= cost;
            }
            _ => {}
        }
        if !slot.pins.is_free() {
            return None;
        }
        let freed = slot.event.take();
        segment.live -= 1;
        self.events -= 1;
        self.used_bytes -= cost;
        if segment.live == 0 && segment.slots.len() as u64 == SEGMENT_SLOTS {
            stream.segments.remove(&number);
        }
        freed
    }
}

fn slot_index(sequence: u64) -> usize {
    usize::try_from(sequence % SEGMENT_SLOTS).unwrap_or(usize::MAX)
}

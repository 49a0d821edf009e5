//! The log as it is kept in memory: five streams of numbered slots, and for each event how many cursors it is still owed
//! to. A slot holds the event itself or, for a log on disk, where it lies ([`Stored`]). Slots are kept in columns, so that
//! an event on disk costs about ten bytes of memory; [`Log::index_bytes`] says what all of them cost.
//!
//! Knows nothing of cursors but their number; `core` keeps the two in step. An event is freed when its last pin goes,
//! and a segment of slots when its last event is, so that one straggler costs a segment and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OnFull;
use super::column::{Column, ROWS};
use crate::event::per_signal::PerSignal;
use crate::event::{Event, EventKind, Signal};

/// Counted for each event on top of its payload: the `Event`, its slot, its key in the repeat window; or on disk the
/// record's header and its line in the segment's index.
pub(crate) const EVENT_OVERHEAD_BYTES: u64 = 160;

/// Slots that are freed together.
const SEGMENT_SLOTS: u64 = ROWS as u64;

/// What an event costs in memory beside its slot, reckoned on a whole segment of slots.
const SEGMENT_OVERHEAD_BYTES: usize = 128;

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

/// What a slot holds of an event.
pub(crate) trait Stored: Clone {
    type Slots: Slots<Self>;

    fn kind(&self) -> EventKind;
    /// Of the payload.
    fn size_bytes(&self) -> u64;
    fn lane(&self) -> u64;
    fn received_at(&self) -> u64;

    /// The file that it lies in, and how much it takes there; `None` if in none.
    fn home(&self) -> Option<(u32, u64)> {
        None
    }
}

/// The events of a segment of slots.
pub(crate) trait Slots<E>: Default {
    /// The event of a slot.
    fn get(&self, slot: usize) -> Option<E>;

    /// Puts an event into a slot, or takes it out. What is between the last slot and this one is empty.
    fn set(&mut self, slot: usize, event: Option<E>);

    /// The number of slots.
    fn slots(&self) -> usize;

    /// Bytes of memory.
    fn bytes(&self) -> usize;
}

impl<E: Clone> Slots<E> for Vec<Option<E>> {
    fn get(&self, slot: usize) -> Option<E> {
        <[_]>::get(self, slot)?.clone()
    }

    fn set(&mut self, slot: usize, event: Option<E>) {
        if self.len() <= slot {
            self.resize(slot + 1, None);
        }
        if let Some(place) = self.get_mut(slot) {
            *place = event;
        }
    }

    fn slots(&self) -> usize {
        self.len()
    }

    fn bytes(&self) -> usize {
        self.capacity() * size_of::<Option<E>>()
    }
}

/// What of a file the log still needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Stored for Arc<Event> {
    type Slots = Vec<Option<Self>>;

    fn kind(&self) -> EventKind {
        self.kind
    }

    fn size_bytes(&self) -> u64 {
        Event::size_bytes(self) as u64
    }

    fn lane(&self) -> u64 {
        self.lane
    }

    fn received_at(&self) -> u64 {
        self.received_at
    }
}

/// What an event takes of the queue's bound.
pub(crate) fn cost(event: &impl Stored) -> u64 {
    event.size_bytes() + EVENT_OVERHEAD_BYTES
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

struct Segment<E: Stored> {
    slots: E::Slots,
    refusing: Column,
    dropping: Column,
    live: u32,
    /// Of the live ones, those that only cursors with `DropOldest` wait for.
    droppable: u32,
}

impl<E: Stored> Default for Segment<E> {
    fn default() -> Self {
        Self {
            slots: E::Slots::default(),
            refusing: Column::default(),
            dropping: Column::default(),
            live: 0,
            droppable: 0,
        }
    }
}

impl<E: Stored> Segment<E> {
    fn pins(&self, slot: usize) -> Pins {
        let number = |column: &Column| u16::try_from(column.get(slot)).unwrap_or(u16::MAX);
        Pins {
            refusing: number(&self.refusing),
            dropping: number(&self.dropping),
        }
    }

    fn set_pins(&mut self, slot: usize, pins: Pins) {
        for (column, number) in [
            (&mut self.refusing, pins.refusing),
            (&mut self.dropping, pins.dropping),
        ] {
            while column.rows() <= slot {
                column.push(u64::from(number));
            }
            column.set(slot, u64::from(number));
        }
    }

    fn bytes(&self) -> u64 {
        let columns = self.refusing.bytes() + self.dropping.bytes();
        (self.slots.bytes() + columns + SEGMENT_OVERHEAD_BYTES) as u64
    }
}

struct Stream<E: Stored> {
    next: u64,
    /// By sequence number divided by [`SEGMENT_SLOTS`].
    segments: BTreeMap<u64, Segment<E>>,
}

impl<E: Stored> Default for Stream<E> {
    fn default() -> Self {
        Self {
            next: 0,
            segments: BTreeMap::new(),
        }
    }
}

/// See the module.
pub(crate) struct Log<E: Stored> {
    streams: PerSignal<Stream<E>>,
    pub(crate) events: u64,
    pub(crate) used_bytes: u64,
    /// Of the used bytes, those of events that only cursors with `DropOldest` wait for.
    pub(crate) droppable_bytes: u64,
    /// By file.
    pub(crate) homes: BTreeMap<u32, Home>,
    /// Memory of all slots.
    pub(crate) index_bytes: u64,
}

impl<E: Stored> Default for Log<E> {
    fn default() -> Self {
        Self {
            streams: PerSignal::default(),
            events: 0,
            used_bytes: 0,
            droppable_bytes: 0,
            homes: BTreeMap::new(),
            index_bytes: 0,
        }
    }
}

impl<E: Stored> Log<E> {
    /// The sequence number that the signal's next event gets.
    pub(crate) fn next(&self, signal: Signal) -> u64 {
        self.streams.get(signal).next
    }

    /// Appends an event that somebody is owed.
    pub(crate) fn push(&mut self, event: E, pins: Pins) {
        let signal = event.kind().signal();
        let sequence = self.next(signal);
        self.restore(signal, sequence, event, pins);
        self.streams.get_mut(signal).next = sequence + 1;
    }

    /// Puts an event at a place where none is.
    pub(crate) fn restore(&mut self, signal: Signal, sequence: u64, event: E, pins: Pins) {
        let cost = cost(&event);
        let segments = &mut self.streams.get_mut(signal).segments;
        let number = sequence / SEGMENT_SLOTS;
        let before = segments.get(&number).map_or(0, Segment::bytes);
        let segment = segments.entry(number).or_default();
        let slot = slot_index(sequence);
        if segment.slots.get(slot).is_some() {
            return;
        }
        if let Some((file, bytes)) = event.home() {
            let home = self.homes.entry(file).or_default();
            home.events += 1;
            home.bytes += bytes;
        }
        segment.slots.set(slot, Some(event));
        segment.set_pins(slot, pins);
        segment.live += 1;
        segment.droppable += u32::from(pins.is_droppable());
        self.index_bytes = self.index_bytes + segment.bytes() - before;
        self.events += 1;
        self.used_bytes += cost;
        if pins.is_droppable() {
            self.droppable_bytes += cost;
        }
    }

    /// The signal's next event gets this sequence number, if it is not below the one it would get.
    pub(crate) fn advance(&mut self, signal: Signal, next: u64) {
        let stream = self.streams.get_mut(signal);
        stream.next = stream.next.max(next);
    }

    /// The events of `start..end` that are still there, rising.
    pub(crate) fn live(
        &self,
        signal: Signal,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = (u64, E)> {
        let first_segment = start / SEGMENT_SLOTS;
        self.streams
            .get(signal)
            .segments
            .range(first_segment..)
            .take_while(move |(number, _)| **number * SEGMENT_SLOTS < end)
            .flat_map(move |(&number, segment)| {
                let base = number * SEGMENT_SLOTS;
                let skipped = start.saturating_sub(base);
                let from = usize::try_from(skipped).unwrap_or(usize::MAX);
                let slots = from..segment.slots.slots();
                let slots = (base + skipped..end).zip(slots);
                slots.filter_map(|(sequence, slot)| Some((sequence, segment.slots.get(slot)?)))
            })
    }

    /// The first event from `start` on that dropping could free.
    pub(crate) fn next_droppable(&self, signal: Signal, start: u64) -> Option<(u64, E)> {
        let stream = self.streams.get(signal);
        let segments = stream
            .segments
            .range(start / SEGMENT_SLOTS..)
            .filter(|(_, segment)| segment.droppable > 0);
        for (&number, segment) in segments {
            let base = number * SEGMENT_SLOTS;
            let slots = (base..).zip(0..segment.slots.slots());
            let mut slots = slots.skip_while(|(sequence, _)| *sequence < start);
            let found = slots.find_map(|(sequence, slot)| {
                let is_droppable = segment.pins(slot).is_droppable();
                is_droppable.then_some((sequence, segment.slots.get(slot)?))
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The event at a place, if it is still there.
    pub(crate) fn get(&self, signal: Signal, sequence: u64) -> Option<E> {
        let segments = &self.streams.get(signal).segments;
        let segment = segments.get(&(sequence / SEGMENT_SLOTS))?;
        segment.slots.get(slot_index(sequence))
    }

    /// The event lies elsewhere now.
    pub(crate) fn relocate(&mut self, signal: Signal, sequence: u64, to: E) {
        let segments = &mut self.streams.get_mut(signal).segments;
        let Some(segment) = segments.get_mut(&(sequence / SEGMENT_SLOTS)) else {
            return;
        };
        let slot = slot_index(sequence);
        let Some(old) = segment.slots.get(slot) else {
            return;
        };
        let (before, to_home) = (segment.bytes(), to.home());
        segment.slots.set(slot, Some(to));
        self.index_bytes = self.index_bytes + segment.bytes() - before;
        leave_home(&mut self.homes, &old);
        if let Some((file, bytes)) = to_home {
            let home = self.homes.entry(file).or_default();
            home.events += 1;
            home.bytes += bytes;
        }
    }

    /// The event is owed to these cursors, whoever it was owed to before.
    pub(crate) fn repin(&mut self, signal: Signal, sequence: u64, pins: Pins) {
        self.change_pins(signal, sequence, |old| *old = pins);
    }

    /// One more cursor is owed the event.
    pub(crate) fn pin(&mut self, signal: Signal, sequence: u64, on_full: OnFull) {
        self.change_pins(signal, sequence, |pins| pins.add(on_full));
    }

    /// One cursor fewer is owed the event; returns it if that was the last.
    pub(crate) fn unpin(&mut self, signal: Signal, sequence: u64, on_full: OnFull) -> Option<E> {
        self.change_pins(signal, sequence, |pins| pins.take_away(on_full))
    }

    fn change_pins(
        &mut self,
        signal: Signal,
        sequence: u64,
        change: impl FnOnce(&mut Pins),
    ) -> Option<E> {
        let number = sequence / SEGMENT_SLOTS;
        let stream = self.streams.get_mut(signal);
        let segment = stream.segments.get_mut(&number)?;
        let slot = slot_index(sequence);
        let event = segment.slots.get(slot)?;
        let (cost, before) = (cost(&event), segment.bytes());
        let mut pins = segment.pins(slot);
        let was_droppable = pins.is_droppable();
        change(&mut pins);
        segment.set_pins(slot, pins);
        match (was_droppable, pins.is_droppable()) {
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
        if !pins.is_free() {
            self.index_bytes = self.index_bytes + segment.bytes() - before;
            return None;
        }
        segment.slots.set(slot, None);
        segment.live -= 1;
        let segment_end = (number + 1) * SEGMENT_SLOTS;
        let is_done = segment.live == 0 && segment_end <= stream.next;
        let after = if is_done { 0 } else { segment.bytes() };
        if is_done {
            stream.segments.remove(&number);
        }
        self.index_bytes = self.index_bytes + after - before;
        leave_home(&mut self.homes, &event);
        self.events -= 1;
        self.used_bytes -= cost;
        Some(event)
    }
}

fn leave_home(homes: &mut BTreeMap<u32, Home>, event: &impl Stored) {
    if let Some((file, bytes)) = event.home()
        && let Some(home) = homes.get_mut(&file)
    {
        home.events -= 1;
        home.bytes -= bytes;
        if home.events == 0 {
            homes.remove(&file);
        }
    }
}

fn slot_index(sequence: u64) -> usize {
    usize::try_from(sequence % SEGMENT_SLOTS).unwrap_or(usize::MAX)
}

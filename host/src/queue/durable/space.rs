//! Room on the disk: segments that nobody needs are removed; what few others still need of an old one is moved aside into
//! the newest, so that a straggler pins no segment for ever.
//!
//! The index counts live events against [`capacity_bytes`](super::DurableQueueSettings::capacity_bytes), which is below
//! `max_disk_bytes`; so when the disk bound is reached at least an eighth of the files is garbage, and moving aside always
//! makes room.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{error, warn};

use super::format::{self, RecordType};
use super::letters::{Description, Letter};
use super::recover::{LOG, numbered};
use super::saved::Change;
use super::state::{Located, Place, Segment};
use super::writer::Writer;
use crate::deliver::dead_letter::DeadLetter;
use crate::event::{Event, Signal, Source};
use crate::queue::QueueError;
use crate::queue::accounts::DropReason;
use crate::queue::core::DropNote;
use crate::queue::log::Stored as _;

/// The record at a place of a segment.
///
/// # Errors
/// For people: the file could not be read, or does not hold what was written.
pub(super) fn read_at(segment: &Segment, offset: u32, length: u32) -> Result<Bytes, String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    segment
        .file
        .read_at(&mut bytes, u64::from(offset))
        .map_err(|error| error.to_string())?;
    Ok(Bytes::from(bytes))
}

/// What was read is not what was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corrupt;

/// The event whose record `bytes` begins with.
pub(super) fn event_of(
    bytes: &Bytes,
    salt: u64,
    known: &mut Arc<Source>,
) -> Result<Event, Corrupt> {
    let (record, _) = format::read_record(bytes, salt).ok_or(Corrupt)?;
    format::read_event(&record, bytes, known).ok_or(Corrupt)
}

impl Writer {
    fn segment(&self, number: u32) -> Option<Segment> {
        self.inner.lock().segments.get(&number).cloned()
    }

    /// The event, from memory or from its place.
    pub(super) fn event_at(&self, located: &Located) -> Result<Arc<Event>, String> {
        if let Some(event) = &located.cached {
            return Ok(Arc::clone(event));
        }
        let place = &located.place;
        let segment = self.segment(place.segment).ok_or("its segment is gone")?;
        let bytes = read_at(&segment, place.offset, place.length)?;
        event_of(&bytes, segment.salt, &mut Arc::default())
            .map(Arc::new)
            .map_err(|_| "it is corrupt".to_owned())
    }

    /// A dead letter's record, read again: its description and the letter.
    pub(super) fn letter_at(&self, letter: &Letter) -> Result<(Description, DeadLetter), String> {
        let segment = self.segment(letter.segment).ok_or("its segment is gone")?;
        read_letter(&segment, letter)
    }

    /// Moves aside until the frame fits under the disk bound; refuses its groups if it cannot.
    pub(super) fn make_disk_room(&mut self) {
        let settings = self.inner.settings;
        // Settlements and snapshots may still be written when groups may not.
        let bound = settings
            .max_disk_bytes
            .saturating_sub(settings.segment_bytes());
        loop {
            let emptiest = {
                let state = self.inner.lock();
                if state.disk_bytes() + self.frame.bytes() <= bound {
                    return;
                }
                let sealed = state
                    .segments
                    .iter()
                    .filter(|(number, _)| **number != self.active.number);
                let garbage = |(number, segment): (&u32, &Segment)| {
                    let live = state.needed(*number).bytes;
                    (segment.length.saturating_sub(live), *number)
                };
                sealed.map(garbage).max()
            };
            let moved = match emptiest {
                Some((garbage, number)) if garbage > 0 => self.move_aside(number),
                _ => Err("the disk bound is reached".to_owned()),
            };
            if let Err(cause) = moved {
                warn!(cause, "The queue has no room on the disk.");
                let used_bytes = self.inner.lock().disk_bytes();
                return self.refuse_groups(&QueueError::Full {
                    used_bytes,
                    capacity_bytes: settings.max_disk_bytes,
                    retry_after: settings.retry_after,
                });
            }
        }
    }

    /// Removes the segments that nobody needs.
    pub(super) fn remove_free_segments(&mut self) {
        let free: Vec<u32> = {
            let state = self.inner.lock();
            if state.broken.is_some() {
                return;
            }
            let numbers = state.segments.keys().copied();
            numbers
                .filter(|number| *number != self.active.number && state.needed(*number).events == 0)
                .collect()
        };
        // Settlements must be on the disk before what they settle is gone.
        if free.is_empty() || (self.unsynced && self.sync().is_err()) {
            return;
        }
        for number in free {
            match self.files.remove(&numbered(&self.directory, number, LOG)) {
                Ok(()) => drop(self.inner.lock().segments.remove(&number)),
                Err(cause) => {
                    error!(%cause, segment = number, "The queue could not remove a segment.");
                    return;
                }
            }
        }
    }

    /// Writes what of a segment is needed into the newest one, and removes it.
    pub(super) fn move_aside(&mut self, number: u32) -> Result<(), String> {
        let (Some(segment), None) = (self.segment(number), self.inner.lock().broken.clone()) else {
            return Ok(());
        };
        let (events, letters) = self.needed_of(number);
        let mut out = Vec::new();
        let (salt, base) = (self.active.salt, self.active.length);
        let place_of = |offset: usize| u32::try_from(base + offset as u64).unwrap_or(u32::MAX);
        let (mut moved, mut lost) = (Vec::new(), Vec::new());
        for (signal, sequence, place) in events {
            match copy(&segment, place.offset, place.length, salt, &mut out)? {
                Some(offset) => moved.push((signal, sequence, place_of(offset))),
                None => lost.push((signal, sequence)),
            }
        }
        let mut moved_letters = Vec::new();
        for mut letter in letters {
            if let Some(offset) = copy(&segment, letter.offset, letter.length, salt, &mut out)? {
                letter.segment = self.active.number;
                letter.offset = place_of(offset);
                moved_letters.push(letter);
            }
        }
        self.write_moved(&out)?;
        {
            let mut state = self.inner.lock();
            for (signal, sequence, offset) in moved {
                if let Some(mut place) = state.core.log.get(signal, sequence) {
                    place.segment = self.active.number;
                    place.offset = offset;
                    state.core.log.relocate(signal, sequence, place);
                }
            }
            for letter in moved_letters {
                state.letters.insert(letter);
            }
        }
        self.lose(&lost);
        self.remove_free_segments();
        Ok(())
    }

    fn write_moved(&mut self, out: &[u8]) -> Result<(), String> {
        if out.is_empty() {
            return Ok(());
        }
        let at = self.active.length;
        if let Err(error) = self.active.file.write_at(out, at) {
            let _worse_is_found_by_the_next_write = self.active.file.cut(at);
            return Err(error.to_string());
        }
        self.active.length += out.len() as u64;
        self.sync()
    }

    /// What lies in a segment and is needed.
    fn needed_of(&self, number: u32) -> (Vec<(Signal, u64, Place)>, Vec<Letter>) {
        let state = self.inner.lock();
        let log = &state.core.log;
        let mut events = Vec::new();
        for signal in Signal::ALL {
            let here = log
                .live(signal, 0, log.next(signal))
                .filter(|(_, place)| place.segment == number);
            events.extend(here.map(|(sequence, place)| (signal, sequence, place)));
        }
        let letters = state.letters.iter();
        let letters = letters.filter(|letter| letter.segment == number).cloned();
        (events, letters.collect())
    }

    /// Counts events that cannot be read as dropped for everybody who is owed them.
    pub(super) fn lose(&mut self, lost: &[(Signal, u64)]) {
        if lost.is_empty() {
            return;
        }
        error!(
            events = lost.len(),
            directory = %self.directory.display(),
            "Events in the queue could not be read as they were written; they are counted as dropped (corrupt)."
        );
        let mut state = self.inner.lock();
        for &(signal, sequence) in lost {
            let core = &mut state.core;
            for (exporter, entry) in &mut core.cursors {
                if entry.state.lose(&mut core.log, signal, sequence) {
                    let note = DropNote {
                        exporter: Arc::clone(exporter),
                        signal,
                        sequence,
                        reason: DropReason::Corrupt,
                    };
                    self.carry.push(Change::from(&note));
                }
            }
        }
    }
}

/// Copies a segment's record; where it is in `out` now, or nothing if it does not hold.
fn copy(
    from: &Segment,
    offset: u32,
    length: u32,
    salt: u64,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, String> {
    let bytes = read_at(from, offset, length)?;
    let Some((record, _)) = format::read_record(&bytes, from.salt) else {
        return Ok(None);
    };
    let (start, _) = format::push_record(
        out,
        salt,
        record.kind,
        record.event_kind,
        record.number,
        |out| out.extend_from_slice(record.body),
    );
    Ok(Some(start))
}

/// A dead letter with its description.
pub(super) fn read_letter(
    segment: &Segment,
    letter: &Letter,
) -> Result<(Description, DeadLetter), String> {
    let bytes = read_at(segment, letter.offset, letter.length)?;
    let corrupt = || "it is corrupt".to_owned();
    let (record, _) = format::read_record(&bytes, segment.salt).ok_or_else(corrupt)?;
    if record.kind != RecordType::Letter {
        return Err(corrupt());
    }
    let (text, payload) = format::letter_parts(&record).ok_or_else(corrupt)?;
    let description: Description =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let letter = description.clone().letter(bytes.slice_ref(payload));
    Ok((description, letter))
}

/// Bytes from the front of one place to the end of another in the same segment; `None` if they are far apart.
pub(super) fn span_of(first: &Place, last: &Place, max_bytes: u64) -> Option<(u32, u32)> {
    let end = u64::from(last.offset) + u64::from(last.length);
    let span = end.checked_sub(u64::from(first.offset))?;
    let is_near =
        first.home().map(|(segment, _)| segment) == last.home().map(|(segment, _)| segment);
    (is_near && span <= max_bytes).then_some((first.offset, u32::try_from(span).ok()?))
}

//! What a segment file holds: a header, and records one after the other, each on an eighth byte. Numbers are little endian.
//!
//! ```text
//! segment  "MHQUEUE\0"  format u32  0 u32  salt u64  checksum u64
//! record   checksum u64  length of body u32  type u8  event kind u8  0 u16  number u64  body
//! event    received at u64  lane u64  repeat key u128  receiver, project, token label (u16 length, text)  payload
//! letter   length of its description u32  description (JSON)  payload
//! others   JSON
//! ```
//!
//! A record's checksum (XXH3) covers all of it and is seeded with the segment's salt, so that bytes of another segment or
//! of an event's own text are never taken for a record. A record that does not hold is skipped to the next one that does.

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::event::keys::LANE_MASK;
use crate::event::{Event, EventKind, Source};

/// Format of the directory. A newer host reads every older one.
pub(super) const FORMAT: u32 = 1;

pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 8] = b"MHQUEUE\0";
const ABSENT: u16 = u16::MAX;
const ALIGNMENT: usize = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordType {
    /// The whole state, at the front of a segment.
    Snapshot = 1,
    /// One change of it.
    Change = 2,
    /// An event; its number is the sequence number.
    Event = 3,
    /// A dead letter; its number is its id.
    Letter = 4,
}

/// A record that holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: RecordType,
    pub(super) event_kind: u8,
    pub(super) number: u64,
    pub(super) body: &'a [u8],
}

/// What of an event's record the index needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventFront {
    pub(super) kind: EventKind,
    pub(super) received_at: u64,
    pub(super) lane: u64,
    pub(super) repeat_key: u128,
    pub(super) payload_bytes: u32,
}

pub(super) fn segment_header(salt: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&salt.to_le_bytes());
    let checksum = xxh3_64(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header
}

/// Format and salt of a segment, if its header holds.
pub(super) fn read_segment_header(bytes: &[u8]) -> Option<(u32, u64)> {
    let covered = bytes.get(..24)?;
    let is_whole = covered.starts_with(MAGIC) && u64_at(bytes, 24)? == xxh3_64(covered);
    is_whole.then_some((u32_at(bytes, 8)?, u64_at(bytes, 16)?))
}

/// Appends a record whose body `write` appends; returns where it begins and its length, padding included.
pub(super) fn push_record(
    out: &mut Vec<u8>,
    salt: u64,
    kind: RecordType,
    event_kind: u8,
    number: u64,
    write: impl FnOnce(&mut Vec<u8>),
) -> (usize, usize) {
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&[kind as u8, event_kind, 0, 0]);
    out.extend_from_slice(&number.to_le_bytes());
    write(out);
    let body_bytes = u32::try_from(out.len() - start - RECORD_HEADER_BYTES).unwrap_or(u32::MAX);
    if let Some(length) = out.get_mut(start + 8..start + 12) {
        length.copy_from_slice(&body_bytes.to_le_bytes());
    }
    let checksum = xxh3_64_with_seed(out.get(start + 8..).unwrap_or_default(), salt);
    if let Some(place) = out.get_mut(start..start + 8) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    while !(out.len() - start).is_multiple_of(ALIGNMENT) {
        out.push(0);
    }
    (start, out.len() - start)
}

/// The record at the front of `bytes`, if it holds, and its length with padding.
pub(super) fn read_record(bytes: &[u8], salt: u64) -> Option<(Record<'_>, usize)> {
    let body_bytes = usize::try_from(u32_at(bytes, 8)?).ok()?;
    let end = RECORD_HEADER_BYTES.checked_add(body_bytes)?;
    let kind = match *bytes.get(12)? {
        1 => RecordType::Snapshot,
        2 => RecordType::Change,
        3 => RecordType::Event,
        4 => RecordType::Letter,
        _ => return None,
    };
    if u64_at(bytes, 0)? != xxh3_64_with_seed(bytes.get(8..end)?, salt) {
        return None;
    }
    let record = Record {
        kind,
        event_kind: *bytes.get(13)?,
        number: u64_at(bytes, 16)?,
        body: bytes.get(RECORD_HEADER_BYTES..end)?,
    };
    Some((record, end.next_multiple_of(ALIGNMENT)))
}

/// Where the next record that holds begins, from `at` on.
pub(super) fn next_record(bytes: &[u8], at: usize, salt: u64) -> Option<usize> {
    (at..bytes.len()).step_by(ALIGNMENT).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|rest| read_record(rest, salt).is_some())
    })
}

/// Appends an event's record.
pub(super) fn push_event(
    out: &mut Vec<u8>,
    salt: u64,
    sequence: u64,
    event: &Event,
) -> (usize, usize) {
    push_record(
        out,
        salt,
        RecordType::Event,
        event.kind as u8,
        sequence,
        |out| {
            out.extend_from_slice(&event.received_at.to_le_bytes());
            out.extend_from_slice(&event.lane.to_le_bytes());
            out.extend_from_slice(&event.repeat_key.to_le_bytes());
            push_text(out, Some(&event.source.receiver));
            push_text(out, event.source.project_id.as_deref());
            push_text(out, event.source.token_label.as_deref());
            out.extend_from_slice(&event.payload);
        },
    )
}

fn push_text(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else {
        out.extend_from_slice(&ABSENT.to_le_bytes());
        return;
    };
    // Names and labels; what is longer is not one.
    let text = text
        .get(..text.floor_char_boundary(1024))
        .unwrap_or_default();
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// What the index needs of an event's record.
pub(super) fn event_front(record: &Record<'_>) -> Option<EventFront> {
    let (_, payload_start) = source_of(record.body)?;
    Some(EventFront {
        kind: kind_of(record.event_kind)?,
        received_at: u64_at(record.body, 0)?,
        // Earlier hosts wrote more bits.
        lane: u64_at(record.body, 8)? & LANE_MASK,
        repeat_key: u128_at(record.body, 16)?,
        payload_bytes: u32::try_from(record.body.len() - payload_start).ok()?,
    })
}

/// The event of a record; `bytes` is what the record's body is a slice of.
pub(super) fn read_event(
    record: &Record<'_>,
    bytes: &Bytes,
    known: &mut Arc<Source>,
) -> Option<Event> {
    let front = event_front(record)?;
    let ([receiver, project_id, token_label], payload_start) = source_of(record.body)?;
    if known.receiver != receiver.unwrap_or_default()
        || known.project_id.as_deref() != project_id
        || known.token_label.as_deref() != token_label
    {
        *known = Arc::new(Source {
            receiver: receiver.unwrap_or_default().to_owned(),
            project_id: project_id.map(str::to_owned),
            token_label: token_label.map(str::to_owned),
        });
    }
    Some(Event {
        kind: front.kind,
        payload: bytes.slice_ref(record.body.get(payload_start..)?),
        received_at: front.received_at,
        source: Arc::clone(known),
        repeat_key: front.repeat_key,
        lane: front.lane,
    })
}

/// Receiver, project and token label, and where the payload begins.
fn source_of(body: &[u8]) -> Option<([Option<&str>; 3], usize)> {
    let mut at = 32;
    let mut texts = [None; 3];
    for text in &mut texts {
        let length = u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?);
        at += 2;
        if length != ABSENT {
            let end = at + usize::from(length);
            *text = Some(std::str::from_utf8(body.get(at..end)?).ok()?);
            at = end;
        }
    }
    Some((texts, at))
}

/// The kind of a number.
pub(super) fn kind_of(number: u8) -> Option<EventKind> {
    EventKind::ALL.get(usize::from(number)).copied()
}

/// Appends a dead letter's record; the description is JSON.
pub(super) fn push_letter(
    out: &mut Vec<u8>,
    salt: u64,
    id: u64,
    description: &[u8],
    payload: &[u8],
) -> (usize, usize) {
    push_record(out, salt, RecordType::Letter, 0, id, |out| {
        let length = u32::try_from(description.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(description);
        out.extend_from_slice(payload);
    })
}

/// Description and payload of a dead letter's record.
pub(super) fn letter_parts<'a>(record: &Record<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let length = usize::try_from(u32_at(record.body, 0)?).ok()?;
    record.body.get(4..)?.split_at_checked(length)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(
        bytes.get(at..at + 16)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            kind: EventKind::Score,
            payload: Bytes::from_static(b"{\"a\":1}"),
            received_at: 7,
            source: Arc::new(Source {
                receiver: "platform".into(),
                project_id: Some(String::new()),
                token_label: None,
            }),
            repeat_key: u128::MAX - 3,
            lane: 9,
        }
    }

    #[test]
    fn event_comes_back_with_its_provenance() {
        let mut out = Vec::new();
        let (start, length) = push_event(&mut out, 5, 77, &event());
        assert_eq!((start, length % 8, length), (0, 0, out.len()));
        let bytes = Bytes::from(out);
        let (record, read) = read_record(&bytes, 5).expect("holds");
        assert_eq!((record.number, read), (77, length));
        let back = read_event(&record, &bytes, &mut Arc::default()).expect("reads");
        assert_eq!(
            (back.kind, &back.payload, &back.source),
            (EventKind::Score, &event().payload, &event().source)
        );
        assert_eq!(
            (back.received_at, back.lane, back.repeat_key),
            (7, 9, u128::MAX - 3)
        );
    }

    #[test]
    fn every_flipped_bit_is_found_and_the_next_record_too() {
        let mut out = Vec::new();
        let (_, first) = push_event(&mut out, 5, 1, &event());
        let (_, padded) = push_event(&mut out, 5, 2, &event());
        for bit in 0..(RECORD_HEADER_BYTES + 20) * 8 {
            let mut broken = out.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(read_record(&broken, 5).is_none(), "bit {bit}");
            assert_eq!(next_record(&broken, 8, 5), Some(first));
        }
        assert!(read_record(&out, 6).is_none(), "another segment's salt");
        out.truncate(first + padded - 8);
        assert_eq!(next_record(&out, first, 5), None, "a torn one is none");
    }

    #[test]
    fn segment_header_tells_format_and_salt_or_nothing() {
        let header = segment_header(42);
        assert_eq!(header.len(), SEGMENT_HEADER_BYTES);
        assert_eq!(read_segment_header(&header), Some((FORMAT, 42)));
        for at in 0..header.len() {
            let mut broken = header.clone();
            broken[at] ^= 1;
            assert_eq!(read_segment_header(&broken), None, "byte {at}");
        }
        assert_eq!(read_segment_header(&header[..20]), None);
    }
}

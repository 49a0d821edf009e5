//! Dead letters: what could not be delivered, or not be accepted, kept with the reason until somebody looks at it.
//!
//! Exporters' dead letters are kept by the queue, in the step that acknowledges the event; what receivers refuse is kept
//! beside them. [`MemoryDeadLetters`] is bounded by bytes; the oldest go first, and who lost one is told, so that the
//! accounts stay exact.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::event::{Event, EventKind, Source};

/// Counted for each letter on top of payload and reason.
const LETTER_OVERHEAD_BYTES: u64 = 256;

/// Who gave the item up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Exporter id.
    Exporter(Arc<str>),
    /// Name of a receiver.
    Receiver(Arc<str>),
}

/// One item with its history.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Who gave it up.
    pub origin: Origin,
    /// `None`: a receiver could not tell.
    pub kind: Option<EventKind>,
    /// The record's JSON text; for a receiver the bytes as they came.
    pub payload: Bytes,
    /// Who sent it.
    pub source: Arc<Source>,
    /// For people; holds no payload and no secret.
    pub reason: Arc<str>,
    /// Calls that it took part in; 0 for a receiver.
    pub attempts: u32,
    /// Unix nanoseconds.
    pub received_at: u64,
    /// Unix nanoseconds.
    pub dead_at: u64,
}

impl DeadLetter {
    /// The letter of an event that an exporter gave up now. The payload is copied, so that the letter does not keep the
    /// whole request alive that it came in.
    #[must_use]
    pub fn of_event(
        exporter_id: &Arc<str>,
        event: &Event,
        reason: &Arc<str>,
        attempts: u32,
    ) -> Self {
        Self {
            origin: Origin::Exporter(Arc::clone(exporter_id)),
            kind: Some(event.kind),
            payload: Bytes::copy_from_slice(&event.payload),
            source: Arc::clone(&event.source),
            reason: Arc::clone(reason),
            attempts,
            received_at: event.received_at,
            dead_at: unix_nanos_now(),
        }
    }

    /// The letter of an item that a receiver refused now. The payload is to be a copy, for the same reason.
    #[must_use]
    pub fn of_refused(
        source: &Arc<Source>,
        kind: Option<EventKind>,
        payload: Bytes,
        reason: &str,
        received_at: u64,
    ) -> Self {
        Self {
            origin: Origin::Receiver(source.receiver.as_str().into()),
            kind,
            payload,
            source: Arc::clone(source),
            reason: reason.into(),
            attempts: 0,
            received_at,
            dead_at: unix_nanos_now(),
        }
    }

    fn cost(&self) -> u64 {
        (self.payload.len() + self.reason.len()) as u64 + LETTER_OVERHEAD_BYTES
    }
}

fn unix_nanos_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|age| u64::try_from(age.as_nanos()).ok())
        .unwrap_or(0)
}

/// The dead letters could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dead letters could not be kept: {cause}")]
pub struct DeadLetterError {
    /// What the store said.
    pub cause: String,
}

#[derive(Debug, Default)]
struct Kept {
    letters: VecDeque<DeadLetter>,
    bytes: u64,
    evicted: u64,
}

/// Dead letters in memory, bounded by bytes.
#[derive(Debug)]
pub struct MemoryDeadLetters {
    max_bytes: u64,
    kept: Mutex<Kept>,
}

impl MemoryDeadLetters {
    /// Keeps at most `max_bytes`, counting payload, reason and a fixed overhead a letter.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            kept: Mutex::default(),
        }
    }

    /// Keeps a letter, and returns those that had to make room, the new one included if it is too large by itself.
    pub fn push(&self, letter: DeadLetter) -> Vec<DeadLetter> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += letter.cost();
        kept.letters.push_back(letter);
        let mut evicted = Vec::new();
        while kept.bytes > self.max_bytes
            && let Some(oldest) = kept.letters.pop_front()
        {
            kept.bytes -= oldest.cost();
            kept.evicted += 1;
            evicted.push(oldest);
        }
        evicted
    }

    /// The letters, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<DeadLetter> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .letters
            .iter()
            .cloned()
            .collect()
    }

    /// Letters pushed out by newer ones so far.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(payload: &'static str) -> DeadLetter {
        DeadLetter {
            origin: Origin::Receiver("platform".into()),
            kind: None,
            payload: Bytes::from_static(payload.as_bytes()),
            source: Arc::default(),
            reason: "".into(),
            attempts: 0,
            received_at: 1,
            dead_at: 2,
        }
    }

    #[test]
    fn oldest_letters_make_room_and_are_counted() {
        let letters = MemoryDeadLetters::new(2 * (LETTER_OVERHEAD_BYTES + 3));
        for payload in ["one", "two", "sec"] {
            letters.push(letter(payload));
        }
        let payloads: Vec<_> = letters
            .list()
            .into_iter()
            .map(|letter| letter.payload)
            .collect();
        assert_eq!(payloads, ["two", "sec"]);
        assert_eq!(letters.evicted(), 1);
    }

    #[test]
    fn letter_above_the_bound_is_given_back() {
        let letters = MemoryDeadLetters::new(LETTER_OVERHEAD_BYTES);
        assert_eq!(letters.push(letter("x")).len(), 1);
        assert!(letters.list().is_empty());
    }
}

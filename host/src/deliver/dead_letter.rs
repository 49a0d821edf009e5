//! Dead letters: what could not be delivered, or not be accepted, kept with the reason until somebody looks at it.
//!
//! Exporters' dead letters are kept by the queue, in the step that acknowledges the event; what receivers refuse is kept
//! beside them. [`MemoryDeadLetters`] is bounded by bytes; the oldest go first, and who lost one is told, so that the
//! accounts stay exact.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::event::dropped::{DropReason, Dropped};
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

/// How many dead letters are kept, and for how long. Exporters and receivers have bounds of their own: what senders get
/// wrong never pushes out what an exporter could not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterBounds {
    /// Bytes of the letters.
    pub max_bytes: u64,
    /// How long one is kept.
    pub max_age: Duration,
}

/// What is kept of one kind of origin, and what went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterFigures {
    /// Letters that are kept.
    pub letters: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the bytes may come to.
    pub max_bytes: u64,
    /// Letters that were dropped since the start, by reason.
    pub dropped: Dropped,
}

/// The figures of both kinds of origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LettersReport {
    /// What exporters gave up.
    pub exporters: LetterFigures,
    /// What receivers refused.
    pub receivers: LetterFigures,
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
    dropped: Dropped,
}

/// Dead letters in memory, of one kind of origin.
#[derive(Debug)]
pub struct MemoryDeadLetters {
    bounds: LetterBounds,
    kept: Mutex<Kept>,
}

impl MemoryDeadLetters {
    /// The bytes count payload, reason and a fixed overhead for each letter.
    #[must_use]
    pub fn new(bounds: LetterBounds) -> Self {
        Self {
            bounds,
            kept: Mutex::default(),
        }
    }

    /// Keeps a letter, and returns those that went, each with the reason: the oldest make room, the new one too if it is
    /// too large by itself.
    pub fn push(&self, letter: DeadLetter) -> Vec<(DeadLetter, DropReason)> {
        let mut kept = self.lock();
        kept.bytes += letter.cost();
        kept.letters.push_back(letter);
        let max_age = u64::try_from(self.bounds.max_age.as_nanos()).unwrap_or(u64::MAX);
        let died_before = unix_nanos_now().saturating_sub(max_age);
        let mut gone = Vec::new();
        while let Some(oldest) = kept.letters.front() {
            let reason = if oldest.dead_at < died_before {
                DropReason::Expired
            } else if kept.bytes > self.bounds.max_bytes {
                DropReason::DeadLettersFull
            } else {
                break;
            };
            kept.bytes -= oldest.cost();
            kept.dropped.add(reason, 1);
            gone.extend(kept.letters.pop_front().map(|letter| (letter, reason)));
        }
        gone
    }

    /// The letters, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<DeadLetter> {
        self.lock().letters.iter().cloned().collect()
    }

    /// What is kept, and what went.
    #[must_use]
    pub fn figures(&self) -> LetterFigures {
        let kept = self.lock();
        LetterFigures {
            letters: kept.letters.len() as u64,
            bytes: kept.bytes,
            max_bytes: self.bounds.max_bytes,
            dropped: kept.dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(max_bytes: u64) -> MemoryDeadLetters {
        MemoryDeadLetters::new(LetterBounds {
            max_bytes,
            max_age: Duration::from_secs(3600),
        })
    }

    fn letter(payload: &'static str) -> DeadLetter {
        DeadLetter {
            origin: Origin::Receiver("platform".into()),
            kind: None,
            payload: Bytes::from_static(payload.as_bytes()),
            source: Arc::default(),
            reason: "".into(),
            attempts: 0,
            received_at: 1,
            dead_at: unix_nanos_now(),
        }
    }

    #[test]
    fn oldest_letters_make_room_and_are_counted() {
        let letters = letters(2 * (LETTER_OVERHEAD_BYTES + 3));
        for payload in ["one", "two", "sec"] {
            letters.push(letter(payload));
        }
        let payloads: Vec<_> = letters
            .list()
            .into_iter()
            .map(|letter| letter.payload)
            .collect();
        assert_eq!(payloads, ["two", "sec"]);
        let dropped = letters.figures().dropped;
        assert_eq!(dropped.by(DropReason::DeadLettersFull), 1);
    }

    #[test]
    fn letters_that_are_too_old_expire() {
        let letters = letters(1 << 20);
        let old = DeadLetter {
            dead_at: 1,
            ..letter("old")
        };
        letters.kept.lock().unwrap().letters.push_back(old);
        letters.kept.lock().unwrap().bytes += LETTER_OVERHEAD_BYTES + 3;
        let gone = letters.push(letter("new"));
        assert!(matches!(&*gone, [(letter, DropReason::Expired)] if letter.payload == "old"));
        assert_eq!(letters.list().len(), 1);
    }

    #[test]
    fn letter_above_the_bound_is_given_back() {
        let letters = letters(LETTER_OVERHEAD_BYTES);
        assert_eq!(letters.push(letter("x")).len(), 1);
        assert!(letters.list().is_empty());
    }
}

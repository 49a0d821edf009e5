//! What receivers refused, kept for the operator: bounded by count and by bytes, the oldest go first. In memory for
//! now; the trait is what a durable store fills in. Called by `routes` and by the command that reads a file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::batch::RefusedItem;
use crate::event::{EventKind, Source};

/// One refused item.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// When it came, unix nanoseconds.
    pub received_at: u64,
    /// Receiver, project and token label.
    pub source: Arc<Source>,
    /// What it should have been, where that is known.
    pub kind: Option<EventKind>,
    /// Place in the request from 0; in a file the line from 1.
    pub index: u64,
    /// Path of the field at fault; empty when it is the item itself.
    pub field: String,
    /// What the field should be.
    pub reason: String,
    /// What was found there, shortened.
    pub value: String,
    /// The item as received, at most [`MAX_PAYLOAD_BYTES`] of it.
    pub payload: Bytes,
    /// Its whole length.
    pub payload_bytes: usize,
}

/// How much of an item is kept.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 10;

impl DeadLetter {
    /// The item with when and where it came.
    #[must_use]
    pub fn new(item: RefusedItem, received_at: u64, source: Arc<Source>) -> Self {
        Self {
            received_at,
            source,
            kind: item.kind,
            index: item.index,
            field: item.field,
            reason: item.reason,
            value: item.value,
            payload: item.payload,
            payload_bytes: item.payload_bytes,
        }
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.payload.len()
            + self.field.len()
            + self.reason.len()
            + self.value.len()
    }
}

/// Keeps dead letters. Must not block: receivers call it before they answer.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps the letters of one request. `not_kept` more were refused than the request's own bound lets through.
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64);
}

/// The newest dead letters, in memory.
#[derive(Debug)]
pub struct Ring {
    max_letters: usize,
    max_bytes: usize,
    state: Mutex<RingState>,
}

#[derive(Debug, Default)]
struct RingState {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    forgotten: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(10_000, 16 << 20)
    }
}

impl Ring {
    /// Keeps at most so many letters and bytes.
    #[must_use]
    pub fn new(max_letters: usize, max_bytes: usize) -> Self {
        Self {
            max_letters,
            max_bytes,
            state: Mutex::default(),
        }
    }

    /// The letters, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<DeadLetter> {
        self.lock().letters.iter().cloned().collect()
    }

    /// How many items were refused and are no longer, or never were, in the list.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RingState> {
        // Every change below leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetters for Ring {
    fn keep(&self, letters: Vec<DeadLetter>, not_kept: u64) {
        let mut state = self.lock();
        state.forgotten += not_kept;
        for letter in letters {
            state.bytes += letter.size_bytes();
            state.letters.push_back(letter);
            while state.letters.len() > self.max_letters || state.bytes > self.max_bytes {
                let Some(oldest) = state.letters.pop_front() else {
                    break;
                };
                state.bytes -= oldest.size_bytes();
                state.forgotten += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(index: u64, bytes: usize) -> DeadLetter {
        DeadLetter {
            received_at: 0,
            source: Arc::default(),
            kind: None,
            index,
            field: String::new(),
            reason: String::new(),
            value: String::new(),
            payload: Bytes::from(vec![b'x'; bytes]),
            payload_bytes: bytes,
        }
    }

    #[test]
    fn the_oldest_go_first_by_count_and_by_bytes() {
        let ring = Ring::new(3, 10_000);
        ring.keep((0..5).map(|index| letter(index, 1)).collect(), 7);
        let indexes = |ring: &Ring| {
            ring.list()
                .iter()
                .map(|letter| letter.index)
                .collect::<Vec<_>>()
        };
        assert_eq!(indexes(&ring), [2, 3, 4]);
        assert_eq!(ring.forgotten(), 9);
        ring.keep(vec![letter(9, 9_800)], 0);
        assert_eq!(indexes(&ring), [9]);
        ring.keep(vec![letter(10, 20_000)], 0);
        assert_eq!(indexes(&ring), [0; 0]);
        assert_eq!(ring.forgotten(), 14);
    }
}

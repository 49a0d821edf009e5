//! What was read of one request or of one stretch of a file: events, refused items, drop reports.

use std::sync::Arc;

use bytes::Bytes;

use crate::deliver::dead_letter::DeadLetter;
use crate::event::fields::FieldError;
use crate::event::{Event, EventKind, Signal, Source};

/// What was read. Filled by `platform`, `events` and `input`.
#[derive(Debug, Default)]
pub struct Batch {
    /// The good ones, in their order.
    pub events: Vec<Event>,
    /// The bad ones, in their order; at most [`MAX_REFUSED_KEPT`].
    pub refused: Vec<RefusedItem>,
    /// All bad ones.
    pub refused_total: u64,
    /// What the application says it dropped: signal and number.
    pub drop_reports: Vec<(Signal, u64)>,
}

/// An item that could not be taken.
#[derive(Clone, Debug)]
pub struct RefusedItem {
    /// Place in the request from 0; in a file the line from 1.
    pub index: u64,
    /// What it should have been, where that is known.
    pub kind: Option<EventKind>,
    /// Path of the field at fault.
    pub field: String,
    /// What it should be.
    pub reason: String,
    /// What was found, shortened.
    pub value: String,
    /// A copy of the item, shortened: it must not keep the whole body alive.
    pub payload: Bytes,
    /// The item's whole length.
    pub payload_bytes: usize,
}

/// How many refused items of one request are kept with what was wrong; the others are counted.
pub const MAX_REFUSED_KEPT: usize = 1000;

/// How much of a refused item is kept.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 10;

impl Batch {
    pub(super) fn refuse(
        &mut self,
        index: u64,
        kind: Option<EventKind>,
        error: FieldError,
        payload: &[u8],
    ) {
        self.refused_total += 1;
        if self.refused.len() < MAX_REFUSED_KEPT {
            self.refused
                .push(RefusedItem::new(index, kind, error, payload));
        }
    }

    /// Copies the payloads when they are a small part of the body: a body lives as long as one slice of it.
    pub(super) fn let_go_of(&mut self, body_bytes: usize) {
        let kept: usize = self.events.iter().map(Event::size_bytes).sum();
        if kept < body_bytes / 2 {
            for event in &mut self.events {
                event.payload = Bytes::copy_from_slice(&event.payload);
            }
        }
    }
}

impl RefusedItem {
    pub(super) fn new(
        index: u64,
        kind: Option<EventKind>,
        error: FieldError,
        payload: &[u8],
    ) -> Self {
        let head = payload.get(..MAX_PAYLOAD_BYTES).unwrap_or(payload);
        Self {
            index,
            kind,
            field: error.field,
            reason: error.reason,
            value: error.value,
            payload: Bytes::copy_from_slice(head),
            payload_bytes: payload.len(),
        }
    }

    /// The dead letter of the item. Its reason names the place and the field, and says when only the head was kept.
    #[must_use]
    pub fn into_letter(self, received_at: u64, source: &Arc<Source>) -> DeadLetter {
        let place = match self.field.as_str() {
            "" => format!("item {}", self.index),
            field => format!("item {}, field {field}", self.index),
        };
        let cut = match self.payload.len() {
            kept if kept < self.payload_bytes => {
                format!(
                    " (the first {kept} of {} bytes are kept)",
                    self.payload_bytes
                )
            }
            _ => String::new(),
        };
        let reason = format!("{place}: {}{cut}", self.reason);
        DeadLetter::of_refused(source, self.kind, self.payload, &reason, received_at)
    }
}

//! The index of the dead letters: who gave up what, why and when, and where the item lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::kind_of;
use crate::deliver::dead_letter::{DeadLetter, Origin};
use crate::event::{EventKind, Signal, Source};
use crate::queue::log::Home;
use crate::queue::ranges::RangeSet;

/// Counted for each letter on top of its record: its entry in the index.
const LETTER_OVERHEAD_BYTES: u64 = 160;

/// A dead letter without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterInfo {
    /// Never used twice.
    pub id: u64,
    /// Who gave it up.
    pub origin: Origin,
    /// `None`: a receiver could not tell.
    pub kind: Option<EventKind>,
    /// For people.
    pub reason: Arc<str>,
    /// Calls that it took part in.
    pub attempts: u32,
    /// Unix nanoseconds.
    pub received_at: u64,
    /// Unix nanoseconds.
    pub dead_at: u64,
}

/// Which letters are meant. Everything that is named must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// These alone.
    pub ids: Option<Vec<u64>>,
    /// Given up by this exporter.
    pub exporter: Option<String>,
    /// Refused by this receiver.
    pub receiver: Option<String>,
    /// Of this signal.
    pub signal: Option<Signal>,
    /// The reason contains this.
    pub reason_contains: Option<String>,
    /// Given up at this time or later, unix nanoseconds.
    pub since: Option<u64>,
    /// Given up before this time, unix nanoseconds.
    pub before: Option<u64>,
}

impl LetterFilter {
    /// Whether the letter is meant.
    #[must_use]
    pub fn matches(&self, letter: &LetterInfo) -> bool {
        let (exporter, receiver) = match &letter.origin {
            Origin::Exporter(id) => (Some(&**id), None),
            Origin::Receiver(name) => (None, Some(&**name)),
        };
        let signal = letter.kind.map(EventKind::signal);
        self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
            && self
                .exporter
                .as_deref()
                .is_none_or(|id| exporter == Some(id))
            && self
                .receiver
                .as_deref()
                .is_none_or(|name| receiver == Some(name))
            && self.signal.is_none_or(|wanted| signal == Some(wanted))
            && self
                .reason_contains
                .as_deref()
                .is_none_or(|part| letter.reason.contains(part))
            && self.since.is_none_or(|time| letter.dead_at >= time)
            && self.before.is_none_or(|time| letter.dead_at < time)
    }
}

/// What stands before the payload in a letter's record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Description {
    exporter: Option<String>,
    refused_by: Option<String>,
    kind: Option<u8>,
    reason: String,
    attempts: u32,
    received_at: u64,
    dead_at: u64,
    receiver: String,
    project_id: Option<String>,
    token_label: Option<String>,
    /// Of the event, so that it comes back as it was.
    pub(super) lane: u64,
    /// In two halves, since JSON has no wider number.
    pub(super) repeat_key: (u64, u64),
}

impl Description {
    pub(super) fn of(letter: &DeadLetter, lane: u64, repeat_key: u128) -> Self {
        let (exporter, refused_by) = match &letter.origin {
            Origin::Exporter(id) => (Some(id.to_string()), None),
            Origin::Receiver(name) => (None, Some(name.to_string())),
        };
        Self {
            exporter,
            refused_by,
            kind: letter.kind.map(|kind| kind as u8),
            reason: letter.reason.to_string(),
            attempts: letter.attempts,
            received_at: letter.received_at,
            dead_at: letter.dead_at,
            receiver: letter.source.receiver.clone(),
            project_id: letter.source.project_id.clone(),
            token_label: letter.source.token_label.clone(),
            lane,
            repeat_key: ((repeat_key >> 64) as u64, repeat_key as u64),
        }
    }

    pub(super) fn info(&self, id: u64) -> LetterInfo {
        let name: Arc<str> = self
            .exporter
            .as_deref()
            .or(self.refused_by.as_deref())
            .unwrap_or_default()
            .into();
        LetterInfo {
            id,
            origin: if self.exporter.is_some() {
                Origin::Exporter(name)
            } else {
                Origin::Receiver(name)
            },
            kind: self.kind.and_then(kind_of),
            reason: self.reason.as_str().into(),
            attempts: self.attempts,
            received_at: self.received_at,
            dead_at: self.dead_at,
        }
    }

    pub(super) fn letter(self, payload: Bytes) -> DeadLetter {
        let info = self.info(0);
        DeadLetter {
            origin: info.origin,
            kind: info.kind,
            payload,
            source: Arc::new(Source {
                receiver: self.receiver,
                project_id: self.project_id,
                token_label: self.token_label,
            }),
            reason: info.reason,
            attempts: info.attempts,
            received_at: info.received_at,
            dead_at: info.dead_at,
        }
    }
}

/// A letter and where its record lies.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) info: LetterInfo,
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Letters {
    kept: BTreeMap<u64, Letter>,
    pub(super) next: u64,
    bytes: u64,
    pub(super) homes: BTreeMap<u32, Home>,
}

impl Letters {
    /// Adds a letter, or says where it lies now.
    pub(super) fn insert(&mut self, letter: Letter) {
        self.remove(letter.info.id);
        self.next = self.next.max(letter.info.id + 1);
        self.bytes += u64::from(letter.length) + LETTER_OVERHEAD_BYTES;
        let home = self.homes.entry(letter.segment).or_default();
        home.events += 1;
        home.bytes += u64::from(letter.length);
        self.kept.insert(letter.info.id, letter);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Letter> {
        let letter = self.kept.remove(&id)?;
        self.bytes -= u64::from(letter.length) + LETTER_OVERHEAD_BYTES;
        if let Some(home) = self.homes.get_mut(&letter.segment) {
            home.events -= 1;
            home.bytes -= u64::from(letter.length);
            if home.events == 0 {
                self.homes.remove(&letter.segment);
            }
        }
        Some(letter)
    }

    /// Letters that are over the bounds, oldest first.
    pub(super) fn surplus(&self, max_bytes: u64, died_before: u64) -> Vec<u64> {
        let mut bytes = self.bytes;
        let is_surplus = move |letter: &&Letter| {
            let is_one = bytes > max_bytes || letter.info.dead_at < died_before;
            bytes -= u64::from(letter.length) + LETTER_OVERHEAD_BYTES;
            is_one
        };
        self.kept
            .values()
            .take_while(is_surplus)
            .map(|letter| letter.info.id)
            .collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Letter> {
        self.kept.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Letter> {
        self.kept.values()
    }

    pub(super) fn ids(&self) -> Vec<(u64, u64)> {
        let mut ids = RangeSet::default();
        for id in self.kept.keys() {
            ids.insert(*id, *id + 1);
        }
        ids.iter().collect()
    }
}

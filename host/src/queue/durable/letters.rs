//! The index of the dead letters: who gave up what, why and when, and where the item lies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::kind_of;
use crate::deliver::dead_letter::{DeadLetter, LetterBounds, LetterFigures, LettersReport, Origin};
use crate::event::{EventKind, Signal, Source};
use crate::queue::accounts::DropReason;
use crate::queue::log::Home;
use crate::queue::ranges::RangeSet;

/// Counted for each letter on top of its record: its entry in the index.
const LETTER_OVERHEAD_BYTES: u64 = 160;

/// The letters of each kind of origin at most, since their index is in memory: about 25 MB.
const MAX_LETTERS: u64 = 100_000;

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

/// The ids of one origin's letters.
#[derive(Debug, Default)]
struct Held {
    ids: BTreeSet<u64>,
    bytes: u64,
    /// Of the newest letter: most have the same, and it is kept once.
    reason: Arc<str>,
}

/// Bounds of the letters of both kinds of origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) exporters: LetterBounds,
    pub(super) receivers: LetterBounds,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Letters {
    kept: BTreeMap<u64, Letter>,
    by_origin: BTreeMap<Origin, Held>,
    pub(super) next: u64,
    exporters: LetterFigures,
    receivers: LetterFigures,
    pub(super) homes: BTreeMap<u32, Home>,
}

const fn cost(letter: &Letter) -> u64 {
    letter.length as u64 + LETTER_OVERHEAD_BYTES
}

impl Letters {
    /// Adds a letter, or says where it lies now.
    pub(super) fn insert(&mut self, mut letter: Letter) {
        let id = letter.info.id;
        self.remove(id);
        self.next = self.next.max(id + 1);
        let home = self.homes.entry(letter.segment).or_default();
        home.events += 1;
        home.bytes += u64::from(letter.length);
        let figures = self.figures(&letter.info.origin);
        figures.letters += 1;
        figures.bytes += cost(&letter);
        if let Some((origin, _)) = self.by_origin.get_key_value(&letter.info.origin) {
            letter.info.origin = origin.clone();
        }
        let held = self
            .by_origin
            .entry(letter.info.origin.clone())
            .or_default();
        if held.reason == letter.info.reason {
            letter.info.reason = Arc::clone(&held.reason);
        } else {
            held.reason = Arc::clone(&letter.info.reason);
        }
        held.ids.insert(id);
        held.bytes += cost(&letter);
        self.kept.insert(id, letter);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Letter> {
        let letter = self.kept.remove(&id)?;
        let figures = self.figures(&letter.info.origin);
        figures.letters -= 1;
        figures.bytes -= cost(&letter);
        if let Some(held) = self.by_origin.get_mut(&letter.info.origin) {
            held.ids.remove(&id);
            held.bytes -= cost(&letter);
            if held.ids.is_empty() {
                self.by_origin.remove(&letter.info.origin);
            }
        }
        if let Some(home) = self.homes.get_mut(&letter.segment) {
            home.events -= 1;
            home.bytes -= u64::from(letter.length);
            if home.events == 0 {
                self.homes.remove(&letter.segment);
            }
        }
        Some(letter)
    }

    /// Counts a letter that was dropped.
    pub(super) fn count_dropped(&mut self, origin: &Origin, reason: DropReason) {
        self.figures(origin).dropped.add(reason, 1);
    }

    fn figures(&mut self, origin: &Origin) -> &mut LetterFigures {
        match origin {
            Origin::Exporter(_) => &mut self.exporters,
            Origin::Receiver(_) => &mut self.receivers,
        }
    }

    /// Bytes of all letters.
    pub(super) const fn bytes(&self) -> u64 {
        self.exporters.bytes + self.receivers.bytes
    }

    /// What is kept, and what went.
    pub(super) const fn report(&self, bounds: &Bounds) -> LettersReport {
        let (mut exporters, mut receivers) = (self.exporters, self.receivers);
        exporters.max_bytes = bounds.exporters.max_bytes;
        receivers.max_bytes = bounds.receivers.max_bytes;
        LettersReport {
            exporters,
            receivers,
        }
    }

    /// Letters that are too old at `now`, and those that are too many: the origin with the most gives its oldest, so that
    /// no exporter pushes out another one's letters.
    pub(super) fn surplus(&self, bounds: &Bounds, now: u64) -> Vec<(u64, DropReason)> {
        let mut surplus = Vec::new();
        let kinds = [
            (&self.exporters, &bounds.exporters, true),
            (&self.receivers, &bounds.receivers, false),
        ];
        for (figures, bounds, is_exporter) in kinds {
            let max_age = u64::try_from(bounds.max_age.as_nanos()).unwrap_or(u64::MAX);
            let died_before = now.saturating_sub(max_age);
            let held = self
                .by_origin
                .iter()
                .filter(|(origin, _)| matches!(origin, Origin::Exporter(_)) == is_exporter);
            let mut origins: Vec<_> = held
                .map(|(_, held)| (held.bytes, held.ids.iter().peekable()))
                .collect();
            let (mut bytes, mut letters) = (figures.bytes, figures.letters);
            for (held_bytes, ids) in &mut origins {
                let is_old = |letter: &&Letter| letter.info.dead_at < died_before;
                while let Some(letter) = ids.peek().and_then(|id| self.kept.get(id)).filter(is_old)
                {
                    ids.next();
                    *held_bytes -= cost(letter);
                    bytes -= cost(letter);
                    letters -= 1;
                    surplus.push((letter.info.id, DropReason::Expired));
                }
            }
            while (bytes > bounds.max_bytes || letters > MAX_LETTERS)
                && let Some((held_bytes, ids)) = origins.iter_mut().max_by_key(|(bytes, _)| *bytes)
                && let Some(letter) = ids.next().and_then(|id| self.kept.get(id))
            {
                *held_bytes -= cost(letter);
                bytes -= cost(letter);
                letters -= 1;
                surplus.push((letter.info.id, DropReason::DeadLettersFull));
            }
        }
        surplus
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn letter(id: u64, origin: Origin, dead_at: u64) -> Letter {
        let info = LetterInfo {
            id,
            origin,
            kind: None,
            reason: format!("reason {}", id % 2).into(),
            attempts: 1,
            received_at: 0,
            dead_at,
        };
        Letter {
            info,
            segment: 1,
            offset: 0,
            length: 40,
        }
    }

    fn bounds(letters: u64) -> Bounds {
        let bounds = LetterBounds {
            max_bytes: letters * (40 + LETTER_OVERHEAD_BYTES),
            max_age: std::time::Duration::from_secs(3600),
        };
        Bounds {
            exporters: bounds,
            receivers: bounds,
        }
    }

    fn exporter(name: &str) -> Origin {
        Origin::Exporter(name.into())
    }

    fn trim(letters: &mut Letters, bounds: &Bounds, now: u64) -> Vec<(u64, DropReason)> {
        let surplus = letters.surplus(bounds, now);
        for (id, _) in &surplus {
            letters.remove(*id).expect("is kept");
        }
        surplus
    }

    #[test]
    fn a_flood_of_one_origin_pushes_out_its_own_letters_alone() {
        let mut letters = Letters::default();
        letters.insert(letter(0, exporter("modest"), 5));
        for id in 1..100 {
            letters.insert(letter(id, exporter("greedy"), 5));
            letters.insert(letter(1000 + id, Origin::Receiver("http".into()), 5));
            trim(&mut letters, &bounds(4), 5);
        }
        let left: Vec<u64> = letters.kept.keys().copied().collect();
        assert_eq!(left, [0, 97, 98, 99, 1096, 1097, 1098, 1099]);
        assert_eq!(letters.bytes(), 8 * (40 + LETTER_OVERHEAD_BYTES));
    }

    #[test]
    fn old_letters_are_expired_and_not_pushed_out() {
        let mut letters = Letters::default();
        letters.insert(letter(0, exporter("a"), 1));
        letters.insert(letter(1, exporter("b"), 2));
        letters.insert(letter(2, exporter("a"), HOUR));
        let gone = trim(&mut letters, &bounds(1), HOUR + 2);
        assert_eq!(
            gone,
            [(0, DropReason::Expired), (1, DropReason::DeadLettersFull)]
        );
        assert_eq!(
            trim(&mut letters, &bounds(1), 3 * HOUR),
            [(2, DropReason::Expired)]
        );
        assert!(letters.by_origin.is_empty() && letters.homes.is_empty());
    }
}

//! What each second of each series holds. Datadog keeps the last point that it gets for a metric, its tags and a second,
//! so that a second is sent whole: its points are held until it is closed, and what was sent is remembered for a while,
//! so that a late point goes out together with those before it. Pure: the caller says what time it is.
//!
//! Held points come again after a crash, all of a second together; a second that was sent and not acknowledged is so
//! written over with itself. What was sent and acknowledged is forgotten with the instance.

use std::collections::BTreeMap;

use mastra_exporter_sdk::records::ItemResult;

use crate::mapping::metrics::{Amount, Name, Point, Second};

const NANOS_A_SECOND: u64 = 1_000_000_000;

/// Points may be so late before their second is closed.
const GRACE: u64 = 2 * NANOS_A_SECOND;

/// The longest that points are held, whatever the sender's clock says.
const LONGEST: u64 = NANOS_A_SECOND + GRACE;

/// What was sent is remembered for one to two such turns.
const TURN: u64 = 600 * NANOS_A_SECOND;

/// Numbers that are sent in one turn; with more the next turn begins.
const MAX_TURN_NUMBERS: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Seconds {
    series: BTreeMap<Name, Series>,
    turn: u64,
    turn_began: u64,
    turn_numbers: usize,
}

#[derive(Debug, Default)]
struct Series {
    unit: Option<String>,
    seconds: BTreeMap<u64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    sent: Option<Sent>,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Sent {
    amount: Amount,
    turn: u64,
}

#[derive(Debug)]
struct Waiting {
    parts: Vec<Part>,
    since: u64,
}

/// What one measurement adds.
#[derive(Debug)]
struct Part {
    amount: Amount,
    token: Option<u64>,
    /// Whether it is all of the measurement: then it may be given back to the host.
    is_whole: bool,
}

impl Seconds {
    /// Takes the points of one measurement. Its token is told with the one that is sent last.
    pub fn take(&mut self, mut points: Vec<Point>, token: u64, now: u64) {
        points.sort_by(|a, b| a.name.cmp(&b.name));
        let last = points.len().saturating_sub(1);
        for (index, point) in points.into_iter().enumerate() {
            let series = self.series.entry(point.name).or_default();
            if point.unit.is_some() {
                series.unit = point.unit;
            }
            let entry = series.seconds.entry(point.second).or_default();
            let waiting = entry.waiting.get_or_insert_with(|| Waiting {
                parts: Vec::new(),
                since: now,
            });
            waiting.parts.push(Part {
                amount: point.amount,
                token: (index == last).then_some(token),
                is_whole: last == 0,
            });
        }
    }

    /// The closed seconds with something new in them: counts, gauges, distributions, those of a series beside each other.
    pub fn due(&mut self, now: u64) -> Vec<Second> {
        self.forget(now);
        let mut due = Vec::new();
        for (name, series) in &self.series {
            for (second, entry) in &series.seconds {
                let Some(waiting) = &entry.waiting else {
                    continue;
                };
                let end = (second + 1).saturating_mul(NANOS_A_SECOND);
                if end.saturating_add(GRACE) > now && waiting.since.saturating_add(LONGEST) > now {
                    continue;
                }
                due.extend(entry.whole().map(|amount| Second {
                    name: name.clone(),
                    unit: series.unit.clone(),
                    second: *second,
                    amount,
                }));
            }
        }
        due
    }

    /// What became of seconds that were due. Returns the tokens that are to be told so. To be sent again is a measurement
    /// whole or not at all: one of several points stays here and goes out at the next flush.
    pub fn settle(&mut self, due: &[Second], fate: &ItemResult) -> Vec<u64> {
        let mut tokens = Vec::new();
        for one in due {
            let Some(series) = self.series.get_mut(&one.name) else {
                continue;
            };
            let Some(entry) = series.seconds.get_mut(&one.second) else {
                continue;
            };
            let parts = entry.waiting.iter_mut();
            let is_again = matches!(fate, ItemResult::Retry(_));
            for part in parts.flat_map(|waiting| {
                waiting
                    .parts
                    .extract_if(.., |part| !is_again || part.is_whole)
            }) {
                tokens.extend(part.token);
            }
            entry.waiting.take_if(|waiting| waiting.parts.is_empty());
            if *fate == ItemResult::Delivered {
                self.turn_numbers += one.amount.len();
                entry.sent = Some(Sent {
                    amount: one.amount.clone(),
                    turn: self.turn,
                });
            }
        }
        tokens
    }

    fn forget(&mut self, now: u64) {
        let is_over = now.saturating_sub(self.turn_began) >= TURN;
        if !is_over && self.turn_numbers <= MAX_TURN_NUMBERS {
            return;
        }
        for series in self.series.values_mut() {
            series.seconds.retain(|_, entry| {
                let is_old = |sent: &Sent| sent.turn < self.turn;
                if entry.sent.as_ref().is_some_and(is_old) {
                    entry.sent = None;
                }
                entry.sent.is_some() || entry.waiting.is_some()
            });
        }
        self.series.retain(|_, series| !series.seconds.is_empty());
        self.turn += 1;
        self.turn_began = now;
        self.turn_numbers = 0;
    }
}

impl Entry {
    /// What was sent and what waits.
    fn whole(&self) -> Option<Amount> {
        let sent = self.sent.iter().map(|sent| &sent.amount);
        let waiting = self.waiting.iter().flat_map(|waiting| &waiting.parts);
        let all = sent.chain(waiting.map(|part| &part.amount)).cloned();
        all.reduce(|mut whole, more| {
            whole.add(more);
            whole
        })
    }
}

#[cfg(test)]
mod tests;

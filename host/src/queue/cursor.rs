//! The state of one exporter's cursor: what of each stream waits and what is taken, and its accounts. Pure bookkeeping
//! over ranges; the events themselves are the log's.
//!
//! Invariant: the cursor pins exactly the events of the log that its route wants and whose sequence number is in
//! `waiting` or `taken` of its reader.

mod kept;

use std::sync::Arc;

use super::accounts::{Account, DropReason, ExporterAccounts};
use super::log::{Log, SEQUENCE_END, Stored, sequence, token};
use super::ranges::RangeSet;
use super::{CursorOptions, CursorReport, OnFull, StartAt};
use crate::deliver::source::{Fate, Settlement, TakeLimits, Tokens, Waiting};
use crate::event::per_signal::PerSignal;
use crate::event::signal_set::SignalSet;
use crate::event::{EventKind, Signal};
use crate::route::{Decision, Route};

/// How many events of busy lanes a take looks past.
const LOOK_PAST: usize = 8 * 1024;

/// The cursor's place in one stream.
#[derive(Debug, Default)]
struct Reader {
    /// Sequence numbers not given out; the last range is open and holds what is yet to come.
    untaken: RangeSet,
    /// Given out, no fate yet.
    taken: RangeSet,
    waiting: Waiting,
    taken_bytes: u64,
    account: Account,
}

/// What of a cursor's place in one stream is kept on disk.
#[derive(Debug)]
pub(crate) struct SavedReader {
    /// Not settled, taken or not; the last range is open.
    pub(crate) pending: RangeSet,
    pub(crate) account: Account,
}

/// What was new of one event kind in a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindTotal {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

/// Totals of a group, in the order of [`EventKind::ALL`].
pub(crate) type GroupTotals = [KindTotal; EventKind::ALL.len()];

/// Events that nobody is owed any longer, each with its token.
pub(crate) type Freed<E> = Vec<(u64, E)>;

/// One cursor fewer is owed the event; it, if that was the last.
fn freed<E: Stored>(
    log: &mut Log<E>,
    signal: Signal,
    sequence: u64,
    on_full: OnFull,
) -> Option<(u64, E)> {
    let event = log.unpin(signal, sequence, on_full)?;
    Some((token(signal, sequence), event))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct CursorState {
    route: Route,
    pub(crate) on_full: OnFull,
    pub(crate) max_lag_bytes: Option<u64>,
    /// Handles of earlier openings are refused.
    pub(crate) generation: u64,
    readers: PerSignal<Reader>,
}

impl CursorState {
    /// A cursor that is not known yet.
    pub(crate) fn new<E: Stored>(options: CursorOptions, log: &mut Log<E>) -> Self {
        let mut state = Self {
            route: options.route,
            on_full: options.on_full,
            max_lag_bytes: options.max_lag_bytes,
            generation: 0,
            readers: PerSignal::default(),
        };
        for signal in options.route.signals().iter() {
            state.begin(signal, options.start, log);
        }
        state
    }

    /// Opens the cursor again: what was taken waits, and pending events are judged by the new route and policy. Returns
    /// what is no longer needed.
    pub(crate) fn reopen<E: Stored>(
        &mut self,
        options: CursorOptions,
        log: &mut Log<E>,
    ) -> Freed<E> {
        self.generation += 1;
        let mut garbage = Vec::new();
        let old_signals = self.route.signals();
        for signal in old_signals.iter() {
            let pending = self.pending(signal, log);
            let reader = self.readers.get_mut(signal);
            let mut kept = RangeSet::default();
            reader.waiting = Waiting::default();
            reader.taken_bytes = 0;
            for (sequence, kind, bytes) in pending {
                log.pin(signal, sequence, options.on_full);
                garbage.extend(freed(log, signal, sequence, self.on_full));
                let decision = options.route.decide(kind);
                if decision == Decision::Deliver {
                    kept.insert(sequence, sequence + 1);
                    reader.waiting.items += 1;
                    reader.waiting.bytes += bytes;
                    continue;
                }
                garbage.extend(freed(log, signal, sequence, options.on_full));
                reader.account.queued -= 1;
                if decision == Decision::Filter {
                    reader.account.filtered += 1;
                } else {
                    reader.account.dropped.add(DropReason::SignalRemoved, 1);
                }
            }
            if options.route.signals().contains(signal) {
                kept.insert(log.next(signal), SEQUENCE_END);
            }
            reader.untaken = kept;
            reader.taken = RangeSet::default();
        }
        self.route = options.route;
        self.on_full = options.on_full;
        self.max_lag_bytes = options.max_lag_bytes;
        for signal in options
            .route
            .signals()
            .iter()
            .filter(|signal| !old_signals.contains(*signal))
        {
            self.begin(signal, options.start, log);
        }
        garbage
    }

    /// Lets go of everything; the accounts then count it as dropped.
    pub(crate) fn forget<E: Stored>(mut self, log: &mut Log<E>) -> (ExporterAccounts, Freed<E>) {
        let mut garbage = Vec::new();
        for signal in self.route.signals().iter() {
            let pending = self.pending(signal, log);
            let account = &mut self.readers.get_mut(signal).account;
            for (sequence, _, _) in pending {
                garbage.extend(freed(log, signal, sequence, self.on_full));
                account.queued -= 1;
                account.dropped.add(DropReason::Forgotten, 1);
            }
        }
        (self.accounts(), garbage)
    }

    /// The signals that the exporter has.
    pub(crate) fn signals(&self) -> SignalSet {
        self.route.signals()
    }

    /// Starts to read a signal.
    fn begin<E: Stored>(&mut self, signal: Signal, start: StartAt, log: &mut Log<E>) {
        let next = log.next(signal);
        let from = match start {
            StartAt::Head => next,
            StartAt::Oldest => 0,
        };
        let kept: Vec<_> = log.live(signal, from, next).collect();
        let reader = self.readers.get_mut(signal);
        reader.untaken = RangeSet::of(next, SEQUENCE_END);
        for (sequence, event) in kept {
            reader.account.received += 1;
            if self.route.decide(event.kind()) == Decision::Deliver {
                reader.untaken.insert(sequence, sequence + 1);
                log.pin(signal, sequence, self.on_full);
                reader.account.queued += 1;
                reader.waiting.items += 1;
                reader.waiting.bytes += event.size_bytes();
            } else {
                reader.account.filtered += 1;
            }
        }
    }

    /// Everything of a signal that waits or is taken, rising.
    fn pending<E: Stored>(&self, signal: Signal, log: &Log<E>) -> Vec<(u64, EventKind, u64)> {
        let reader = self.readers.get(signal);
        log.live(signal, 0, log.next(signal))
            .filter(|(sequence, _)| {
                reader.untaken.contains(*sequence) || reader.taken.contains(*sequence)
            })
            .filter(|(_, event)| self.wants(event.kind()))
            .map(|(sequence, event)| (sequence, event.kind(), event.size_bytes()))
            .collect()
    }

    /// Whether the exporter is owed events of this kind.
    pub(crate) fn wants(&self, kind: EventKind) -> bool {
        self.route.decide(kind) == Decision::Deliver
    }

    /// Bytes that wait or are taken.
    pub(crate) fn lag_bytes(&self) -> u64 {
        self.readers
            .iter()
            .map(|(_, reader)| reader.waiting.bytes + reader.taken_bytes)
            .sum()
    }

    /// What waits, by signal.
    pub(crate) fn waiting(&self) -> PerSignal<Waiting> {
        let mut waiting = PerSignal::default();
        for (signal, reader) in self.readers.iter() {
            *waiting.get_mut(signal) = reader.waiting;
        }
        waiting
    }

    /// Bytes of a group that the exporter is owed.
    pub(crate) fn owed_bytes(&self, group: &GroupTotals) -> u64 {
        EventKind::ALL
            .iter()
            .zip(group)
            .filter(|(kind, _)| self.wants(**kind))
            .map(|(_, total)| total.bytes)
            .sum()
    }

    /// Counts a group that was appended. Returns whether some of it is for this cursor.
    pub(crate) fn count_group(&mut self, group: &GroupTotals) -> bool {
        let mut is_owed_some = false;
        for (&kind, total) in EventKind::ALL
            .iter()
            .zip(group)
            .filter(|(_, total)| total.items > 0)
        {
            let decision = self.route.decide(kind);
            let reader = self.readers.get_mut(kind.signal());
            match decision {
                Decision::Ignore => continue,
                Decision::Filter => reader.account.filtered += total.items,
                Decision::Deliver => {
                    is_owed_some = true;
                    reader.account.queued += total.items;
                    reader.waiting.items += total.items;
                    reader.waiting.bytes += total.bytes;
                }
            }
            reader.account.received += total.items;
        }
        is_owed_some
    }

    /// Gives out the oldest waiting events of a signal.
    pub(crate) fn take<E: Stored>(
        &mut self,
        log: &Log<E>,
        signal: Signal,
        limits: TakeLimits<'_>,
    ) -> Vec<(u64, E)> {
        let route = self.route;
        let reader = self.readers.get_mut(signal);
        let head = log.next(signal);
        let expected = usize::try_from(reader.waiting.items)
            .unwrap_or(usize::MAX)
            .min(limits.max_items);
        let mut items: Vec<(u64, E)> = Vec::with_capacity(expected);
        // What was walked over and given out, or is not there for this cursor: no longer untaken.
        let mut walked: Vec<(u64, u64)> = Vec::new();
        let (mut bytes, mut looked_past, mut from, mut is_full) = (0, 0, 0, false);
        while !is_full && let Some((start, end)) = reader.untaken.next_from(from) {
            let end = end.min(head);
            let (mut walk_start, mut walk_end) = (start, end);
            for (sequence, event) in log.live(signal, start, end) {
                if route.decide(event.kind()) != Decision::Deliver {
                    continue;
                }
                let size = usize::try_from(event.size_bytes()).unwrap_or(usize::MAX);
                let fits = items.is_empty() || size <= limits.max_bytes.saturating_sub(bytes);
                if items.len() >= limits.max_items || !fits || looked_past >= LOOK_PAST {
                    (walk_end, is_full) = (sequence, true);
                    break;
                }
                if limits
                    .busy_lanes
                    .is_some_and(|lanes| lanes.contains(&event.lane()))
                {
                    walked.push((walk_start, sequence));
                    walk_start = sequence + 1;
                    looked_past += 1;
                    continue;
                }
                bytes += size;
                items.push((token(signal, sequence), event));
            }
            walked.push((walk_start, walk_end));
            if end == head {
                break;
            }
            from = end;
        }
        for (start, end) in walked {
            reader.untaken.remove(start, end);
        }
        for run in Tokens::runs(
            items
                .iter()
                .filter_map(|(token, _)| sequence(signal, *token)),
        ) {
            reader.taken.insert(run.first, run.last + 1);
        }
        reader.waiting.items -= items.len() as u64;
        reader.waiting.bytes -= bytes as u64;
        reader.taken_bytes += bytes as u64;
        items
    }

    /// Taken events, once more. What is not taken is left out.
    pub(crate) fn read<E: Stored>(
        &self,
        log: &Log<E>,
        signal: Signal,
        tokens: &[u64],
    ) -> Vec<(u64, E)> {
        let taken = &self.readers.get(signal).taken;
        let read = |&token: &u64| {
            let sequence = sequence(signal, token).filter(|it| taken.contains(*it))?;
            log.get(signal, sequence).map(|event| (token, event))
        };
        tokens.iter().filter_map(read).collect()
    }

    /// The sequence ranges of tokens, if all of them are taken and none is named twice.
    ///
    /// # Errors
    /// The first token at fault.
    pub(crate) fn taken_ranges(
        &self,
        signal: Signal,
        tokens: impl IntoIterator<Item = Tokens>,
    ) -> Result<Vec<(u64, u64)>, u64> {
        let reader = self.readers.get(signal);
        let mut seen = RangeSet::default();
        let mut ranges = Vec::new();
        for run in tokens {
            let (Some(first), Some(last)) =
                (sequence(signal, run.first), sequence(signal, run.last))
            else {
                return Err(run.first);
            };
            if first > last {
                return Err(run.first);
            }
            let overlaps = seen
                .next_from(first)
                .is_some_and(|(start, _)| start <= last);
            if overlaps || !reader.taken.covers(first, last + 1) {
                return Err(run.first);
            }
            seen.insert(first, last + 1);
            ranges.push((first, last + 1));
        }
        Ok(ranges)
    }

    /// Makes taken ranges wait again.
    pub(crate) fn release<E: Stored>(
        &mut self,
        log: &Log<E>,
        signal: Signal,
        ranges: &[(u64, u64)],
    ) {
        let reader = self.readers.get_mut(signal);
        for &(start, end) in ranges {
            reader.taken.remove(start, end);
            reader.untaken.insert(start, end);
            for (_, event) in log.live(signal, start, end) {
                let bytes = event.size_bytes();
                reader.waiting.items += 1;
                reader.waiting.bytes += bytes;
                reader.taken_bytes -= bytes;
            }
        }
    }

    /// Acknowledges and counts. `ranges` are those of the settlement's parts, in order; `bury` gets every dead letter.
    /// Returns what is no longer needed.
    pub(crate) fn settle<E: Stored>(
        &mut self,
        log: &mut Log<E>,
        settlement: &Settlement,
        ranges: &[(u64, u64)],
        mut bury: impl FnMut(u64, &E, &Arc<str>, u32),
    ) -> Freed<E> {
        let signal = settlement.signal;
        let reader = self.readers.get_mut(signal);
        let mut garbage = Vec::new();
        for ((_, fate), &(start, end)) in settlement.parts.iter().zip(ranges) {
            reader.taken.remove(start, end);
            let events = end - start;
            reader.account.queued -= events;
            match fate {
                Fate::Delivered => reader.account.delivered += events,
                Fate::Filtered => reader.account.filtered += events,
                Fate::DeadLettered { reason, attempts } => {
                    reader.account.dead_lettered += events;
                    log.live(signal, start, end)
                        .for_each(|(sequence, event)| bury(sequence, &event, reason, *attempts));
                }
            }
            for sequence in start..end {
                reader.taken_bytes -= log
                    .get(signal, sequence)
                    .map_or(0, |event| event.size_bytes());
                garbage.extend(freed(log, signal, sequence, self.on_full));
            }
        }
        garbage
    }

    /// Gives up a waiting event. Returns false if it does not wait.
    pub(crate) fn drop_waiting<E: Stored>(
        &mut self,
        log: &mut Log<E>,
        signal: Signal,
        sequence: u64,
        reason: DropReason,
    ) -> bool {
        let place = log.get(signal, sequence);
        let Some((kind, bytes)) = place.map(|event| (event.kind(), event.size_bytes())) else {
            return false;
        };
        let route = self.route;
        if route.decide(kind) != Decision::Deliver {
            return false;
        }
        let reader = self.readers.get_mut(signal);
        if !reader.untaken.contains(sequence) {
            return false;
        }
        // What follows and is not there for this cursor goes along, so that drops leave no gaps behind.
        let range_end = reader
            .untaken
            .next_from(sequence)
            .map_or(sequence + 1, |(_, end)| end.min(log.next(signal)));
        let next_wanted = log
            .live(signal, sequence + 1, range_end)
            .find_map(|(next, event)| {
                (route.decide(event.kind()) == Decision::Deliver).then_some(next)
            });
        let end = next_wanted.unwrap_or(range_end);
        reader.untaken.remove(sequence, end);
        reader.waiting.items -= 1;
        reader.waiting.bytes -= bytes;
        reader.account.queued -= 1;
        reader.account.dropped.add(reason, 1);
        log.unpin(signal, sequence, self.on_full);
        true
    }

    /// Gives up the oldest waiting event, and says which; `None` if none waits.
    pub(crate) fn drop_oldest<E: Stored>(
        &mut self,
        log: &mut Log<E>,
        reason: DropReason,
    ) -> Option<(Signal, u64)> {
        let (signal, sequence, _) = self.oldest_waiting(log)?;
        self.readers.get_mut(signal).untaken.remove(0, sequence);
        self.drop_waiting(log, signal, sequence, reason);
        Some((signal, sequence))
    }

    /// Whether an event is given out and without a fate.
    pub(crate) fn has_taken(&self, signal: Signal, sequence: u64) -> bool {
        self.readers.get(signal).taken.contains(sequence)
    }

    /// The oldest waiting event: its signal, sequence number and time of receipt.
    fn oldest_waiting<E: Stored>(&self, log: &Log<E>) -> Option<(Signal, u64, u64)> {
        let oldest_of = |signal: Signal| {
            let reader = self.readers.get(signal);
            let is_waiting = |sequence: &u64| reader.untaken.contains(*sequence);
            let (start, _) = reader
                .untaken
                .next_from(0)
                .filter(|_| reader.waiting.items > 0)?;
            log.live(signal, start, log.next(signal))
                .find(|(sequence, event)| self.wants(event.kind()) && is_waiting(sequence))
                .map(|(sequence, event)| (signal, sequence, event.received_at()))
        };
        self.route
            .signals()
            .iter()
            .filter_map(oldest_of)
            .min_by_key(|(_, _, received_at)| *received_at)
    }

    /// The oldest event that waits or is taken: its time of receipt.
    fn oldest_received_at<E: Stored>(&self, log: &Log<E>) -> Option<u64> {
        let oldest_taken = self.route.signals().iter().filter_map(|signal| {
            let (start, _) = self.readers.get(signal).taken.next_from(0)?;
            log.get(signal, start).map(|event| event.received_at())
        });
        let oldest_waiting = self
            .oldest_waiting(log)
            .map(|(_, _, received_at)| received_at);
        oldest_taken.chain(oldest_waiting).min()
    }

    /// Dead letters that are no longer kept are dropped events.
    pub(crate) fn count_evicted(&mut self, signal: Signal, events: u64, reason: DropReason) {
        let account = &mut self.readers.get_mut(signal).account;
        // Letters of an exporter that was forgotten meanwhile are not in its new accounts.
        let events = events.min(account.dead_lettered);
        account.dead_lettered -= events;
        account.dropped.add(reason, events);
    }

    /// The accounts of the signals that the exporter has, and of those it had and got events of.
    pub(crate) fn accounts(&self) -> ExporterAccounts {
        Signal::ALL
            .into_iter()
            .map(|signal| (signal, self.readers.get(signal).account))
            .filter(|(signal, account)| {
                self.route.signals().contains(*signal) || account.received > 0
            })
            .collect()
    }

    /// See [`CursorReport`].
    pub(crate) fn report<E: Stored>(&self, log: &Log<E>) -> CursorReport {
        CursorReport {
            accounts: self.accounts(),
            lag_bytes: self.lag_bytes(),
            oldest_received_at: self.oldest_received_at(log),
        }
    }

    /// Ranges in all streams.
    #[cfg(test)]
    pub(crate) fn range_count(&self) -> usize {
        self.readers
            .iter()
            .map(|(_, reader)| reader.untaken.iter().count() + reader.taken.iter().count())
            .sum()
    }
}

//! What a queue that keeps its cursors needs beside the bookkeeping: saving, restoring, and making accounts add up.

use super::*;

impl CursorState {
    /// What is to be kept of the cursor.
    pub(crate) fn saved(&self) -> Vec<(Signal, SavedReader)> {
        let of_reader = |(signal, reader): (Signal, &Reader)| {
            let mut pending = reader.untaken.clone();
            for (start, end) in reader.taken.iter() {
                pending.insert(start, end);
            }
            let account = reader.account;
            (signal, SavedReader { pending, account })
        };
        self.readers.iter().map(of_reader).collect()
    }

    /// A cursor that was kept. Nothing waits before [`Self::recount`].
    pub(crate) fn restored(
        options: CursorOptions,
        readers: impl Iterator<Item = (Signal, SavedReader)>,
    ) -> Self {
        let mut state = Self {
            route: options.route,
            on_full: options.on_full,
            max_lag_bytes: options.max_lag_bytes,
            generation: 0,
            readers: PerSignal::default(),
        };
        for (signal, saved) in readers {
            let reader = state.readers.get_mut(signal);
            reader.untaken = saved.pending;
            reader.account = saved.account;
        }
        state
    }

    /// Whether the cursor is owed the event: it wants the kind, and has not settled it.
    pub(crate) fn is_owed(&self, kind: EventKind, sequence: u64) -> bool {
        let reader = self.readers.get(kind.signal());
        self.wants(kind) && (reader.untaken.contains(sequence) || reader.taken.contains(sequence))
    }

    /// Counts what waits of a restored cursor, and makes the accounts add up: what was received and is nowhere was lost.
    /// Returns how many events that are.
    pub(crate) fn recount<E: Stored>(&mut self, log: &Log<E>) -> u64 {
        let mut lost = 0;
        for signal in Signal::ALL {
            let pending = self.pending(signal, log);
            let reader = self.readers.get_mut(signal);
            reader.waiting.items = pending.len() as u64;
            reader.waiting.bytes = pending.iter().map(|(_, _, bytes)| bytes).sum();
            let account = &mut reader.account;
            account.queued = reader.waiting.items;
            let ended = account.delivered
                + account.filtered
                + account.dead_lettered
                + account.dropped.total();
            let known = ended + account.queued;
            let missing = account.received.saturating_sub(known);
            account.dropped.add(DropReason::Corrupt, missing);
            account.received = account.received.max(known);
            lost += missing;
        }
        lost
    }

    /// Gives up an event that cannot be read, taken or not. Returns false if it is not pending.
    pub(crate) fn lose<E: Stored>(
        &mut self,
        log: &mut Log<E>,
        signal: Signal,
        sequence: u64,
    ) -> bool {
        if !self.has_taken(signal, sequence) {
            return self.drop_waiting(log, signal, sequence, DropReason::Corrupt);
        }
        let bytes = log
            .get(signal, sequence)
            .map_or(0, |event| event.size_bytes());
        let reader = self.readers.get_mut(signal);
        reader.taken.remove(sequence, sequence + 1);
        reader.taken_bytes -= bytes;
        reader.account.queued -= 1;
        reader.account.dropped.add(DropReason::Corrupt, 1);
        log.unpin(signal, sequence, self.on_full);
        true
    }

    /// An event at this place is not for this cursor.
    pub(crate) fn skip(&mut self, signal: Signal, sequence: u64) {
        self.readers
            .get_mut(signal)
            .untaken
            .remove(sequence, sequence + 1);
    }

    /// A dead letter waits again, at this place.
    pub(crate) fn revive(&mut self, signal: Signal, bytes: u64) {
        let reader = self.readers.get_mut(signal);
        reader.waiting.items += 1;
        reader.waiting.bytes += bytes;
        reader.account.queued += 1;
        reader.account.dead_lettered = reader.account.dead_lettered.saturating_sub(1);
    }
}

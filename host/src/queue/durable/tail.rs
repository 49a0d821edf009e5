//! The newest events, kept in memory beside the disk, so that an exporter that keeps up does not read it.
//!
//! Bounded by what the events pin: a payload is a slice of its request's body, which stays whole until the last of its
//! events goes. So the events of one group leave together, the oldest group first; a group that is larger than the bound
//! is never kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::per_signal::PerSignal;
use crate::event::{Event, Signal};
use crate::queue::log::EVENT_OVERHEAD_BYTES;

/// Events of one signal that came in one group.
struct Run {
    events: Vec<Option<Arc<Event>>>,
    live: usize,
    bytes: u64,
    order: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Tail {
    /// By the first sequence number.
    runs: PerSignal<BTreeMap<u64, Run>>,
    bytes: u64,
    order: u64,
}

impl Tail {
    /// Keeps the events of a group: each signal's first sequence number and its events. Lets go of the oldest beyond
    /// `max_bytes`.
    pub(super) fn keep(&mut self, group: Vec<(Signal, u64, Vec<Arc<Event>>)>, max_bytes: u64) {
        let cost = |event: &Arc<Event>| event.size_bytes() as u64 + EVENT_OVERHEAD_BYTES;
        let of_run = |events: &[Arc<Event>]| events.iter().map(cost).sum::<u64>();
        let bytes: u64 = group.iter().map(|(.., events)| of_run(events)).sum();
        if bytes > max_bytes {
            return;
        }
        self.order += 1;
        for (signal, first, events) in group {
            let run = Run {
                bytes: of_run(&events),
                live: events.len(),
                events: events.into_iter().map(Some).collect(),
                order: self.order,
            };
            self.bytes += run.bytes;
            self.runs.get_mut(signal).insert(first, run);
        }
        while self.bytes > max_bytes && self.drop_oldest() {}
    }

    /// The event at a place, if it is here.
    pub(super) fn get(&self, signal: Signal, sequence: u64) -> Option<Arc<Event>> {
        let (first, run) = self.runs.get(signal).range(..=sequence).next_back()?;
        let at = usize::try_from(sequence - first).ok()?;
        run.events.get(at)?.clone()
    }

    /// Nobody is owed the event any longer.
    pub(super) fn remove(&mut self, signal: Signal, sequence: u64) {
        let runs = self.runs.get_mut(signal);
        let Some((&first, run)) = runs.range_mut(..=sequence).next_back() else {
            return;
        };
        let at = usize::try_from(sequence - first).unwrap_or(usize::MAX);
        let removed = run.events.get_mut(at).and_then(Option::take);
        run.live -= usize::from(removed.is_some());
        if run.live == 0 {
            self.bytes -= run.bytes;
            runs.remove(&first);
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let fronts = self.runs.iter().filter_map(|(signal, runs)| {
            let (first, run) = runs.first_key_value()?;
            Some((run.order, signal, *first))
        });
        let Some((_, signal, first)) = fronts.min() else {
            return false;
        };
        if let Some(run) = self.runs.get_mut(signal).remove(&first) {
            self.bytes -= run.bytes;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::EventKind;

    fn events(number: usize) -> Vec<Arc<Event>> {
        let event = Event {
            kind: EventKind::Log,
            payload: Bytes::from_static(&[b'x'; 40]),
            received_at: 1,
            source: Arc::default(),
            repeat_key: 0,
            lane: 0,
        };
        (0..number).map(|_| Arc::new(event.clone())).collect()
    }

    const OF_TEN: u64 = 10 * (40 + EVENT_OVERHEAD_BYTES);

    #[test]
    fn oldest_groups_leave_whole_and_settled_ones_make_room() {
        let mut tail = Tail::default();
        let logs = |first| vec![(Signal::Logs, first, events(10))];
        tail.keep(logs(0), 2 * OF_TEN);
        tail.keep(
            vec![
                (Signal::Traces, 0, events(4)),
                (Signal::Scores, 7, events(6)),
            ],
            2 * OF_TEN,
        );
        assert!(tail.get(Signal::Logs, 9).is_some() && tail.get(Signal::Scores, 7).is_some());
        (0..10).for_each(|sequence| tail.remove(Signal::Logs, sequence));
        tail.keep(logs(10), 2 * OF_TEN);
        assert!(tail.get(Signal::Traces, 3).is_some(), "there was room");
        tail.keep(logs(20), 2 * OF_TEN);
        assert!(tail.get(Signal::Traces, 0).is_none() && tail.get(Signal::Scores, 7).is_none());
        assert!(tail.get(Signal::Logs, 10).is_some() && tail.get(Signal::Logs, 30).is_none());
        assert_eq!(tail.bytes, 2 * OF_TEN);
    }

    #[test]
    fn a_group_beyond_the_bound_is_not_kept_and_pushes_nothing_out() {
        let mut tail = Tail::default();
        tail.keep(vec![(Signal::Logs, 0, events(10))], OF_TEN);
        tail.keep(vec![(Signal::Logs, 10, events(11))], OF_TEN);
        assert!(tail.get(Signal::Logs, 0).is_some() && tail.get(Signal::Logs, 10).is_none());
    }
}

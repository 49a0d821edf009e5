//! What the delivery task does between its cursor and the component: events that the exporter is not to get are filtered,
//! the others are shaped.

use super::ExporterTask;
use crate::deliver::shaping::Verdict;
use crate::deliver::source::{Cursor, Fate, Settlement, Tokens};
use crate::event::Signal;
use crate::plugin::guest::{BatchItem, Guest};

impl<G: Guest, C: Cursor> ExporterTask<G, C> {
    /// What of a batch fresh from the queue the component gets. The rest is counted.
    pub(super) fn shape(&mut self, signal: Signal, items: Vec<BatchItem>) -> Vec<BatchItem> {
        let verdicts = self.shaping.judge(&items);
        let (mut kept, mut filtered) = (Vec::with_capacity(items.len()), Vec::new());
        for (item, verdict) in items.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Keep => kept.push(item),
                Verdict::Filter | Verdict::LeaveOut => filtered.push(item.token),
            }
        }
        self.filter(signal, filtered);
        self.shape_kept(&mut kept);
        kept
    }

    /// Shapes events that are known to be kept.
    pub(super) fn shape_kept(&mut self, items: &mut [BatchItem]) {
        for item in items {
            item.event = self.shaping.shape(&item.event);
        }
    }

    /// Counts events as filtered.
    pub(super) fn filter(&mut self, signal: Signal, mut tokens: Vec<u64>) {
        tokens.sort_unstable();
        let parts = Tokens::runs(tokens);
        self.settle(Settlement {
            signal,
            parts: parts.into_iter().map(|it| (it, Fate::Filtered)).collect(),
        });
    }
}

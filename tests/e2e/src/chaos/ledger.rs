//! What a backend of a chaos run has: how often each span came, and nothing else of it, so that a long run takes no
//! more memory than its spans have ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::backend::langfuse::{Langfuse, SPAN};
use kit::backend::{Answer, Fake, Request};

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    times: Arc<Mutex<HashMap<String, u64>>>,
}

/// Langfuse, with its spans in a [`Ledger`].
pub(super) struct Counting {
    pub(super) langfuse: Langfuse,
    pub(super) ledger: Ledger,
}

impl Fake for Counting {
    fn answer(&self, request: &Request) -> Answer {
        let answer = self.langfuse.answer(request);
        let mut times = self.ledger.lock();
        for span in answer.stored.iter().filter(|stored| stored.kind == SPAN) {
            *times.entry(span.id.clone()).or_default() += 1;
        }
        answer.with_stored(Vec::new())
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves those of `missing` that have not come.
    pub(super) fn strike(&self, missing: &mut BTreeSet<String>) {
        let times = self.lock();
        missing.retain(|id| !times.contains_key(id));
    }

    /// Spans, each counted once.
    pub(super) fn distinct(&self) -> u64 {
        self.lock().len() as u64
    }

    /// How many came so often.
    pub(super) fn repeats(&self) -> BTreeMap<u64, u64> {
        let mut repeats = BTreeMap::new();
        for times in self.lock().values() {
            *repeats.entry(*times).or_default() += 1;
        }
        repeats
    }

    /// How often spans came that had come before.
    pub(super) fn repeated(&self) -> u64 {
        self.lock().values().map(|times| times - 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_and_missing_ones_stay_missing() {
        let ledger = Ledger::default();
        ledger
            .lock()
            .extend([("a".to_owned(), 1), ("b".to_owned(), 3)]);
        assert_eq!((ledger.distinct(), ledger.repeated()), (2, 2));
        assert_eq!(ledger.repeats(), BTreeMap::from([(1, 1), (3, 1)]));
        let mut missing = BTreeSet::from(["a".to_owned(), "c".to_owned()]);
        ledger.strike(&mut missing);
        assert_eq!(missing, BTreeSet::from(["c".to_owned()]));
    }
}

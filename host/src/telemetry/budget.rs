//! How much each exporter may write to the log. A component can make the host and its libraries log as often as it calls
//! them; what is over the budget is dropped, and one line says how many lines were.
//!
//! Whoever runs a component's code [charges](LogBudget::charge) the thread's log lines to the exporter; [`LogBudgets`]
//! then decides about each line. Lines of everything else are never dropped here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that one exporter may cause in each [`PERIOD`]: enough for the story of a few failing batches at debug level.
const LINES: u32 = 200;
/// A flood then makes a file grow by a few megabytes a day.
const PERIOD: Duration = Duration::from_secs(60);
/// Exporters and components that are remembered. A host has a few dozen.
const MAX_BUDGETS: usize = 1024;

thread_local! {
    /// Who pays for what this thread logs.
    static PAYER: RefCell<Option<Arc<LogBudget>>> = const { RefCell::new(None) };
}

/// The log lines that one exporter has left.
#[derive(Debug)]
pub struct LogBudget {
    exporter: String,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    begin: Instant,
    left: u32,
    /// Lines dropped and not reported yet.
    dropped: u64,
}

impl LogBudget {
    /// The budget of this exporter, the same for all its instances.
    #[must_use]
    pub fn of(exporter: &str) -> Arc<Self> {
        static ALL: Mutex<BTreeMap<String, Arc<LogBudget>>> = Mutex::new(BTreeMap::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = all.get(exporter) {
            return Arc::clone(budget);
        }
        if all.len() >= MAX_BUDGETS {
            all.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let budget = Arc::new(Self {
            exporter: exporter.to_owned(),
            account: Mutex::new(Account::new(Instant::now())),
        });
        all.insert(exporter.to_owned(), Arc::clone(&budget));
        budget
    }

    /// The exporter's id, or the name of a component that has none yet.
    #[must_use]
    pub fn exporter(&self) -> &str {
        &self.exporter
    }

    /// Charges what this thread logs to the exporter, until the returned value is dropped.
    #[must_use]
    pub fn charge(self: &Arc<Self>) -> Charged {
        let before = PAYER.with(|payer| payer.borrow_mut().replace(Arc::clone(self)));
        Charged { before }
    }

    /// Logs how many lines were dropped, once the period in which they were is over. Not to be called while charged.
    pub fn report(&self) {
        let dropped = self.lock().dropped_before(Instant::now());
        if let Some(lines) = dropped {
            let exporter = &*self.exporter;
            tracing::warn!(
                exporter,
                lines,
                "Log lines were dropped: the exporter caused too many within a minute."
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn new(now: Instant) -> Self {
        Self {
            begin: now,
            left: LINES,
            dropped: 0,
        }
    }

    /// Whether one more line may be written.
    fn spend(&mut self, now: Instant) -> bool {
        if now.duration_since(self.begin) >= PERIOD {
            (self.begin, self.left) = (now, LINES);
        }
        let left = self.left.checked_sub(1);
        match left {
            Some(left) => self.left = left,
            None => self.dropped = self.dropped.saturating_add(1),
        }
        left.is_some()
    }

    /// The lines dropped in periods that are over.
    fn dropped_before(&mut self, now: Instant) -> Option<u64> {
        let is_over = self.dropped > 0 && now.duration_since(self.begin) >= PERIOD;
        is_over.then(|| {
            (self.begin, self.left) = (now, LINES);
            std::mem::take(&mut self.dropped)
        })
    }
}

/// While it lives, the thread's log lines are charged to an exporter.
#[derive(Debug)]
pub struct Charged {
    before: Option<Arc<LogBudget>>,
}

impl Drop for Charged {
    fn drop(&mut self) {
        PAYER.with(|payer| *payer.borrow_mut() = self.before.take());
    }
}

/// Drops the lines of exporters that are over their budgets.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogBudgets;

impl<S: Subscriber> Layer<S> for LogBudgets {
    fn event_enabled(&self, _: &Event<'_>, _: Context<'_, S>) -> bool {
        PAYER.with(|payer| match payer.try_borrow() {
            Ok(payer) => payer
                .as_ref()
                .is_none_or(|budget| budget.lock().spend(Instant::now())),
            Err(_) => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Counts the lines that get through.
    #[derive(Clone, Default)]
    struct Lines(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_exporter_over_its_budget_is_silent_and_the_others_are_not() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry()
            .with(lines.clone())
            .with(LogBudgets);
        tracing::subscriber::with_default(subscriber, || {
            let flood = |name: &str, count: u32| {
                let budget = LogBudget::of(name);
                let before = lines.0.load(Ordering::Relaxed);
                let charged = budget.charge();
                (0..count).for_each(|_| tracing::warn!("a library's line"));
                drop(charged);
                lines.0.load(Ordering::Relaxed) - before
            };
            assert_eq!(flood("flood", LINES * 3), LINES as usize);
            assert_eq!(flood("flood", 10), 0, "another instance of it");
            assert_eq!(flood("calm", 10), 10);
            let before = lines.0.load(Ordering::Relaxed);
            (0..LINES * 2).for_each(|_| tracing::warn!("the host's own"));
            assert_eq!(lines.0.load(Ordering::Relaxed) - before, 2 * LINES as usize);
        });
    }

    #[test]
    fn dropped_lines_are_counted_once_and_the_next_period_begins_anew() {
        let begin = Instant::now();
        let mut account = Account::new(begin);
        let written = (0..LINES + 5).filter(|_| account.spend(begin)).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(account.dropped_before(begin), None, "more may come");
        assert_eq!(account.dropped_before(begin + PERIOD), Some(5));
        assert_eq!(account.dropped_before(begin + PERIOD), None);
        assert!(account.spend(begin + PERIOD));
        // A period that ends with a line instead of a report keeps the count.
        let written = (0..=LINES)
            .filter(|_| account.spend(begin + PERIOD))
            .count();
        assert_eq!(written, LINES as usize - 1);
        assert!(account.spend(begin + 2 * PERIOD));
        assert_eq!(account.dropped, 2);
    }
}

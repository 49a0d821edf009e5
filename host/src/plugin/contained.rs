//! Host work that is done for one exporter, held to that exporter: a panic in it ends here, the CPU that it takes counts
//! as the exporter's, and so do the lines that it logs, whichever library writes them.
//!
//! Called by `limits` around each guest call, and by `worker` and `pool` around what surrounds the calls.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tracing::Span;

use super::limits::short;
use super::outcome::CallError;
use crate::telemetry::budget::LogBudget;

/// The end of a future that panicked, with what the panic said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked(pub(super) String);

impl From<Panicked> for CallError {
    fn from(Panicked(reason): Panicked) -> Self {
        Self::HostPanic(reason)
    }
}

/// Runs the future to its end, or to its panic. A future that panicked is not polled again.
///
/// What it worked on is not to be used again either, so that nothing half-changed is seen: callers drop the instance.
pub(super) async fn contained<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(Panicked(said(&*panic)))),
        }
    })
    .await
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    short(text.unwrap_or("no reason given"))
}

/// The CPU that one guest call has taken: the guest's own, and the host's on its behalf. Measured by the clock of the
/// thread that polls the call, so that neither waiting nor other exporters count.
#[derive(Debug, Default)]
pub(super) struct CpuMeter {
    /// Of the polls that are over.
    spent_nanos: AtomicU64,
    /// What the thread's clock said when the poll under way began.
    begin_nanos: AtomicU64,
}

impl CpuMeter {
    /// Before each call.
    pub(super) fn reset(&self) {
        self.spent_nanos.store(0, Ordering::Relaxed);
        self.begin();
    }

    /// What the call has taken so far. Asked from within it.
    pub(super) fn spent(&self) -> Duration {
        let running = thread_nanos().saturating_sub(self.begin_nanos.load(Ordering::Relaxed));
        let over = self.spent_nanos.load(Ordering::Relaxed);
        Duration::from_nanos(over.saturating_add(running))
    }

    fn begin(&self) {
        self.begin_nanos.store(thread_nanos(), Ordering::Relaxed);
    }

    fn end(&self) {
        let spent = u64::try_from(self.spent().as_nanos()).unwrap_or(u64::MAX);
        self.spent_nanos.store(spent, Ordering::Relaxed);
    }
}

/// The CPU that this thread has taken since it began.
fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Runs a guest call: its CPU goes to the meter, and its log lines go to the exporter's budget and carry its name.
pub(super) async fn accounted<F: Future>(
    meter: Arc<CpuMeter>,
    log: Arc<LogBudget>,
    future: F,
) -> F::Output {
    let span = name_of(&log);
    let mut future = pin!(future);
    poll_fn(move |context| {
        meter.begin();
        let polled = {
            let _named = span.enter();
            let _charged = log.charge();
            future.as_mut().poll(context)
        };
        meter.end();
        log.report();
        polled
    })
    .await
}

/// In front of each line that a library logs.
fn name_of(log: &LogBudget) -> Span {
    tracing::info_span!("exporter", id = log.exporter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_with_its_future() {
        let fine = contained(async { 1 }).await;
        assert_eq!(fine, Ok(1));
        let late = contained(async {
            tokio::task::yield_now().await;
            panic!("at {}", "last");
        });
        let ended: Result<(), Panicked> = late.await;
        assert_eq!(ended, Err(Panicked("at last".to_owned())));
    }

    #[tokio::test]
    async fn the_meter_counts_work_and_not_waiting() {
        let meter = Arc::new(CpuMeter::default());
        let spent = |work: Duration, wait: Duration| {
            let meter = Arc::clone(&meter);
            async move {
                meter.reset();
                let call = async {
                    tokio::time::sleep(wait).await;
                    let begin = thread_nanos();
                    while u128::from(thread_nanos() - begin) < work.as_nanos() {
                        std::hint::spin_loop();
                    }
                };
                accounted(Arc::clone(&meter), LogBudget::of("meter"), call).await;
                Duration::from_nanos(meter.spent_nanos.load(Ordering::Relaxed))
            }
        };
        let work = Duration::from_millis(20);
        assert!(spent(work, Duration::ZERO).await >= work);
        let waited = spent(Duration::ZERO, Duration::from_millis(100)).await;
        assert!(waited < Duration::from_millis(50), "{waited:?}");
    }
}

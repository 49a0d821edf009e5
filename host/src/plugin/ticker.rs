//! Moves the engine's epoch while guest code runs. One thread an engine; it sleeps for good while no call is active, so
//! that an idle host does not wake the machine.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How often a computing guest gives way to the other tasks of its runtime thread, and the resolution of the CPU clock.
/// Shorter costs more wake-ups, longer delays the tasks behind a guest that computes.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The thread's handle. The thread ends when the last handle is gone.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running_calls: usize,
    stopped: bool,
}

impl Shared {
    /// Nothing that holds the lock can panic, so a poisoned state is still a good one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(super) fn start(engine: EngineWeak) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        // The thread touches next to no stack; the default of 2 MiB would only be reserved.
        std::thread::Builder::new()
            .name("epoch".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || tick(&of_thread, &engine))?;
        Ok(Arc::new(Self { shared }))
    }

    /// The epoch moves at least as long as the returned value lives.
    pub(super) fn running(self: &Arc<Self>) -> Running {
        let mut state = self.shared.lock();
        state.running_calls += 1;
        if state.running_calls == 1 {
            self.shared.changed.notify_one();
        }
        Running {
            ticker: Arc::clone(self),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_one();
    }
}

/// A guest call in progress.
#[derive(Debug)]
pub(super) struct Running {
    ticker: Arc<Ticker>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticker.shared.lock().running_calls -= 1;
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    let mut state = shared.lock();
    while !state.stopped {
        if state.running_calls == 0 {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        state = shared
            .changed
            .wait_timeout(state, TICK)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
    }
}

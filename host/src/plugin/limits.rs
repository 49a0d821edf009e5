//! What one guest call may cost, and the means that hold it to that: the two clocks (the thread's for CPU, looked at when
//! the epoch moves; tokio's for the wall), and the limiter that wasmtime asks before memory or a table grows.
//!
//! Every call of this room into a guest goes through [`bounded`], instantiation included. Nothing here decides what
//! happens after a fault; `health` does.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, UpdateDeadline};

use super::contained::{CpuMeter, Panicked, accounted, contained};
use super::imports::HostState;
use super::outcome::CallError;
use super::ticker::Ticker;
use crate::telemetry::visible::visible;

/// Caps on what the instances of one exporter may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// CPU of one `send` or `flush`.
    pub call_cpu: Duration,
    /// Wall clock of one `send` or `flush`, its HTTP requests included.
    pub call_wall: Duration,
    /// CPU of instantiation, and of `configure`.
    pub start_cpu: Duration,
    /// CPU of instantiation for `describe`, and of `describe`.
    pub describe_cpu: Duration,
    /// Wall clock of instantiation, of `configure`, and of `describe`.
    pub start_wall: Duration,
    /// Wall clock (and CPU) of `shutdown`.
    pub shutdown_wall: Duration,
    /// All linear memories of one instance together.
    pub memory_bytes: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Bytes that one call may hand to `output` and `store` together.
    pub written_bytes: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            // A batch takes a Rust guest a millisecond, an interpreter in wasm a few hundred: this is the hang, not the load.
            call_cpu: Duration::from_secs(10),
            // Longer than the longest chain of HTTP timeouts and waits that an exporter makes in one call.
            call_wall: Duration::from_secs(60),
            // Interpreters (JavaScript, Python) start in well under a second; a loaded machine may need ten times that.
            start_cpu: Duration::from_secs(10),
            // Answers from constants; nothing else of a component runs without approval.
            describe_cpu: Duration::from_secs(1),
            start_wall: Duration::from_secs(30),
            // The last call has nothing left to deliver; the host's own stop must not wait for it.
            shutdown_wall: Duration::from_secs(5),
            // A Rust guest needs 2 to 6 MiB, JavaScript 20, Python 60; the largest batch and its encoding fit beside them.
            memory_bytes: 256 << 20,
            // The largest table seen is an interpreter's, of about 15,000 functions.
            table_elements: 65_536,
            // Ten times the default batch: what a component writes is what it was given, and some text around it.
            written_bytes: 32 << 20,
        }
    }
}

/// Core instances, memories and tables of one component instance. A Python component has about 30 core instances.
pub(super) const MAX_CORE_INSTANCES: u32 = 64;
/// A component has one or two memories; a composed one a few more.
pub(super) const MAX_MEMORIES: u32 = 8;
/// One or two for each module with function pointers.
pub(super) const MAX_TABLES: u32 = 32;

/// Resources that one instance may have alive, its own included: their tables are the host's memory.
const MAX_GUEST_HANDLES: usize = 16_384;

/// What the host may allocate while it reads one answer or one request of a guest: room for the largest request body,
/// and an end to a list that claims to have a billion elements.
pub(super) const MAX_LIFTED_BYTES: usize = 64 << 20;

/// The guest's share of the two clocks for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
}

/// The CPU clock of a store: what the guest takes, and what the host takes for it, copies and random bytes say.
#[derive(Debug, Default)]
pub(super) struct CpuClock {
    meter: Arc<CpuMeter>,
    budget: Duration,
}

/// The trap of a guest that has used its CPU.
#[derive(Debug)]
struct CpuExhausted;

impl fmt::Display for CpuExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpu budget exhausted")
    }
}

impl std::error::Error for CpuExhausted {}

impl CpuClock {
    fn wind(&mut self, budget: Duration) {
        self.budget = budget;
        self.meter.reset();
    }

    /// Asked whenever the epoch has moved since guest code last looked.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if self.meter.spent() > self.budget {
            return Err(wasmtime::Error::new(CpuExhausted));
        }
        // A guest that computes for long gives way to the other tasks of the runtime, and lets the wall clock fire.
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    }
}

/// What one call has written through `output` and `store`.
#[derive(Debug)]
pub(super) struct CallWrites {
    limit_bytes: u64,
    bytes: u64,
}

impl CallWrites {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            limit_bytes: limits.written_bytes,
            bytes: 0,
        }
    }

    /// Before each call.
    fn refill(&mut self) {
        self.bytes = 0;
    }

    /// Counts a write before it is made.
    ///
    /// # Errors
    /// For people: the call has written too much.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let after = self.bytes.saturating_add(bytes as u64);
        if after > self.limit_bytes {
            return Err(format!(
                "one call may write {} bytes through `output` and `store`; this one has written {} and wants to write {bytes} more: write less per event",
                self.limit_bytes, self.bytes
            ));
        }
        self.bytes = after;
        Ok(())
    }
}

/// Answers wasmtime's questions about growth for one store.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    limit_bytes: usize,
    table_elements: usize,
    used_bytes: usize,
    refused: bool,
}

impl MemoryLimiter {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            limit_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            used_bytes: 0,
            refused: false,
        }
    }

    /// Bytes of all linear memories. Memories never shrink, so this is also the high-water mark.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self
            .used_bytes
            .saturating_add(desired.saturating_sub(current));
        if after > self.limit_bytes {
            // The guest sees a failed allocation. Most abort then; a garbage collector may help itself.
            self.refused = true;
            return Ok(false);
        }
        self.used_bytes = after;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// Prepares a store for [`bounded`] calls.
pub(super) fn arm(store: &mut Store<HostState>) {
    store.limiter(|state| &mut state.memory);
    store.epoch_deadline_callback(|mut context| context.data_mut().cpu.tick());
    let memory_bytes = store.data().memory.limit_bytes;
    store.set_hostcall_fuel(MAX_LIFTED_BYTES.min(memory_bytes));
    store.set_max_component_handles(MAX_GUEST_HANDLES);
}

/// Runs one guest call under both clocks. After an error the store is not to be used again.
///
/// `call` borrows the store for the length of the call and gives it back with its answer.
pub(super) async fn bounded<'s, R, F>(
    ticker: &Arc<Ticker>,
    store: &'s mut Store<HostState>,
    budget: Budget,
    call: impl FnOnce(&'s mut Store<HostState>) -> F,
) -> Result<R, Fault>
where
    F: Future<Output = wasmtime::Result<R>> + Send,
{
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.cpu.wind(budget.cpu);
    state.memory.refused = false;
    state.log.refill();
    state.writes.refill();
    let (meter, log) = (Arc::clone(&state.cpu.meter), Arc::clone(&state.log_budget));
    let _running = ticker.running();
    let call = contained(accounted(meter, log, call(store)));
    match tokio::time::timeout(budget.wall, call).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(error))) => Err(Fault::Failed(error)),
        Ok(Err(panicked)) => Err(Fault::Panicked(panicked)),
        Err(_elapsed) => Err(Fault::Wall),
    }
}

/// Why a [`bounded`] call has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The wall clock.
    Wall,
    /// A trap of any kind; see [`Fault::explain`].
    Failed(wasmtime::Error),
    /// Of the host, in what it did for the guest.
    Panicked(Panicked),
}

impl Fault {
    /// In the host's words. Reads from the store whether memory was refused.
    pub(super) fn explain(self, store: &Store<HostState>, budget: Budget) -> CallError {
        let error = match self {
            Self::Wall => return CallError::WallTimeout(budget.wall),
            Self::Panicked(panicked) => return panicked.into(),
            Self::Failed(error) => error,
        };
        if error.is::<CpuExhausted>() {
            return CallError::CpuTimeout(budget.cpu);
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return CallError::NotRunning {
                state: "waiting for a free instance slot",
                retry_in: NO_SLOT_RETRY,
            };
        }
        let memory = &store.data().memory;
        if memory.refused {
            return CallError::Memory {
                limit_bytes: memory.limit_bytes,
            };
        }
        CallError::Trap(short(&error.root_cause().to_string()))
    }
}

/// Slots are freed when another exporter's instance retires; that is a matter of seconds.
const NO_SLOT_RETRY: Duration = Duration::from_secs(1);

/// Text of a guest, cut to what a log line or a dead letter can hold, with every character shown that a terminal would
/// obey or hide.
pub(super) fn short(text: &str) -> String {
    /// A sentence or two.
    const MAX_BYTES: usize = 512;
    if text.len() <= MAX_BYTES {
        return visible(text).into_owned();
    }
    let mut end = MAX_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", visible(text.get(..end).unwrap_or_default()))
}
